"""AReaL's agents: what the function returns goes to the cache of interactions, as `run`'s does."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from tests.conformance.probes.loading import Seen, bare, by_path

PACKAGES = (
    "areal==1.0.4", "colorlog", "openai", "jiter", "distro", "pydantic", "pydantic-core",
    "annotated-types", "typing-inspection", "httpx", "httpcore", "h11", "anyio", "sniffio",
    "uvloop", "hydra-core", "omegaconf", "antlr4-python3-runtime==4.9.3",
)  # fmt: skip
ALONE = True
VERSION = "areal"
HOW = "InteractionCache.set_reward of each completion"


def drive(file: Path, name: str, rows: list[dict[str, Any]], size: int | None) -> Seen:
    bare("areal", "areal", "areal.utils", "areal.api", "areal.experimental")
    bare("areal", "areal.experimental.openai", "areal.infra", "areal.engine")
    bare("areal", "areal.engine.fsdp_utils")
    from areal.api import io_struct

    vars(sys.modules["areal.api"])["ModelResponse"] = io_struct.ModelResponse
    from areal.experimental.openai.cache import InteractionCache
    from areal.experimental.openai.types import InteractionWithTokenLogpReward

    module = by_path(file)
    scorer = module.scorer
    stepped = scorer.reward.graph.steps is not None
    out: Seen = []
    for row in rows:
        ids = [f"c{k}" for k in range(len(row[scorer.lists[0]]) if stepped else 1)]
        cache = InteractionCache()
        for i in ids:
            cache[i] = InteractionWithTokenLogpReward(_interaction_id=i)
        for completion, reward in asyncio.run(getattr(module, name)(ids, **row)).items():
            cache.set_reward(completion, reward)
        each = {f"step {k}": cache[i].reward for k, i in enumerate(ids[:-1])}
        out.append((cache.total_reward, each if stepped else None))
    return out
