"""How configs are read: TOML files, settings put into nested tables, tables over one another.

Nothing here imports torch.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from derl_runtime.files import read_regular

_LARGEST = 16 << 20  # bytes of a config


class ConfigError(ValueError):
    """A config that cannot be used; the message names file, section, key and what is expected."""


def read_toml(path: Path, source: str) -> dict[str, Any]:
    """The tables of a TOML file that is there; ConfigError names `source`."""
    try:
        return tomllib.loads(read_regular(path, _LARGEST).decode())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{source}: cannot be read: {error}") from None
    except RecursionError:
        raise ConfigError(f"{source}: not valid TOML: nested too deeply") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{source}: not valid TOML: {error}") from None


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


def as_toml(table: Mapping[str, Any], within: str = "") -> str:
    """Nested tables as TOML, None left out; what `read_toml` reads is equal to them.

    >>> print(as_toml({"seed": 1, "meta": {"given": ("g1",), "trl": {}}}))
    seed = 1
    [meta]
    given = ["g1"]
    [meta.trl]
    <BLANKLINE>
    """
    plain = {k: v for k, v in table.items() if v is not None and not isinstance(v, Mapping)}
    lines = [f"{_key(k)} = {json.dumps(v)}\n" for k, v in plain.items()]
    for name, value in table.items():
        if isinstance(value, Mapping):
            place = within + _key(name)
            lines.append(f"[{place}]\n{as_toml(value, place + '.')}")
    return "".join(lines)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[\w-]+", name, re.ASCII) else json.dumps(name)


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
