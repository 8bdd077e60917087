"""The examples in docstrings hold; those of primitives are tested with the primitives."""

from __future__ import annotations

import doctest
import re
from importlib import import_module
from pathlib import Path

import pytest

from tests.conftest import ROOT

ROOMS = ("grammar", "runtime", "derl_dsl", "trainers")
EXAMPLE = re.compile(r"^ *>>> ", re.M)


def modules_with_examples() -> list[str]:
    files = [f for room in ROOMS for f in (ROOT / room).rglob("*.py")]
    shown = [f.relative_to(ROOT) for f in files if EXAMPLE.search(f.read_text("utf-8"))]
    return sorted(module_of(f) for f in shown)


def module_of(file: Path) -> str:
    parts = file.with_suffix("").parts[1:]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples(name: str) -> None:
    found = doctest.testmod(import_module(name), optionflags=doctest.ELLIPSIS)
    assert found.attempted > 0
    assert found.failed == 0
