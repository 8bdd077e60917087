"""Short, harmless excerpts of completions: control and invisible characters are shown, not sent."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any

from derl_grammar.visible import visible

_COLUMNS = ("completion", "completions", "response", "output")


def excerpt(text: str, width: int, breaks: bool = False) -> str:
    """Beginning and end of a text in at most `width` characters: the end is where answers are.

    >>> excerpt("a long way to the answer 42", 15)
    'a long … wer 42'
    """
    if len(text) > width:
        text = text[:width] + text[-width:]  # no more than this is ever looked at
        cut = True
    else:
        cut = False
    text = visible(text, breaks)
    if not cut and len(text) <= width:
        return text
    head = (width - 2) // 2
    tail = width - 3 - head
    return f"{text[:head].rstrip()} … {text[len(text) - tail :].lstrip()}"


def text_column(names: Container[str]) -> str | None:
    """The column that holds the completions, where there is one of a usual name."""
    return next((name for name in _COLUMNS if name in names), None)


def text_of(value: Any) -> str | None:
    """A completion as text, None where there is none; of messages the last one's content."""
    if isinstance(value, list) and value and isinstance(value[-1], dict):
        value = value[-1].get("content")
    return value if isinstance(value, str) else None


def texts(data: Mapping[str, Sequence[Any]]) -> list[str | None] | None:
    """The completion of each row; None where no column holds them."""
    name = text_column(data)
    return None if name is None else [text_of(value) for value in data[name]]
