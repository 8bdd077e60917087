"""Tinker cookbook: `compute_group_rewards` of the file's builder, as its rollout code calls it."""

from __future__ import annotations

import asyncio
import pickle
from pathlib import Path
from typing import Any

from tests.conformance.probes.loading import Seen, by_path

PACKAGES: tuple[str, ...] = ()
VERSION = ""
HOW = "its protocol (EnvGroupBuilder), pickled; the package wants its service's client"


class Env:
    """An environment whose rollout is over."""

    def __init__(self, row: dict[str, Any]) -> None:
        self.row = row

    def columns(self) -> dict[str, Any]:
        return self.row


class Inner:
    """A builder of finished environments."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows

    async def make_envs(self) -> list[Env]:
        return [Env(row) for row in self.rows]

    def logging_tags(self) -> list[str]:
        return []


def drive(file: Path, name: str, rows: list[dict[str, Any]], size: int | None) -> Seen:
    module = by_path(file)
    made = [v for k, v in vars(module).items() if k.endswith("Reward") and isinstance(v, type)]
    step = size or len(rows)
    out: Seen = []
    for k in range(0, len(rows), step):
        builder = pickle.loads(pickle.dumps(made[0](Inner(rows[k : k + step]))))
        envs = asyncio.run(builder.make_envs())
        found = asyncio.run(builder.compute_group_rewards([None] * len(envs), envs))
        out += [(v, {n: p for n, p in parts.items() if n != "failed"}) for v, parts in found]
    return out
