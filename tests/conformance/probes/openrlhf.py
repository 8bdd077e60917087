"""OpenRLHF: `SingleTurnAgentExecutor` loads the file; its own method calls `reward_func`."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from pathlib import Path
from typing import Any

from tests.conformance.probes.loading import Seen, stopped

PACKAGES = ("openrlhf==0.11.2", "pylatexenc")
ALONE = True
VERSION = "openrlhf"
HOW = "SingleTurnAgentExecutor's loader and call"


def _agent() -> Any:
    """`openrlhf.utils.agent` alone: the package's own import wants deepspeed and CUDA."""
    found = importlib.util.find_spec("openrlhf")
    assert found is not None
    assert found.submodule_search_locations is not None
    path = Path(found.submodule_search_locations[0]) / "utils" / "agent.py"
    spec = importlib.util.spec_from_file_location("openrlhf_agent", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["openrlhf_agent"] = module
    spec.loader.exec_module(module)
    return module


def drive(file: Path, name: str, rows: list[dict[str, Any]], size: int | None) -> Seen:
    executor = _agent().SingleTurnAgentExecutor(str(file))
    out: Seen = []
    for row in rows:
        label = {k: v for k, v in row.items() if k not in ("completion", "prompt")}
        prompt = row.get("prompt", "What?\n")
        query = f"<s>{prompt}{stopped(row.get('completion', ''))}"
        fetch = executor._fetch_rewards_via_func([query], [prompt], [label])
        (found,) = asyncio.run(fetch)
        parts = {k: v.item() for k, v in found["extra_logs"].items() if k != "failed"}
        out.append((found["rewards"].item(), parts))
    return out
