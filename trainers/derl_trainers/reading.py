"""How settings are read: a class of settings from nested plain values, mistakes named with a mend.

Nothing here imports torch.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import Field, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_origin, get_type_hints

T = TypeVar("T")


class ConfigError(ValueError):
    """A config that cannot be used; the message names file, section, key and what is expected."""


def setting(
    default: Any,
    doc: str,
    *,
    least: float | None = None,
    most: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """A dataclass field with its documentation and its limits (both ends included)."""
    return field(
        default=default, metadata={"doc": doc, "least": least, "most": most, "choices": choices}
    )


def read_toml(path: Path, source: str) -> dict[str, Any]:
    """The tables of a TOML file that is there; ConfigError names `source`."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{source}: cannot be read: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source}: not valid TOML: {error}") from None


def build_section(kind: type[T], table: Mapping[str, Any], source: str, name: str) -> T:
    """A settings class from plain values; ConfigError for what it does not know or allow."""
    known: dict[str, Field[Any]] = {f.name: f for f in fields(kind)}  # type: ignore[arg-type]
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for key, value in table.items():
        place = f"{source}: [{name}] {key}" if name else f"{source}: {key}"
        if key not in known:
            raise ConfigError(f"{source}: {_unknown(key, value, name, hints)}")
        if is_dataclass(hints[key]):
            inner = f"{name}.{key}" if name else key
            if not isinstance(value, dict):
                raise ConfigError(f"{place}: expected a section [{inner}], not {_shown(value)}")
            values[key] = build_section(hints[key], value, source, inner)
        elif get_origin(hints[key]) is Mapping:
            # Settings of another library, which it checks itself.
            if not isinstance(value, dict):
                inner = f"{name}.{key}" if name else key
                raise ConfigError(f"{place}: expected a section [{inner}], not {_shown(value)}")
            values[key] = value
        else:
            values[key] = _value(value, hints[key], known[key].metadata, place)
    return kind(**values)


def _unknown(key: str, value: Any, name: str, known: Mapping[str, Any]) -> str:
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
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"{what}; did you mean {near[0]!r}?" if near else f"{what}; known: {', '.join(known)}"


def _value(value: Any, kind: type, limits: Mapping[str, Any], place: str) -> Any:
    if get_origin(kind) is tuple:
        if not isinstance(value, list | tuple) or not all(isinstance(v, str) for v in value):
            raise ConfigError(f'{place}: expected a list of texts, such as ["mine.py"]')
        return tuple(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or isinstance(value, bool) is not (kind is bool):
        words = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
        raise ConfigError(f"{place}: expected {words[kind]}, not {_shown(value)}")
    least, most, choices = limits["least"], limits["most"], limits["choices"]
    if choices and value not in choices:
        near = difflib.get_close_matches(str(value), choices, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"{place}: expected {_choice(choices)}, not {_shown(value)}{hint}")
    # Written so that NaN fails as well.
    if least is not None and not value >= least:
        raise ConfigError(f"{place}: expected at least {least:g}, not {_shown(value)}")
    if (most is not None and not value <= most) or value == float("inf"):
        most = f"at most {most:g}" if most is not None else "a finite number"
        raise ConfigError(f"{place}: expected {most}, not {_shown(value)}")
    return value


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` where a known name is near, else nothing."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def _shown(value: Any) -> str:
    return f"a section with {', '.join(value)}" if isinstance(value, dict) else repr(value)


def _choice(choices: tuple[str, ...]) -> str:
    return " or ".join(repr(c) for c in choices)


def put(table: dict[str, Any], path: str, value: Any, source: str) -> None:
    """Set `section.key` in nested tables; ConfigError where a section is a plain value.

    >>> table = {"inner": {"steps": 3}}
    >>> put(table, "inner.steps", 4, ""), put(table, "task.arithmetic.terms", 5, ""), table
    (None, None, {'inner': {'steps': 4}, 'task': {'arithmetic': {'terms': 5}}})
    """
    *sections, key = path.split(".")
    for depth, section in enumerate(sections, start=1):
        table = table.setdefault(section, {})
        if not isinstance(table, dict):
            raise ConfigError(f"{source}: expected a section [{'.'.join(sections[:depth])}]")
    table[key] = value


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Nested tables with those of `over` on top.

    >>> merged({"inner": {"steps": 3, "prompts": 2}}, {"inner": {"steps": 4}})
    {'inner': {'steps': 4, 'prompts': 2}}
    """
    found = dict(base)
    for key, value in over.items():
        below = found.get(key)
        both = isinstance(value, dict) and isinstance(below, dict)
        found[key] = merged(below, value) if both else value  # type: ignore[arg-type]
    return found
