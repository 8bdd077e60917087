"""Types as they are written in reward programs, column declarations and signatures.

`number`, `number[0, 1]`, `number{0, 1}` (a finite set of values), `bool`, `text`,
`list[T]` (one list per rollout) and `T?` (not applicable for some rollouts).
"""

from __future__ import annotations

import math
import re

from derl_grammar.records import record

INF = math.inf


@record
class Number:
    """A float64 in [lo, hi]; `values` lists them all when the domain is finite."""

    lo: float = -INF
    hi: float = INF
    values: tuple[float, ...] | None = None

    def __str__(self) -> str:
        if self.values is not None:
            return "number{" + ", ".join(f"{v:.12g}" for v in self.values) + "}"
        if self.lo == -INF and self.hi == INF:
            return "number"
        return f"number[{self.lo:.12g}, {self.hi:.12g}]"


@record
class Bool:
    """True or false; counts as 1 or 0 in arithmetic."""

    def __str__(self) -> str:
        return "bool"


@record
class Text:
    """A Unicode string."""

    def __str__(self) -> str:
        return "text"


@record
class List:
    """A list of values per rollout (its steps)."""

    item: Type

    def __str__(self) -> str:
        return f"list[{self.item}]"


@record
class Optional:
    """A value that is not applicable for some rollouts."""

    item: Type

    def __str__(self) -> str:
        return f"{self.item}?"


Type = Number | Bool | Text | List | Optional


def finite_number(*values: float) -> Number:
    """The number type whose domain is exactly `values`."""
    ordered = tuple(sorted(values))
    return Number(ordered[0], ordered[-1], ordered)


_TOKEN = re.compile(r"\s*([A-Za-z_]+|[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?inf\b|.)")

_DEEPEST = 16
_SHOWN = 80


class _TypeReader:
    """Recursive-descent reader of one type expression."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _TOKEN.findall(text.rstrip())
        self.at = 0

    def fail(self, what: str) -> ValueError:
        shown = self.text if len(self.text) <= _SHOWN else self.text[:_SHOWN] + "…"
        return ValueError(
            f"cannot read type {shown!r}: {what}; "
            "write number, number[0, 1], number{0, 1}, bool, text, list[T] or T?"
        )

    def take(self, expected: str | None = None) -> str:
        token = self.tokens[self.at] if self.at < len(self.tokens) else ""
        if not token or (expected is not None and token != expected):
            found = repr(token) if token else "the end"
            raise self.fail(
                f"expected {expected!r}, found {found}" if expected else "it ends early"
            )
        self.at += 1
        return token

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def numbers(self, closing: str) -> list[float]:
        out = []
        while True:
            token = self.take()
            try:
                value = float(token)
            except ValueError:
                value = math.nan
            if math.isnan(value) or (closing == "}" and math.isinf(value)):
                raise self.fail(f"{token[:_SHOWN]!r} is no number that fits")
            out.append(value)
            if self.peek() == closing:
                self.take()
                return out
            self.take(",")

    def type(self, depth: int = 0) -> Type:
        if depth > _DEEPEST:
            raise self.fail(f"lists are nested more than {_DEEPEST} deep")
        name = self.take()
        result: Type
        if name == "number" and self.peek() == "[":
            self.take()
            bounds = self.numbers("]")
            if len(bounds) != 2 or not bounds[0] <= bounds[1]:
                raise self.fail("a range is two numbers, the smaller one first")
            result = Number(bounds[0], bounds[1])
        elif name == "number" and self.peek() == "{":
            self.take()
            result = finite_number(*self.numbers("}"))
        elif name == "number":
            result = Number()
        elif name == "bool":
            result = Bool()
        elif name == "text":
            result = Text()
        elif name == "list":
            self.take("[")
            result = List(self.type(depth + 1))
            self.take("]")
        else:
            raise self.fail(f"unknown type {name!r}")
        if self.peek() == "?":
            self.take()
            result = Optional(result)
        return result


def parse_type(text: str) -> Type:
    """Read one type, such as `number[0, 1]` or `list[text]`.

    Raises ValueError that says what was expected.
    """
    reader = _TypeReader(text)
    result = reader.type()
    if reader.peek():
        raise reader.fail(f"unexpected {reader.peek()!r} after the type")
    return result
