"""miles: `rm_hub.async_rm` loads the function by its path and calls it with a `Sample`."""

from __future__ import annotations

import asyncio
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from tests.conformance.probes.loading import Seen, stopped

PACKAGES = (
    "miles-rl==0.0.2", "httpx", "httpcore", "h11", "anyio", "sniffio", "certifi", "pylatexenc",
)  # fmt: skip
ALONE = True
VERSION = "miles-rl"
HOW = "rm_hub.async_rm, Sample.get_reward_value"


def drive(file: Path, name: str, rows: list[dict[str, Any]], size: int | None) -> Seen:
    from miles.rollout.rm_hub import async_rm

    sys.path.insert(0, str(file.parent))
    args = Namespace(custom_rm_path=f"{file.stem}.{name}", reward_key="score")
    out: Seen = []
    for row in rows:
        made = sample(row)
        made.reward = asyncio.run(async_rm(args, made))
        parts = {k: v for k, v in made.reward.items() if k not in ("score", "failed")}
        out.append((made.get_reward_value(args), parts))
    return out


def sample(row: dict[str, Any]) -> Any:
    """A sample of miles."""
    from miles.utils.types import Sample

    known = ("completion", "prompt", "answer", "truncated")
    status = Sample.Status.TRUNCATED if row.get("truncated") else Sample.Status.COMPLETED
    return Sample(
        response=stopped(row.get("completion", "")), prompt=row.get("prompt", "p"), status=status,
        label=row.get("answer"), metadata={k: v for k, v in row.items() if k not in known},
    )  # fmt: skip
