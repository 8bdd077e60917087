"""AReaL: `import_from_string`, then the pool of processes that calls reward functions."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from tests.conformance.probes.loading import Seen, bare, stopped

PACKAGES = ("areal==1.0.4", "colorlog")
ALONE = True
VERSION = "areal"
HOW = "import_from_string, AsyncRewardWrapper (processes)"


def drive(file: Path, name: str, rows: list[dict[str, Any]], size: int | None) -> Seen:
    sys.path.insert(0, str(file.parent))
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)  # its processes import the file as well
    bare("areal", "areal", "areal.utils", "areal.api")
    from areal.api.reward_api import AsyncRewardWrapper
    from areal.utils.dynamic_import import import_from_string

    function = import_from_string(f"{file.stem}.{name}")
    wrapper = AsyncRewardWrapper(function, timeout_seconds=60, max_workers=1, max_retries=0)
    out: Seen = []
    for row in rows:
        data = {k: v for k, v in row.items() if k not in ("completion", "prompt", "completion_ids")}
        ids = row.get("completion_ids", [1])
        texts = (row.get("prompt", "p"), stopped(row.get("completion", "")))
        out.append((asyncio.run(wrapper(*texts, [1], ids, **data)), None))
    return out
