"""verl: `get_custom_reward_fn` of a composed config, then the naive reward manager."""

from __future__ import annotations

import asyncio
import shlex
from pathlib import Path
from typing import Any

from tests.conformance.probes.loading import Seen

PACKAGES = ("verl==0.9.1",)
VERSION = "verl"
HOW = "its config of all printed settings, get_custom_reward_fn, NaiveRewardManager"


class Characters:
    """A tokenizer whose tokens are characters."""

    def decode(self, ids: Any, skip_special_tokens: bool = True) -> str:
        return "".join(map(chr, ids.tolist()))


def config(file: Path) -> Any:
    """verl's own PPO config, with the settings that the file prints."""
    import verl.trainer.config as home
    from hydra import compose, initialize_config_dir

    head = file.read_text().partition("# Settings of")[2].partition("\n#\n# It needs")[0]
    lines = [line.removeprefix("#").strip() for line in head.splitlines()[2:]]
    told = [word for line in lines for word in shlex.split(line, comments=True)]
    told = [word.replace("THIS_FILE", str(file)) for word in told]
    assert len(told) == len(lines)
    with initialize_config_dir(str(Path(home.__file__).parent), version_base=None):
        return compose("ppo_trainer", overrides=told)


def setting(file: Path) -> str:
    """Whether the composed config loads our function."""
    from verl.trainer.ppo.reward import get_custom_reward_fn

    loaded = get_custom_reward_fn(config(file))
    return "took" if "compute_score" in repr(loaded) else f"not taken: {loaded!r}"


def drive(file: Path, name: str, rows: list[dict[str, Any]], size: int | None) -> Seen:
    import numpy as np
    import torch
    from verl import DataProto
    from verl.experimental.reward_loop.reward_manager.naive import NaiveRewardManager
    from verl.trainer.ppo.reward import get_custom_reward_fn

    composed = config(file)

    async def score() -> Seen:
        manager = NaiveRewardManager(composed, Characters(), get_custom_reward_fn(composed))
        out: Seen = []
        for row in rows:
            text = row.get("completion", "")
            ids = torch.tensor([[ord(c) for c in text] or [0]])
            mask = torch.ones_like(ids) if text else torch.zeros_like(ids)
            extra = {k: v for k, v in row.items() if k not in ("completion", "answer")}
            kept = {
                "reward_model": [{"ground_truth": row.get("answer")}],
                "data_source": ["x"],
                "extra_info": [extra],
            }
            data = DataProto.from_dict(
                tensors={"responses": ids, "attention_mask": mask},
                non_tensors={k: np.array(v, dtype=object) for k, v in kept.items()},
            )
            found = await manager.run_single(data)
            info = found["reward_extra_info"]
            parts = {k: v for k, v in info.items() if k not in ("score", "acc", "failed")}
            out.append((found["reward_score"], parts))
        return out

    return asyncio.run(score())
