"""Tinker cookbook: rewards of a group of trajectories, whole groups by its own protocol."""

from __future__ import annotations

from derl_dsl.adapters.targets.base import Target

TARGET = Target(
    name="tinker",
    title="Tinker cookbook",
    version="0.6",
    package="tinker-cookbook",
    module="tinker_cookbook",
    gives=("completion",),
    others="what your environment's `columns()` returns",
    policies=("lowest", "raise"),
    groups=True,
    body='''\
import asyncio
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class @CLASS@:
    """An EnvGroupBuilder around yours: its environments, and this reward for their group.

    Each environment has a method `columns()` that returns the columns of its finished rollout, the
    completion among them; its own steps should pay 0.
    """

    inner: Any

    async def make_envs(self):
        return await self.inner.make_envs()

    async def compute_group_rewards(self, trajectory_group, env_group):
        rows = [scorer.row(env.columns()) for env in env_group]
        found = await asyncio.to_thread(scorer.score_rows, rows, len(rows))
        out = []
        for k in range(len(rows)):
            row = found[k]
            parts = {name: part for name, part in row.beside("failed").items() if part == part}
            out.append((row.value, {**parts, "failed": float(row.failed)}))
        return out

    async def cleanup(self):
        await self.inner.cleanup()

    def logging_tags(self):
        return [*self.inner.logging_tags(), "@NAME@"]
''',
    settings="""\
from @MODULE@ import @CLASS@
@CLASS@(your_env_group_builder)   # where your RLDataset builds its batches""",
)
