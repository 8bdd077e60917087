"""NeMo-RL: an environment whose one step pays."""

from __future__ import annotations

from derl_dsl.adapters.targets.base import Target

TARGET = Target(
    name="nemo-rl",
    title="NeMo-RL",
    version="0.7",
    package=None,
    module="nemo_rl",
    gives=("completion", "prompt"),
    others="the rollout's metadata (its ground_truth is the answer)",
    policies=("lowest", "raise"),
    body='''\
import ray
import torch
from nemo_rl.environments.interfaces import EnvironmentInterface, EnvironmentReturn


def _row(log, metadata):
    """The columns of one conversation and its metadata."""
    asked = [m["content"] for m in log if m["role"] == "user"]
    own = {"completion": log, "prompt": asked[-1] if asked else ""}
    if "ground_truth" in metadata:
        own["answer"] = metadata["ground_truth"]
    return scorer.row(own, metadata)


@ray.remote
class @CLASS@(EnvironmentInterface):
    """Single-turn: every step ends and is paid."""

    def __init__(self, cfg=None):
        self.cfg = cfg

    def step(self, message_log_batch, metadata):
        rows = [_row(log, m) for log, m in zip(message_log_batch, metadata, strict=True)]
        found = scorer.score_rows(rows)
        count = len(rows)
        return EnvironmentReturn(
            observations=[{"role": "environment", "content": ""}] * count,
            metadata=metadata,
            next_stop_strings=[None] * count,
            rewards=torch.tensor(found.values, dtype=torch.float32),
            terminateds=torch.ones(count),
            answers=None,
        )

    def global_post_process_and_metrics(self, batch):
        return batch, {"reward": batch["total_reward"].mean().item()}
''',
    settings="""\
nemo_rl.environments.utils.register_env("@ID@", "@MODULE@.@CLASS@")
env: {@ID@: {}}""",
)
