"""Inputs of a kernel as a program names them: a column, a literal, a primitive of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from derl_grammar.types import Type


class Applicable(Protocol):
    """What the runtime needs of a primitive."""

    @property
    def name(self) -> str:
        """The primitive's name."""

    @property
    def returns(self) -> Type:
        """The declared type of its values."""

    @property
    def fn(self) -> Callable[..., Any]:
        """The function over whole columns."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the data."""

    name: str
    type: Type

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant argument of a primitive."""

    value: str | float | bool

    def __str__(self) -> str:
        return repr(self.value)


@dataclass(frozen=True, slots=True)
class Apply:
    """A primitive applied to inputs; `name` is set when a suite gives the whole a name (`g1`)."""

    primitive: Applicable
    args: tuple[Source, ...]
    name: str | None = None

    @property
    def type(self) -> Type:
        """The declared type of the values."""
        return self.primitive.returns

    def __str__(self) -> str:
        return self.name or f"{self.primitive.name}({', '.join(map(str, self.args))})"


Source = Column | Literal | Apply
