"""Atropos: its registry makes the class; it is called on a batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.conformance.probes.loading import Seen, by_path, columns

PACKAGES = ("atroposlib==0.4.0",)
ALONE = True
VERSION = "atroposlib"
HOW = "registry.create, RewardFunction.__call__"


def drive(file: Path, name: str, rows: list[dict[str, Any]], size: int | None) -> Seen:
    from atroposlib.envs.reward_fns import registry

    by_path(file)
    function = registry.create(f"{name}_derl")
    texts = [row.get("completion", "") for row in rows]
    return [(v, None) for v in function(texts, **columns(rows, "completion"))]
