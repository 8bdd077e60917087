"""Settings from plain values: each mistake names its place and what fits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from derl_grammar.settings import read_settings, read_values, setting


@dataclass(frozen=True, slots=True)
class Inner:
    steps: int = setting(3, "how many", least=1, most=9)


@dataclass(frozen=True, slots=True)
class Outer:
    name: str | None = setting(None, "what it is called")
    rate: float = setting(0.5, "how fast", least=0)
    quiet: bool = setting(False, "whether it says nothing")
    kind: str = setting("fast", "how", choices=("fast", "exact"))
    files: tuple[str, ...] = setting((), "what is read", example='["a.py"]')
    columns: Mapping[str, str] = setting(dict, "types", example='{ a = "bool" }')
    free: Mapping[str, Any] = setting(dict, "settings of another library")
    inner: Inner = setting(Inner, "a section")


def test_what_fits_is_read() -> None:
    table = {
        "name": "x", "rate": 2, "quiet": True, "files": ["a"], "columns": {"a": "bool"},
        "free": {"any": [1]}, "inner": {"steps": 4},
    }  # fmt: skip
    read = read_settings(Outer, table)
    assert read == Outer("x", 2.0, True, "fast", ("a",), {"a": "bool"}, {"any": [1]}, Inner(4))
    assert type(read.rate) is float
    assert read_settings(Outer, {}) == Outer()
    assert read_values(Outer, {"rate": 1}) == {"rate": 1.0}


MISTAKES: dict[str, dict[str, Any]] = {
    "f: unknown key 'nam' in [top]; did you mean 'name'?": {"nam": "x"},
    "f: unknown key 'xyzzy' in [top]; known: name, rate": {"xyzzy": 1},
    "f: unknown key 'steps' in [top]; it belongs to [top.inner]": {"steps": 4},
    "f: unknown section [top.iner]; did you mean 'inner'?": {"iner": {}},
    "f: [top] inner: expected a section [top.inner], not 3": {"inner": 3},
    "f: [top.inner] steps: expected at most 9, not 10": {"inner": {"steps": 10}},
    "f: [top.inner] steps: expected a whole number, not 1.5": {"inner": {"steps": 1.5}},
    "f: [top.inner] steps: expected a whole number, not True": {"inner": {"steps": True}},
    "f: [top] name: expected a text, not 3": {"name": 3},
    "f: [top] rate: expected at least 0, not nan": {"rate": float("nan")},
    "f: [top] rate: expected a finite number, not inf": {"rate": float("inf")},
    "f: [top] quiet: expected true or false, not 1": {"quiet": 1},
    "f: [top] kind: expected 'fast' or 'exact', not 'fst'; did you mean 'fast'?": {"kind": "fst"},
    'f: [top] files: expected a list of texts, such as ["a.py"]': {"files": "a.py"},
    'f: [top] columns: expected a table, such as { a = "bool" }, not 3': {"columns": 3},
    "f: [top] columns: expected a table of texts": {"columns": {"a": 3}},
}


@pytest.mark.parametrize("message", MISTAKES)
def test_mistakes_name_their_place(message: str) -> None:
    with pytest.raises(ValueError, match=r"^f: ") as error:
        read_settings(Outer, MISTAKES[message], "f", "top")
    assert str(error.value).startswith(message)


def test_mistakes_are_of_the_callers_class() -> None:
    class Mine(ValueError):
        pass

    with pytest.raises(Mine):
        read_settings(Outer, {"inner": {"steps": 0}}, error=Mine)
