"""Inputs of a kernel as a program names them: a column, a literal, a primitive of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import field
from typing import Any, Protocol

from derl_grammar.records import record
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

    @property
    def cost(self) -> str:
        """What a call costs: `constant`, `scan`, `parse` or `process`."""

    @property
    def default(self) -> float | None:
        """The value of rows that fail; None: they are not applicable."""

    @property
    def fills(self) -> bool:
        """Whether rows in which optional arguments are missing are computed as well, from None."""


# Columns of a conversation with one value for each message, call or result; all other lists have
# one for each step of the episode.
STEPS = {
    "roles": "messages", "contents": "messages", "tool_calls": "calls", "tool_names": "calls",
    "tool_arguments": "calls", "tool_results": "results",
}  # fmt: skip


@record
class Column:
    """A column of the data."""

    name: str
    type: Type

    def __hash__(self) -> int:
        return hash(self.name)

    def __str__(self) -> str:
        return self.name


@record
class Literal:
    """A constant argument of a primitive."""

    value: str | float | bool

    def __str__(self) -> str:
        return repr(self.value)


@record
class Apply:
    """A primitive applied to inputs; `name` is set when a suite gives the whole a name (`g1`).

    `lifted` says whether a primitive of one text is applied to each step's text, `type` is the
    declared type of the values.
    """

    primitive: Applicable
    args: tuple[Source, ...]
    name: str | None = None
    lifted: bool = field(init=False, compare=False, repr=False)
    type: Type = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        # Both are asked for at every use of the input: worked out once.
        lifted, kind = _type_of(self.primitive, self.args)
        object.__setattr__(self, "lifted", lifted)
        object.__setattr__(self, "type", kind)

    def __hash__(self) -> int:
        return hash((self.name, self.primitive.name, self.args))

    def __str__(self) -> str:
        return self.name or f"{self.primitive.name}({', '.join(map(str, self.args))})"


def _type_of(primitive: Applicable, args: tuple[Source, ...]) -> tuple[bool, Type]:
    inputs = [
        (p.type, a)
        for p, a in zip(primitive.params, args, strict=True)
        if not isinstance(a, Literal)
    ]
    lifted = any(isinstance(kind, Text) and isinstance(plain(a), List) for kind, a in inputs)
    result: Type = List(_step(primitive.returns)) if lifted else primitive.returns
    absent = not primitive.fills and any(is_optional(a) for _, a in inputs)
    return lifted, Optional(result) if absent and not isinstance(result, Optional) else result


def _step(returns: Type) -> Type:
    """What a primitive gives at each step: where it has no text, the empty one."""
    return Text() if returns == Optional(Text()) else returns


Source = Column | Literal | Apply


def primitives_of(source: Source) -> Iterator[Applicable]:
    """The primitives that an input is computed with."""
    if isinstance(source, Apply):
        yield source.primitive
        for arg in source.args:
            yield from primitives_of(arg)


def parts_of(source: Source) -> Iterator[Source]:
    """An input and what it is computed from."""
    yield source
    if isinstance(source, Apply):
        for arg in source.args:
            yield from parts_of(arg)


def is_optional(source: Column | Apply) -> bool:
    """Whether an input is not applicable for some rollouts."""
    return isinstance(source.type, Optional)


def plain(source: Column | Apply) -> Type:
    """The type of an input where it is applicable."""
    kind = source.type
    return kind.item if isinstance(kind, Optional) else kind
