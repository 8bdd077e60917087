"""ms-swift: its plugin loader imports the file, its own loop calls the class positionally."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.conformance.probes.loading import Seen, by_path

PACKAGES = ("ms-swift==4.6.0",)
VERSION = "ms-swift"
HOW = "orms, compute_rewards_per_func of GRPOSamples"


def drive(file: Path, name: str, rows: list[dict[str, Any]], size: int | None) -> Seen:
    import torch
    from swift.rewards import orms
    from swift.rl_core.data import GRPOSample
    from swift.rl_core.grpo_algorithm import compute_rewards_per_func

    by_path(file)
    function = orms[f"{name}_derl"](args=SimpleNamespace(num_generations=size or 1))
    state = SimpleNamespace(global_step=round(rows[0].get("progress", 0.0) * 10), max_steps=10)
    samples = []
    for k, row in enumerate(rows):
        said = {"role": "assistant", "content": row.get("completion", "")}
        known = ("completion", "progress", "completion_ids", "truncated", "prompt")
        samples.append(
            GRPOSample(
                messages=[{"role": "user", "content": "p"}, said],
                prompt_id=str(k // (size or 1)),
                response_token_ids=[row.get("completion_ids", [1])],
                finish_reason="length" if row.get("truncated") else "stop",
                extra={n: v for n, v in row.items() if n not in known},
            )
        )
    found = compute_rewards_per_func(samples, [function], [None], torch.device("cpu"), state)
    return [(None if v != v else v, None) for v in found[:, 0].tolist()]
