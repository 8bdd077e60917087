"""slime: no package; the file is called as `rm_hub` calls it, with a sample of its fields."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.conformance.probes.loading import Seen, by_path, stopped

PACKAGES: tuple[str, ...] = ()
VERSION = ""
HOW = "as documented (no package): `await fn(args, sample)`"


def sample(row: dict[str, Any]) -> Any:
    """A sample with the fields that slime documents."""
    known = ("completion", "prompt", "answer", "truncated")
    status = SimpleNamespace(value="truncated" if row.get("truncated") else "completed")
    return SimpleNamespace(
        response=stopped(row.get("completion", "")), prompt=row.get("prompt", "p"), status=status,
        label=row.get("answer"), metadata={k: v for k, v in row.items() if k not in known},
    )  # fmt: skip


def drive(file: Path, name: str, rows: list[dict[str, Any]], size: int | None) -> Seen:
    function = getattr(by_path(file), name)
    out: Seen = []
    for row in rows:
        found = asyncio.run(function(None, sample(row)))
        parts = {k: v for k, v in found.items() if k not in ("score", "failed")}
        out.append((found["score"], parts))
    return out
