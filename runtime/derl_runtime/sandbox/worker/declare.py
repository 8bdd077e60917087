"""Reads what a source declares: its typed functions. The parser too runs in the worker."""

from __future__ import annotations

import ast
import contextlib
import math
from dataclasses import dataclass
from typing import Any

from . import answers
from .outcome import Failed

_SIMPLE = ("text", "number", "bool")
_HINTS = {"str": "text", "float": "number", "int": "number", "list": "list[text] or list[number]"}
_MOST_FUNCTIONS = 64
_MOST_PARAMETERS = 16
_LONGEST_DOC = 4000


class Undeclared(Exception):
    """The source declares nothing that could be a primitive."""


@dataclass(frozen=True, slots=True)
class Declared:
    """A typed function of the source: the types as text, `T?` where None is meant."""

    name: str
    params: tuple[tuple[str, str], ...]
    returns: str
    doc: str

    @property
    def strings(self) -> list[str]:
        """As they go over the wire."""
        return [self.name, self.returns, self.doc, *(s for pair in self.params for s in pair)]

    @property
    def optional(self) -> bool:
        """Whether a value may be absent."""
        return self.returns.endswith("?")

    @staticmethod
    def read(source: str) -> tuple[Declared, ...]:
        """The declared functions of a source, in order; raises Undeclared."""
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise Undeclared(_syntax(error)) from None
        found = [
            _function(node)
            for node in tree.body
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and _typed(node)
        ]
        if not found:
            raise Undeclared(
                "no primitive is declared: write one with types, "
                "def name(completion: text) -> number[0, 1]:"
            )
        if len(found) > _MOST_FUNCTIONS:
            raise Undeclared(f"more than {_MOST_FUNCTIONS} primitives in one file")
        names = [f.name for f in found]
        twice = next((n for n in names if names.count(n) > 1), None)
        if twice:
            raise Undeclared(f"{twice} is declared twice")
        return tuple(found)

    def checked(self, values: Any, rows: int) -> list[float | None]:
        """The values as float64, None where not applicable; raises Failed for anything else."""
        if answers.kind_of(self.returns):
            raise Failed("protocol", f"{self.name} gives {self.returns}: it answers row by row")
        if type(values) is not list or len(values) != rows:
            raise Failed("protocol", f"{self.name} did not give {rows} values")
        return [self.number(value, row) for row, value in enumerate(values)]

    def value(self, value: Any, row: int) -> float | bytes | None:
        """One value as it is sent, held to the declaration; raises Failed."""
        kind = answers.kind_of(self.returns)
        if not kind or value is None:
            return self.number(value, row)
        return answers.encode(kind, value, f"what {self.name} gave in row {row}")

    def number(self, value: Any, row: int) -> float | None:
        """One number or bool, held to the declaration; raises Failed."""
        kind = type(value)
        if kind is float or (kind is int and not self.returns.startswith("bool")) or kind is bool:
            try:
                number = float(value)
            except OverflowError:
                number = math.inf
            if not math.isfinite(number):
                raise Failed("nonfinite", f"{self.name} gave {_shown(number)} in row {row}")
            if kind is float and self.returns.startswith("bool"):
                raise Failed("protocol", f"{self.name} gave a float in row {row}, not a bool")
            return number
        if value is None and self.optional:
            return None
        what = "None" if value is None else f"a value of type {kind.__name__}"
        raise Failed("protocol", f"{self.name} gave {what} in row {row}, not {self.returns}")


def _shown(number: float) -> str:
    return "NaN" if number != number else "a number beyond float64" if number > 0 else "-inf"


def _syntax(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}: {error.msg}"
    if isinstance(error, ValueError):
        return str(error)
    return "the source nests too deeply"


def _typed(node: ast.FunctionDef) -> bool:
    a = node.args
    return node.returns is not None or any(
        p.annotation is not None for p in (*a.posonlyargs, *a.args, *a.kwonlyargs)
    )


def _function(node: ast.FunctionDef) -> Declared:
    where = f"line {node.lineno}: {node.name}"
    a = node.args
    if a.vararg or a.kwarg or a.kwonlyargs or a.defaults:
        raise Undeclared(f"{where} takes plain parameters only: no *, no **, no defaults")
    if node.decorator_list:
        raise Undeclared(f"{where} has a decorator; a primitive is a plain function")
    parameters = [*a.posonlyargs, *a.args]
    if not 1 <= len(parameters) <= _MOST_PARAMETERS:
        raise Undeclared(f"{where} takes between 1 and {_MOST_PARAMETERS} parameters")
    if node.returns is None:
        raise Undeclared(f"{where} has no return type: write -> number[0, 1]")
    returns = _type(node.returns, f"{where} -> ")
    params = []
    for p in parameters:
        if p.annotation is None:
            raise Undeclared(f"{where}: parameter {p.arg} has no type: write {p.arg}: text")
        params.append((p.arg, _type(p.annotation, f"{where}({p.arg}) ")))
    doc = (ast.get_docstring(node) or "")[:_LONGEST_DOC]
    return Declared(node.name, tuple(params), returns, doc)


def _type(node: ast.expr, where: str) -> str:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        sides = [node.left, node.right]
        none = [s for s in sides if isinstance(s, ast.Constant) and s.value is None]
        if len(none) == 1:
            other = next(s for s in sides if s is not none[0])
            inner = _type(other, where)
            return inner if inner.endswith("?") else inner + "?"
    if isinstance(node, ast.Name) and node.id in _SIMPLE:
        return node.id
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        if node.value.id == "list":
            item = _type(node.slice, where)
            if item.startswith("list") or item.endswith("?"):
                raise Undeclared(f"{where}: the items of a list are text, numbers or bools")
            return f"list[{item}]"
        if node.value.id == "number":
            return _range(node.slice, where)
    if isinstance(node, ast.Name) and node.id in _HINTS:
        raise Undeclared(f"{where}: unknown type {node.id}; write {_HINTS[node.id]}")
    raise Undeclared(
        f"{where}: unknown type; write text, number, number[0, 1], bool, list[...] or T | None"
    )


def _range(node: ast.expr, where: str) -> str:
    if isinstance(node, ast.Tuple) and len(node.elts) == 2:
        lo, hi = (_number(e, where) for e in node.elts)
        return f"number[{_plain(lo)}, {_plain(hi)}]"
    if isinstance(node, ast.Set) and node.elts:
        return "number{" + ", ".join(_plain(_number(e, where)) for e in node.elts) + "}"
    raise Undeclared(f"{where}: a range is two numbers: number[0, 1]")


def _number(node: ast.expr, where: str) -> float:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_number(node.operand, where)
    if isinstance(node, ast.Name) and node.id == "inf":
        return math.inf
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        with contextlib.suppress(OverflowError):
            return float(node.value)
    raise Undeclared(f"{where}: a bound of a range is a plain number")


def _plain(value: float) -> str:
    whole = math.isfinite(value) and value == int(value) and abs(value) < 1e15
    return str(int(value)) if whole else repr(value)
