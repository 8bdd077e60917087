"""torchtitan RL: the file's rubric is built by a `Rollouter`, whose own method scores a group."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import Any

from tests.conformance.probes.loading import Seen, bare, by_path

PACKAGES = (
    "torchtitan==0.3.0", "renderers", "tyro", "docstring-parser", "typeguard", "spmd-types",
    "tensorboard", "protobuf", "absl-py", "openai", "jiter", "distro", "prime-pydantic-config",
    "pydantic", "pydantic-core", "annotated-types", "typing-inspection", "httpx",
    "httpcore", "h11", "anyio", "sniffio",
)  # fmt: skip
ALONE = True
VERSION = "torchtitan"
HOW = "Rollouter.score_group with the file's Rubric"


def drive(file: Path, name: str, rows: list[dict[str, Any]], size: int | None) -> Seen:
    bare("torchtitan", "torchtitan.experiments", "torchtitan.experiments.rl")
    from torchtitan.config import Configurable
    from torchtitan.experiments.rl.environment import MessageEnv
    from torchtitan.experiments.rl.rollout.rollouter import Rollouter
    from torchtitan.experiments.rl.rubrics import Rubric

    class Empty(Configurable):
        """A data set that is not read."""

        @dataclass(kw_only=True, slots=True)
        class Config(Configurable.Config):
            pass

        def __init__(self, config: Any) -> None:
            self.config = config

    sys.modules.pop(file.stem, None)
    made = [v for v in vars(by_path(file)).values() if isinstance(v, type)]
    rubric = next(c for c in made if issubclass(c, Rubric) and c is not Rubric)
    config = Rollouter.Config(
        train_dataset=Empty.Config(), validation_dataset=Empty.Config(), rubric=rubric.Config(),
        message_env=MessageEnv.Config(),
    )  # fmt: skip
    rollouter = config.build()
    step = size or 1
    out: Seen = []
    for at in range(0, len(rows), step):
        out += asyncio.run(_group(rollouter, rows[at : at + step]))
    return out


async def _group(rollouter: Any, rows: list[dict[str, Any]]) -> Seen:
    """One group: what its rows share is the environment's input, other figures are env_rewards."""
    fields = {k: v for k, v in rows[0].items() if k not in ("completion", "truncated")}
    shared = {k: v for k, v in fields.items() if all(row[k] == v for row in rows) or len(rows) == 1}
    made = make_dataclass("EnvInput", shared)(**shared)
    rollouts = [_rollout(k, row, fields.keys() - shared.keys()) for k, row in enumerate(rows)]
    outputs = await rollouter.score_group(rollouts, made)
    parts = [{k: v for k, v in o.reward_breakdown.items() if k != "failed"} for o in outputs]
    return [(output.reward, kept) for output, kept in zip(outputs, parts, strict=True)]


def _rollout(k: int, row: dict[str, Any], own: set[str]) -> Any:
    """A rollout with a turn for each value of its lists of numbers."""
    from torchtitan.experiments.rl.rollout import Rollout, RolloutStatus, RolloutTurn
    from torchtitan.experiments.rl.types import RolloutTurnID

    lists = {n: row[n] for n in own if isinstance(row[n], list) and _numbers(row[n])}
    paid = {n: float(row[n]) for n in own if _numbers([row[n]])}
    turns = []
    for t in range(min(map(len, lists.values()), default=1)):
        said = {"role": "assistant", "content": row.get("completion", "")}
        turn = RolloutTurn(
            rollout_id=RolloutTurnID(group_id=0, rollout_id=k, turn_id=t), prompt_token_ids=[1],
            completion_token_ids=[2], completion_logprobs=[0.0], completion_message=said,
            env_rewards={**paid, **{n: float(v[t]) for n, v in lists.items()}},
        )  # fmt: skip
        turns.append(turn)
    cut = RolloutStatus.TRUNCATED_LENGTH
    status = cut if row.get("truncated") else RolloutStatus.COMPLETED
    return Rollout(group_id=0, rollout_id=k, turns=turns, status=status)


def _numbers(values: list[Any]) -> bool:
    return bool(values) and all(isinstance(value, (bool, int, float)) for value in values)
