"""Inputs of a kernel as a program names them: a column, a literal, a primitive of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from derl_grammar.types import List, Optional, Text, Type


class Parameter(Protocol):
    """A parameter of a primitive."""

    @property
    def type(self) -> Type:
        """Its type."""


class Applicable(Protocol):
    """What the runtime needs of a primitive."""

    @property
    def name(self) -> str:
        """The primitive's name."""

    @property
    def params(self) -> tuple[Parameter, ...]:
        """Its parameters."""

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
    def lifted(self) -> bool:
        """Whether a primitive of one text is applied to each step's text."""
        kinds = zip(self.primitive.params, self.args, strict=True)
        return any(
            isinstance(p.type, Text) and isinstance(plain(a), List)
            for p, a in kinds
            if not isinstance(a, Literal)
        )

    @property
    def type(self) -> Type:
        """The declared type of the values."""
        returns = self.primitive.returns
        result: Type = List(returns) if self.lifted else returns
        absent = any(not isinstance(a, Literal) and is_optional(a) for a in self.args)
        return Optional(result) if absent and not isinstance(result, Optional) else result

    def __str__(self) -> str:
        return self.name or f"{self.primitive.name}({', '.join(map(str, self.args))})"


Source = Column | Literal | Apply


def is_optional(source: Column | Apply) -> bool:
    """Whether an input is not applicable for some rollouts."""
    return isinstance(source.type, Optional)


def plain(source: Column | Apply) -> Type:
    """The type of an input where it is applicable."""
    kind = source.type
    return kind.item if isinstance(kind, Optional) else kind
