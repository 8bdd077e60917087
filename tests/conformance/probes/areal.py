"""AReaL: `import_from_string`, then the pool of processes that calls reward functions."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
import sys
import types
from pathlib import Path
from typing import Any

from tests.conformance.probes.loading import Seen

PACKAGES = ("areal==1.0.4", "colorlog")
ALONE = True
VERSION = "areal"
HOW = "import_from_string, AsyncRewardWrapper (processes)"


def _part(name: str) -> Any:
    """A module of AReaL without its packages' own imports, which want CUDA kernels."""
    if name not in sys.modules:
        root = importlib.metadata.distribution("areal").locate_file("areal")
        for package in ("areal", "areal.utils", "areal.api"):
            bare = types.ModuleType(package)
            bare.__path__ = [str(Path(str(root)).joinpath(*package.split(".")[1:]))]
            sys.modules.setdefault(package, bare)
    return importlib.import_module(name)


def drive(file: Path, name: str, rows: list[dict[str, Any]], size: int | None) -> Seen:
    sys.path.insert(0, str(file.parent))
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)  # its processes import the file as well
    load = _part("areal.utils.dynamic_import").import_from_string
    wrapper = _part("areal.api.reward_api").AsyncRewardWrapper(
        load(f"{file.stem}.{name}"), timeout_seconds=60, max_workers=1, max_retries=0
    )
    out: Seen = []
    for row in rows:
        data = {k: v for k, v in row.items() if k not in ("completion", "prompt", "completion_ids")}
        ids = row.get("completion_ids", [1])
        texts = (row.get("prompt", "p"), row.get("completion", ""))
        out.append((asyncio.run(wrapper(*texts, [1], ids, **data)), None))
    return out
