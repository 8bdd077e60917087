"""What several probes do: import a file as its trainer would."""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

Seen = list[tuple[Any, dict[str, Any] | None]]


def by_path(file: Path) -> ModuleType:
    """The module of a file, also found by name, so that what is in it pickles."""
    sys.path.insert(0, str(file.parent))
    sys.modules.pop(file.stem, None)
    try:
        return importlib.import_module(file.stem)
    finally:
        sys.path.pop(0)


def columns(rows: list[dict[str, Any]], *without: str) -> dict[str, list[Any]]:
    """Rows as columns."""
    return {name: [row[name] for row in rows] for name in rows[0] if name not in without}


def bare(distribution: str, *packages: str) -> None:
    """Packages without what they import by themselves: that wants CUDA."""
    root = Path(str(importlib.metadata.distribution(distribution).locate_file("")))
    for package in packages:
        made = ModuleType(package)
        made.__path__ = [str(root.joinpath(*package.split(".")))]
        sys.modules.setdefault(package, made)


def stopped(said: Any) -> Any:
    """A completion as trainers give it that decode its stop token, too; messages as they are."""
    return f"{said}<|im_end|>" if isinstance(said, str) else said
