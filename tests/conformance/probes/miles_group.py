"""miles with --group-rm: `rm_hub.batched_async_rm` calls the function with a whole group."""

from __future__ import annotations

import asyncio
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from tests.conformance.probes.loading import Seen
from tests.conformance.probes.miles import ALONE, PACKAGES, VERSION, sample

__all__ = ["ALONE", "PACKAGES", "VERSION"]
HOME = "miles"  # its environment
HOW = "rm_hub.batched_async_rm"


def drive(file: Path, name: str, rows: list[dict[str, Any]], size: int | None) -> Seen:
    from miles.rollout.rm_hub import batched_async_rm

    sys.path.insert(0, str(file.parent))
    args = Namespace(custom_rm_path=f"{file.stem}.{name}", reward_key=None)
    step = size or len(rows)
    out: Seen = []
    for at in range(0, len(rows), step):
        group = [sample(row) for row in rows[at : at + step]]
        asyncio.run(batched_async_rm(args, group, inplace_set_reward_field=True))
        out += [(made.get_reward_value(args), None) for made in group]
    return out
