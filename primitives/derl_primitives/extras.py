"""Packages that only some primitives need, and what to say when one is not installed."""

from __future__ import annotations

from importlib.util import find_spec

from derl_grammar.records import record


class MissingExtra(ImportError):
    """A package that a primitive needs is not installed; the message says how to install it."""


@record
class Extra:
    """An optional extra of derl-dsl: its name, and the package and module it brings."""

    name: str
    package: str
    module: str

    @property
    def missing(self) -> bool:
        """Whether the module cannot be found; it is not imported."""
        return find_spec(self.module) is None

    def require(self, what: str) -> None:
        """Raises MissingExtra, in the name of `what`, unless the package is installed."""
        if self.missing:
            raise MissingExtra(
                f"{what} needs {self.package}, which is not installed: "
                f"pip install 'derl-dsl[{self.name}]'"
            )


MATH = Extra("math", "math-verify", "math_verify")
JSON = Extra("json", "jsonschema", "jsonschema")
