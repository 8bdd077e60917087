"""ART: `gather_trajectory_groups` with the file's function as `after_each`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.conformance.probes.loading import Seen, by_path

PACKAGES = ("openpipe-art==0.5.18",)
VERSION = "openpipe-art"
HOW = "gather_trajectory_groups(after_each=)"


def drive(file: Path, name: str, rows: list[dict[str, Any]], size: int | None) -> Seen:
    import art

    function = getattr(by_path(file), name)
    step = size or len(rows)
    kept: dict[int, Any] = {}

    def trajectory(k: int) -> Any:
        fields = {n: v for n, v in rows[k].items() if n != "completion"}
        fields = {n: v for n, v in fields.items() if not isinstance(v, (list, dict))}
        said = [
            {"role": "user", "content": "p"},
            {"role": "assistant", "content": rows[k].get("completion", "")},
        ]
        made = art.Trajectory(messages_and_choices=said, metadata={**fields, "row": k})
        return made

    async def group(at: int) -> Any:
        return art.TrajectoryGroup([trajectory(k) for k in range(at, at + step)])

    async def run() -> None:
        made = [group(at) for at in range(0, len(rows), step)]
        for found in await art.gather_trajectory_groups(made, after_each=function):
            kept.update({t.metadata["row"]: t for t in found.trajectories})

    asyncio.run(run())
    return [
        (kept[k].reward, {n: v for n, v in kept[k].metrics.items() if n != "failed"})
        if k in kept
        else (None, None)
        for k in range(len(rows))
    ]
