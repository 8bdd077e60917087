"""Settings from tables of plain values (TOML, JSON): a mistake names its place and what fits.

A class of settings is a dataclass whose fields are made by `setting`. Training configs,
`[tool.derl]`, sandboxes and test files are all read here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import Field, field, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from derl_grammar.near import did_you_mean, suggestion

T = TypeVar("T")
_WORDS = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    list: "a list",
    dict: "a table",
}


def setting(
    default: Any,
    doc: str = "",
    *,
    least: float | None = None,
    most: float | None = None,
    choices: tuple[str, ...] = (),
    example: str = "",
) -> Any:
    """A dataclass field with its documentation and its limits (both ends included).

    A class stands for a default that is made anew; `example` shows what fits.
    """
    metadata = {"doc": doc, "least": least, "most": most, "choices": choices, "example": example}
    if isinstance(default, type):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


def read_settings(
    kind: type[T],
    table: Mapping[str, Any],
    source: str = "",
    name: str = "",
    error: type[ValueError] = ValueError,
) -> T:
    """A class of settings from plain values; `error` for what it does not know or allow.

    `source` names the file, `name` the section, both for messages.
    """
    return kind(**read_values(kind, table, source, name, error))


def read_values(
    kind: type,
    table: Mapping[str, Any],
    source: str = "",
    name: str = "",
    error: type[ValueError] = ValueError,
    more: Iterable[str] = (),
) -> dict[str, Any]:
    """The given settings of a class by name; `more` are keys that somebody else reads."""
    known: dict[str, Field[Any]] = {f.name: f for f in fields(kind)}
    hints = get_type_hints(kind)
    found: dict[str, Any] = {}
    place = f"{source}: " if source else ""
    for key, value in table.items():
        inner = f"{name}.{key}" if name else key
        if key not in known:
            raise error(place + _unknown(key, value, name, hints, more))
        if is_dataclass(hints[key]):
            if not isinstance(value, dict):
                raise error(f"{place}{_at(name, key)}: expected a section [{inner}], "
                            f"not {_shown(value)}")  # fmt: skip
            found[key] = read_settings(hints[key], value, source, inner, error)
            continue
        problem = _problem(value, hints[key], known[key].metadata)
        if problem:
            raise error(f"{place}{_at(name, key)}: expected {problem}")
        found[key] = _converted(value, hints[key])
    return found


def _at(name: str, key: str) -> str:
    return f"[{name}] {key}" if name else key


def _unknown(key: str, value: Any, name: str, known: Mapping[str, Any], more: Iterable[str]) -> str:
    what = f"unknown section [{f'{name}.{key}' if name else key}]"
    if not isinstance(value, dict):
        what = f"unknown key {key!r} in [{name}]" if name else f"unknown key {key!r}"
    homes = [
        f"[{name}.{section}]" if name else f"[{section}]"
        for section, kind in known.items()
        if is_dataclass(kind) and key in {f.name for f in fields(kind)}
    ]
    if homes:
        return f"{what}; it belongs to {' or '.join(homes)}"
    return f"{what}; {did_you_mean(key, [*known, *more], 'known:')}"


def _problem(value: Any, kind: Any, limits: Mapping[str, Any]) -> str | None:
    """What was expected instead of a value, and what was given; None when it fits."""
    example = f", such as {limits['example']}" if limits.get("example") else ""
    if isinstance(kind, UnionType):
        (kind,) = (part for part in get_args(kind) if part is not NoneType)
    origin = get_origin(kind)
    if origin is tuple:
        what, such = _LISTS[get_args(kind)[0]]
        fits = isinstance(value, list | tuple) and all(type(v) is get_args(kind)[0] for v in value)
        return None if fits else f"a list of {what}{example or such}"
    if origin is Mapping:
        inner = get_args(kind)[1]
        if not isinstance(value, dict):
            return f"a table{example}, not {_shown(value)}"
        wrong = [v for v in value.values() if inner is str and not isinstance(v, str)]
        return f"a table of texts{example}, not {_shown(wrong[0])} in it" if wrong else None
    if kind is Any:
        return None
    kind = origin or kind
    number = int | float if kind is float else kind
    if not isinstance(value, number) or isinstance(value, bool) is not (kind is bool):
        return f"{_WORDS[kind]}{example}, not {_shown(value)}"
    return _beyond(value, limits)


_LISTS = {str: ("texts", ', such as ["mine.py"]'), int: ("whole numbers", ", such as [5, 10]")}


def _beyond(value: Any, limits: Mapping[str, Any]) -> str | None:
    """What a value of the right kind is not."""
    least, most, choices = (limits.get(key) for key in ("least", "most", "choices"))
    if choices and value not in choices:
        shown = f"{' or '.join(map(repr, choices))}, not {_shown(value)}"
        return shown + suggestion(str(value), choices)
    # Written so that NaN fails as well.
    if least is not None and not value >= least:
        return f"at least {least:g}, not {_shown(value)}"
    if most is not None and not value <= most:
        return f"at most {most:g}, not {_shown(value)}"
    endless = isinstance(value, float) and not math.isfinite(value)
    return f"a finite number, not {_shown(value)}" if endless else None


def _converted(value: Any, kind: Any) -> Any:
    if kind is float:
        return float(value)
    return tuple(value) if isinstance(value, list) and _is_tuple(kind) else value


def _is_tuple(kind: Any) -> bool:
    parts = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    return any(get_origin(part) is tuple for part in parts)


def _shown(value: Any) -> str:
    return f"a section with {', '.join(value)}" if isinstance(value, dict) else f"{value!r:.60}"
