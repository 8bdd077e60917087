"""TRL's AsyncGRPO: its worker scores one group a call, with the file's function pickled to it."""

from __future__ import annotations

import asyncio
import logging
import pickle
from pathlib import Path
from typing import Any

from tests.conformance.probes.loading import Seen, by_path, columns

PACKAGES: tuple[str, ...] = ()
VERSION = "trl"
PARTS = "means"
HOW = "AsyncRolloutWorker's loop: _score_group, the function pickled"


class Means(logging.Handler):
    """The parts' means as they are logged: (name, mean) each."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        if "parts/" in record.msg:
            _, name, mean = record.args  # type: ignore[misc]
            self.seen[name] = mean  # type: ignore[index, assignment]


def drive(file: Path, name: str, rows: list[dict[str, Any]], size: int | None) -> Seen:
    function = pickle.loads(pickle.dumps(getattr(by_path(file), name)))
    step = size or len(rows)
    means = Means()
    log = logging.getLogger("derl_dsl.adapters.rows")
    log.setLevel(logging.INFO)
    log.addHandler(means)
    out: Seen = []
    for at in range(0, len(rows), step):
        samples = asyncio.run(_worker(function)._score_group(_group(rows[at : at + step], at)))
        values = [sample.metrics["reward"] for sample in samples]
        parts = None if size else means.seen
        out += [(None if v != v else v, parts) for v in values]
    log.removeHandler(means)
    return out


def _worker(function: Any) -> Any:
    """As much of a worker's loop as scoring takes."""
    from accelerate import PartialState
    from trl.experimental.async_grpo.async_rollout_worker import _AsyncRolloutLoop

    PartialState()  # its log wants one
    made = _AsyncRolloutLoop.__new__(_AsyncRolloutLoop)
    made.reward_funcs, made.reward_func_names = [function], [function.__name__]
    made._env_reward_types, made._provides_rollout_reward = [], False
    return made


def _group(rows: list[dict[str, Any]], at: int) -> Any:
    from trl.experimental.async_grpo.async_rollout_worker import RolloutGroup, TrainingSequence

    sequence = TrainingSequence([1, 2], [0, 1], [0.0, -1.0], 0)
    return RolloutGroup(
        prompts=[[{"role": "user", "content": row.get("prompt", "p")}] for row in rows],
        reward_kwargs=columns(rows, "completion", "prompt", "completion_ids", "progress"),
        completions=[
            [{"role": "assistant", "content": row.get("completion", "")}] for row in rows
        ],
        completions_ids=[row.get("completion_ids", [1]) for row in rows],
        completions_sequences=[[sequence] for _ in rows],
        tool_call_counts=[0] * len(rows), tool_failure_counts=[0] * len(rows),
        model_version=0, group_id=at, env_rewards=[None] * len(rows),
        rollout_rewards=[None] * len(rows),
    )  # fmt: skip
