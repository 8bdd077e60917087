"""What operators and functions of the language do with texts: primitives without a name in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from derl_grammar.types import Optional, Text
from derl_primitives.arrays import per_row
from derl_primitives.primitive import Primitive, primitive


@primitive("(left: text, right: text) -> bool", cost="constant")
def same_text(left: list[str], right: list[str] | str) -> list[bool]:
    """Whether two texts are equal, character by character."""
    if isinstance(right, str):
        return [a == right for a in left]
    return [a == b for a, b in zip(left, right, strict=True)]


@primitive("(text: text?, value: text?) -> text", cost="constant")
def default_text(text: Sequence[str | None], value: Sequence[str | None] | str) -> list[str | None]:
    """The text where there is one, else the value."""
    values = per_row(text, value)[1]  # type: ignore[arg-type]
    return [v if t is None else t for t, v in zip(text, values, strict=True)]


def filled(optional: bool) -> Primitive:
    """`default` of texts; its value may be missing too."""
    returns = Optional(Text()) if optional else Text()
    return replace(default_text, fills=True, returns=returns)


@primitive("(texts: list[text]) -> number[0, 1e6]", cost="constant", whole=True)
def count_texts(texts: Sequence[Sequence[str]]) -> list[int]:
    """The number of texts of each list."""
    return [len(t) for t in texts]


@primitive("(texts: list[text]) -> text", cost="constant")
def first_text(texts: Sequence[Sequence[str]]) -> list[str]:
    """The first text of each list; the empty one of an empty list."""
    return [t[0] if len(t) else "" for t in texts]


@primitive("(texts: list[text]) -> text", cost="constant")
def last_text(texts: Sequence[Sequence[str]]) -> list[str]:
    """The last text of each list; the empty one of an empty list."""
    return [t[-1] if len(t) else "" for t in texts]


OF_LISTS = {"count": count_texts, "first": first_text, "last": last_text}
