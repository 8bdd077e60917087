"""ART (openpipe-art): `after_each` of `gather_trajectory_groups`, whole groups, in place."""

from __future__ import annotations

from derl_dsl.adapters.targets.base import Target

TARGET = Target(
    name="art",
    title="ART",
    version="0.5",
    package="openpipe-art",
    module="art",
    gives=("completion",),
    others="the trajectory's metadata, single values",
    policies=("skip", "raise", "lowest"),
    groups=True,
    lists=False,
    body='''\
import asyncio


def _row(trajectory):
    """The columns of one trajectory: its messages and its metadata."""
    return scorer.row({"completion": trajectory.messages()}, trajectory.metadata)


async def @NAME@(group):
    """Rewards and metrics of a group, set in place; what has no reward leaves the group."""
    rows = [_row(t) for t in group.trajectories]
    found = await asyncio.to_thread(scorer.score_rows, rows, len(rows))
    for k, trajectory in enumerate(group.trajectories):
        row = found[k]
        trajectory.metrics.update({n: p for n, p in row.parts.items() if p == p})
        trajectory.metrics["failed"] = row.failed
        if row.value is not None:
            trajectory.reward = row.value
    kept = [t for k, t in enumerate(group.trajectories) if found.values[k] is not None]
    group.trajectories = kept
    return group if kept else None
''',
    settings="""\
from @MODULE@ import @NAME@
await art.gather_trajectory_groups(groups, after_each=@NAME@)""",
)
