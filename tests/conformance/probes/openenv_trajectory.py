"""OpenEnv: the file's class is a TrajectoryRubric, called at each step of an episode."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.conformance.probes.loading import Seen, by_path

PACKAGES = ("openenv-core==0.3.0",)
VERSION = "openenv-core"
HOME = "openenv"  # its environment
HOW = "TrajectoryRubric.__call__ at each step, compute_step_rewards"


def drive(file: Path, name: str, rows: list[dict[str, Any]], size: int | None) -> Seen:
    from openenv.core.env_server.types import Action, Observation
    from openenv.core.rubrics import TrajectoryRubric

    class Said(Action):
        message: str

    module = by_path(file)
    made = [v for k, v in vars(module).items() if k.endswith("Reward")]
    rubric = made[0]()
    assert isinstance(rubric, TrajectoryRubric)
    scorer = module.scorer
    stepped = scorer.reward.graph.steps is not None
    out: Seen = []
    for row in rows:
        fields = {k: v for k, v in row.items() if k != "completion"}
        lists = {n: row[n] for n in scorer.lists} if stepped else {}
        count = len(row[scorer.lists[0]]) if stepped else 1
        rubric.reset()
        value = 0.0
        for k in range(count):
            own = {**fields, **{n: v[k] for n, v in lists.items()}}
            seen = Observation(metadata=own, done=k == count - 1)
            value = rubric(Said(message=row.get("completion", "")), seen)
        paid = rubric.compute_step_rewards()
        if stepped:
            each = {f"step {k}": step for k, step in enumerate(paid[:-1])}
            out.append((value + sum(paid), {**rubric.last_parts, **each}))
        else:
            assert paid == [value]
            out.append((value, rubric.last_parts))
    return out
