"""`derl-dsl train` at work: one policy, one reward file, one GRPO run, and what came of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState

import derl_dsl
from derl_dsl.score.reward import Reward, columns_of
from derl_dsl.tools.watch import Alarm
from derl_runtime.files import write_whole
from derl_runtime.reading import ColumnError
from derl_trainers.estimates import wilson
from derl_trainers.inner.grpo import check_trl
from derl_trainers.inner.loop import (
    InnerResult,
    OnScore,
    check_rows,
    train_inner,
    trainer_settings,
)
from derl_trainers.inner.outcome import scorer_for
from derl_trainers.inner.recorder import OnStep
from derl_trainers.inner.rollouts import FOLDER, keeping
from derl_trainers.policy.start import start_policy
from derl_trainers.settings.train import METRICS, TrainConfig
from derl_trainers.tasks.base import Example, Scorer, Task, TaskError
from derl_trainers.tasks.load import examples, load_task

Progress = Callable[[int, int, dict[str, float]], None]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a run starts from, checked before any model is loaded."""

    reward: Reward
    task: Task
    trained: tuple[Example, ...]
    scored: tuple[Example, ...]
    scorer: Scorer


@dataclass(frozen=True, slots=True)
class Share:
    """pass@1 on so many problems, with its 95 % Wilson interval."""

    pass_at_1: float
    problems: int
    low: float
    high: float

    @classmethod
    def of(cls, share: float, problems: int) -> Share:
        """A share with its interval."""
        return cls(share, problems, *wilson(round(share * problems), problems))

    def __str__(self) -> str:
        return f"{self.pass_at_1:.3f}  [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished run: the inner result, pass@1 before and after, what the watch has told."""

    result: InnerResult
    before: Share
    after: Share
    alarms: tuple[Alarm, ...]


def prepare(reward: Reward, config: TrainConfig) -> Prepared:
    """Read the task and try the reward on its first rows.

    Raises ConfigError for settings that TRL does not know or take, TaskError for data that cannot
    be used, also when it lacks a column that the reward reads.
    """
    check_trl(config.trl, lambda: trainer_settings(config.training, config.seed, "logs"))
    task = load_task(config.task, tuple(columns_of(reward)))
    trained, scored = examples(task, "final" if config.split == "final" else "search")
    if not scored:
        raise TaskError("the task has no test problems: name them with --test")
    try:
        check_rows(len(trained), config.inner.prompts)
    except ValueError as error:
        raise TaskError(str(error)) from None
    played = config.task.played
    trial = None if played is None else played.trial(config.inner.agent.step_scores)
    _try(reward, trained, config.inner.num_generations, trial)
    return Prepared(reward, task, trained, scored, scorer_for(task, reward.suite))


def _try(
    reward: Reward, rows: Sequence[Example], group: int, trial: Mapping[str, Any] | None
) -> None:
    """Score empty completions of one problem: columns of the wrong type show before a model loads.

    `trial` has the columns of an empty episode, for games. Raises TaskError.
    """
    twin = reward.with_groups(group)  # with a log of faults of its own
    row = rows[0]
    given = row.columns if trial is None else {**row.columns, **trial}
    columns = {name: [value] * group for name, value in given.items()}
    try:
        twin(
            prompts=[row.prompt] * group,
            completions=[""] * group,
            completion_ids=[[0]] * group,
            answer=[row.answer] * group,
            **{"progress": 0.0, **columns},
        )
    except ColumnError as error:
        raise TaskError(f"the reward cannot read the task's rows: {error}") from None


def train(
    prepared: Prepared,
    config: TrainConfig,
    out: Path,
    warm: Progress | None = None,
    progress: Progress | None = None,
    on_step: OnStep | None = None,
    on_alarm: Callable[[Alarm], None] | None = None,
    on_score: OnScore | None = None,
) -> Trained:
    """Train, score before and after, and save policy and metrics to `out`.

    Rollouts go to `out/rollouts`, a file a step; `on_alarm` hears what `watch` tells of the reward,
    `on_score` the scoring before training.
    `warm` reports the warm start of the policy `tiny`. Raises RewardFault and ModelMissing as
    `train_inner` does.
    """
    policy = config.policy.model
    if config.policy.built:
        # Two threads on small matrices are slower than one.
        torch.set_num_threads(1)
    if config.policy.built or (config.inner.beta and not config.policy.lora_rank):
        # TRL reads a policy again as the reference of the KL term, and cannot read GGUF.
        # Of several processes transformers lets the first one write alone, and the others find it.
        with PartialState().main_process_first():
            policy = start_policy(config.task, config.policy, out / "start", config.seed, warm)
    watching = derl_dsl.watch(prepared.reward, told=on_alarm)
    with keeping(prepared.reward, out / FOLDER, config.rollouts, config.inner.steps):
        result = train_inner(
            prepared.reward,
            policy,
            prepared.trained,
            prepared.scored,
            config.training,
            seed=config.seed,
            scorer=prepared.scorer,
            output_dir=out,
            progress=progress,
            on_step=on_step,
            logs_dir=out / "logs",
            score_before=True,
            on_score=on_score,
            callbacks=[watching],
        )
    assert result.pass_at_1_before is not None
    count = len(prepared.scored)
    before, after = Share.of(result.pass_at_1_before, count), Share.of(result.pass_at_1, count)
    trained = Trained(result, before, after, tuple(watching.alarms))
    if os.environ.get("RANK", "0") != "0":
        return trained  # the first process writes for all
    write_whole(out / "reward.derl", prepared.reward.text)
    record = json.dumps(metrics(prepared, config, trained), indent=1, ensure_ascii=False)
    write_whole(out / METRICS, record + "\n")
    return trained


def metrics(prepared: Prepared, config: TrainConfig, trained: Trained) -> dict[str, Any]:
    """What `metrics.json` holds: plain values alone."""
    result, task, reward = trained.result, prepared.task, prepared.reward
    sizes: Mapping[str, int] = {
        "train": len(prepared.trained),
        "scored": len(prepared.scored),
        "left_out": task.left_out,
    }
    return {
        "version": derl_dsl.__version__,
        "reward": {"text": reward.text, "key": reward.key},
        "task": {"name": task.name, "split": config.split, **sizes},
        "before": asdict(trained.before),
        "after": asdict(trained.after),
        "steps": result.steps,
        "stopped": result.stopped,
        "tokens": result.tokens,
        "seconds": {
            "total": result.seconds,
            "training": result.training_seconds,
            "generate": result.generate_seconds,
            "reward": result.reward_seconds,
            "update": result.update_seconds,
            "score": result.eval_seconds,
            "overhead": result.overhead_seconds,
        },
        "faults": [asdict(total) for total in result.faults],
        "alarms": [asdict(alarm) for alarm in trained.alarms],
        "history": [asdict(record) for record in result.history],
        "settings": config.to_json(),
    }
