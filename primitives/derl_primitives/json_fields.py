"""Fields of a text that is JSON: texts, numbers, lists and names, by their path."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from derl_primitives.arrays import MOST_PARTS, floats, per_row
from derl_primitives.layout import read_json
from derl_primitives.numerals import held
from derl_primitives.primitive import primitive

if TYPE_CHECKING:
    from derl_primitives.arrays import Floats

Texts = Sequence[str] | str
_SOURCE = "RFC 8259; paths with dots, or JSON Pointers (RFC 6901)"
_LONGEST_INDEX = 6


def path_problem(path: str) -> str | None:
    """What is wrong with a path, or None.

    >>> path_problem("arguments.cities.0"), path_problem("a..b")
    (None, 'write names and positions with dots between: "arguments.cities.0"')
    """
    if path.startswith("/") or not path or "" not in path.split("."):
        return None
    return 'write names and positions with dots between: "arguments.cities.0"'


@lru_cache(maxsize=64)
def _steps(path: str) -> tuple[str, ...]:
    if path.startswith("/"):
        return tuple(s.replace("~1", "/").replace("~0", "~") for s in path[1:].split("/"))
    return tuple(path.split(".")) if path else ()


class _Nothing:
    """What stands at a path that leads nowhere; JSON's null is a value."""


def _at(text: str, path: str) -> Any:
    """The value at a path of a text; `_Nothing` when the text is no JSON or the path leads out."""
    fine, value = read_json(text)
    if not fine:
        return _Nothing
    for step in _steps(path):
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and _is_index(step) and int(step) < len(value):
            value = value[int(step)]
        else:
            return _Nothing
    return value


def _is_index(step: str) -> bool:
    return step.isascii() and step.isdecimal() and len(step) <= _LONGEST_INDEX


def _written(value: Any) -> str | None:
    """A text as it is, anything else as JSON without spaces, names in order."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(
            value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True
        )
    except (ValueError, RecursionError):  # an infinite number such as 1e999; too deep
        return None


@primitive(
    "(text: text, path: text) -> text?",
    cost="parse",
    source=_SOURCE,
    literals={"path": path_problem},
)
def json_text(text: Texts, path: str) -> list[str | None]:
    """The text at a path of a text that is JSON; not applicable when there is no such field.

    Names and positions have dots between them, `"arguments.cities.0"`; a JSON Pointer
    (`"/a.b/0"`) reaches names with dots; `""` is the whole. A value that is no text is written as
    JSON without spaces, its names in order. Texts of more than 65,536 characters are not read.

    >>> json_text(['{"name": "go", "to": {"y": 2, "x": [1]}}', "{"], "to")
    ['{"x":[1],"y":2}', None]
    """
    (text,) = per_row(text)
    values = (_at(t, path) for t in text)
    return [None if v is _Nothing else _written(v) for v in values]


@primitive(
    "(text: text, path: text) -> number[-1e15, 1e15]?",
    cost="parse",
    source=_SOURCE,
    literals={"path": path_problem},
)
def json_number(text: Texts, path: str) -> Floats:
    """The number at a path of a text that is JSON; not applicable when there is none.

    `true`, a text that holds a number, and a number beyond ±1e15 are none. Paths are those of
    `json_text`.

    >>> json_number(['{"score": 4, "of": "5"}', "{}"], "score").tolist()
    [4.0, nan]
    """
    (text,) = per_row(text)
    return floats((_number(_at(t, path)) for t in text), len(text))


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    return float(value) if held(value) else math.nan


@primitive(
    "(text: text, path: text) -> list[text]?",
    cost="parse",
    source=_SOURCE,
    literals={"path": path_problem},
)
def json_list(text: Texts, path: str) -> list[list[str] | None]:
    """The values of the list at a path of a text that is JSON, each as `json_text` writes it.

    Not applicable when there is no list; of more than 4,096 values the first ones.

    >>> json_list(['{"names": ["go", 2, {"b": null}]}', '{"names": "go"}'], "names")
    [['go', '2', '{"b":null}'], None]
    """
    (text,) = per_row(text)
    return [_listed(_at(t, path)) for t in text]


def _listed(value: Any) -> list[str] | None:
    if not isinstance(value, list):
        return None
    found = [_written(v) for v in value[:MOST_PARTS]]
    return [v for v in found if v is not None] if None not in found else None


@primitive(
    "(text: text, path: text) -> list[text]?",
    cost="parse",
    source=_SOURCE,
    literals={"path": path_problem},
)
def json_keys(text: Texts, path: str) -> list[list[str] | None]:
    """The names of the object at a path of a text that is JSON, in order.

    Not applicable when there is no object; of more than 4,096 names the first ones.

    >>> json_keys(['{"go": {"x": 1, "y": 2}}', "[]"], "go")
    [['x', 'y'], None]
    """
    (text,) = per_row(text)
    values = (_at(t, path) for t in text)
    return [list(v)[:MOST_PARTS] if isinstance(v, dict) else None for v in values]
