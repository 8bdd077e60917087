"""slime with --group-rm: a whole group a call."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.conformance.probes.loading import Seen, by_path
from tests.conformance.probes.slime import sample

PACKAGES: tuple[str, ...] = ()
VERSION = ""
HOW = "as documented (no package): `await fn(args, samples)`"


def drive(file: Path, name: str, rows: list[dict[str, Any]], size: int | None) -> Seen:
    function = getattr(by_path(file), name)
    step = size or len(rows)
    groups = [rows[k : k + step] for k in range(0, len(rows), step)]
    found = [asyncio.run(function(None, [sample(r) for r in group])) for group in groups]
    return [(value, None) for group in found for value in group]
