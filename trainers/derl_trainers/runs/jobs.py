"""What workers compute: building the start policy, scoring it, and one inner run.

A job is a frozen dataclass of plain values, so it pickles, and whoever runs it gets everything
from it. It says what its result depends on, which is what a result is found again by. Torch is
imported when a job runs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import derl_dsl
from derl_dsl.elaborate.custom import Origin, SourceFile
from derl_dsl.score.reward import columns_of
from derl_primitives.suites import find_suite
from derl_trainers.inner.outcome import scorer_for
from derl_trainers.inner.race import Bar
from derl_trainers.reading import ConfigError
from derl_trainers.settings.run import RunConfig
from derl_trainers.settings.sections import PolicySection, Training
from derl_trainers.tasks.base import Example, Task, TaskError
from derl_trainers.tasks.contents import content
from derl_trainers.tasks.environments.played import PLAYED_COLUMNS
from derl_trainers.tasks.load import Split, examples, load_task, problems, task_columns
from derl_trainers.tasks.table import TaskSection

Progress = Callable[[int, int, dict[str, float]], None]
_TRL_FILES = ("accelerator_config", "deepspeed", "fsdp_config")


class Job(Protocol):
    """Something a worker can compute; the result is a dict of plain values."""

    def depends(self) -> Mapping[str, Any]:
        """All that its result depends on besides its seed and its reward, as plain values.

        A file counts by what is in it, never by where it lies; a policy by how it came to be.
        """

    def run(self, progress: Progress) -> dict[str, Any]:
        """Compute it; `progress` takes step, number of steps and metrics."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy that a job starts from: where it lies, and how it came to be (`identity`)."""

    path: str
    identity: str

    def check(self) -> None:
        """Raise TaskError where another one lies there by now.

        One that a search's own run left is known by how it came to be, one of the hub by its id:
        neither says what it holds.
        """
        known = self.identity and "/" not in self.identity
        if known and content(self.path) not in (None, self.identity):
            raise TaskError(f"{self.path}: holds another policy than when the run began")


@dataclass(frozen=True, slots=True)
class PolicyJob:
    """Build the start policy, or try the one that is there, in the folder `out_dir`.

    The result's `folder` is that of the policy within `out_dir`, None for one that lies elsewhere
    or on the hub, which `model` names. `identity` is the policy's.
    """

    task: TaskSection
    policy: PolicySection
    out_dir: str
    seed: int

    def depends(self) -> Mapping[str, Any]:
        """The task that teaches it, and its section of the settings."""
        taught = self.task.depends() if self.policy.built else None
        return {"task": taught, "policy": asdict(self.policy)}

    def run(self, progress: Progress) -> dict[str, Any]:
        """Warm-start the policy, or try it."""
        from derl_trainers.policy.start import start_policy

        home = Path(self.out_dir)
        path = start_policy(self.task, self.policy, home, self.seed, progress)
        inside = Path(path).is_relative_to(home)
        return {
            "folder": str(Path(path).relative_to(home)) if inside else None,
            "model": None if inside else path,
            "identity": content(path) or path,
        }


@dataclass(frozen=True, slots=True)
class ScoreJob:
    """Score a policy as it is: `pass_at_1` on the validation (search) or test (final) problems.

    `problems` is what those of an InnerJob are.
    """

    suite: str
    training: Training
    policy: Policy
    split: Split
    problems: str = ""

    def depends(self) -> Mapping[str, Any]:
        """Policy, problems, and how it is asked."""
        return {"suite": self.suite, **_depends(self.training, self.policy, self.split)}

    def run(self, progress: Progress) -> dict[str, Any]:
        """Greedy pass@1 of the policy."""
        from derl_trainers.inner.players import right_of
        from derl_trainers.policy.answers import check_lengths
        from derl_trainers.policy.loading import load_policy

        self.policy.check()
        model, tokenizer = load_policy(self.policy.path, self.training.policy)
        task = _problems(self)
        trained, scored = examples(task, self.split)
        check_lengths(model, tokenizer, (*trained, *scored), self.training)
        right = right_of(
            model, tokenizer, scored, scorer_for(task, self.suite), self.training
        ).tolist()
        return _scores(right, scored)


@dataclass(frozen=True, slots=True)
class InnerJob:
    """Train the policy with one formula and score it.

    The split `search` trains on the training problems and scores on validation; `final` trains on
    both and scores on test. The policy is saved to `save_to` when that is given. `primitives` are
    those that no suite has, as they were read when the run began; one whose calls fail
    `quarantine` times is left out. `state` is the folder of its reports and checkpoints,
    and after how many steps one is kept: a run that is tried again goes on from there. `problems`
    is what the problems were when the job was made; it fails where they are others by then.
    `race` has the bars at which it may end.
    """

    formula: str
    suite: str
    training: Training
    policy: Policy
    seed: int
    split: Split
    save_to: str | None = None
    primitives: tuple[Origin, ...] = ()
    quarantine: int = 3
    state: tuple[str, int] | None = None
    problems: str = ""
    race: tuple[Bar, ...] = ()

    def depends(self) -> Mapping[str, Any]:
        """The whole training, the policy it starts from, and the primitives' sources.

        Bars are no part of it: a run that they let pass is the run without them, one that they end
        says so, and those of a search follow from what it had done before.
        """
        return {
            "suite": self.suite,
            "quarantine": self.quarantine,
            "primitives": [source_of(origin) for origin in self.primitives],
            **_depends(self.training, self.policy, self.split),
        }

    def run(self, progress: Progress) -> dict[str, Any]:
        """One inner run."""
        from derl_trainers.inner.loop import Checkpoints, train_inner
        from derl_trainers.policy.loading import pristine

        for origin in self.primitives:
            origin.load()
        reward = derl_dsl.compile(self.formula, suite=self.suite)
        reward.faults.limit = self.quarantine
        self.policy.check()
        task = _problems(self)
        trained, scored = examples(task, self.split)
        result = train_inner(
            reward,
            self.policy.path,
            trained,
            scored,
            self.training,
            seed=self.seed,
            scorer=scorer_for(task, self.suite),
            output_dir=self.save_to,
            progress=progress,
            checkpoints=None if self.state is None else Checkpoints(*self.state),
            race=self.race,
            load=pristine,
        )
        found = asdict(result)
        for name in ("policy_path", "right", "right_before", "pass_at_1_before"):
            found.pop(name)
        if result.below is None:
            found.pop("below")
        return {**found, **_scores(list(result.right), scored), "sandbox": _levels(self.primitives)}


def inner_job(
    config: RunConfig,
    primitives: tuple[Origin, ...],
    policy: Policy,
    formula: str,
    seed: int,
    split: Split,
    save_to: str | None = None,
) -> InnerJob:
    """The inner run of a formula, as a config says."""
    return InnerJob(
        formula, config.suite, config.training, policy, seed, split, save_to, primitives,
        config.sandbox.quarantine, problems=problems(config.task),
    )  # fmt: skip


def _problems(job: ScoreJob | InnerJob) -> Task:
    """The problems of a job; TaskError where they are others than when it was made."""
    section = job.training.task
    task = load_task(section, task_columns(job.suite))
    if job.problems and problems(section) != job.problems:
        raise TaskError("[task]: its problems changed while the run was under way")
    return task


def digest(job: Job) -> str:
    """What a job's result depends on besides its seed and its reward, in one word."""
    text = json.dumps([type(job).__name__, job.depends()], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _depends(training: Training, policy: Policy, split: Split) -> dict[str, Any]:
    asked = {k: v for k, v in asdict(training.policy).items() if k not in ("model", "tiny")}
    return {
        "task": training.task.depends(),
        "policy": asked,
        "start": policy.identity,
        "inner": asdict(training.inner),
        "budget": asdict(training.budget),
        "eval_batch": training.eval_batch,
        "trl": {**training.trl, **trl_files(training.trl)},
        "split": split,
    }


def trl_files(trl: Mapping[str, Any]) -> dict[str, str]:
    """What is in the files that settings of TRL name, by setting."""
    named = {key: trl[key] for key in _TRL_FILES if isinstance(trl.get(key), str)}
    return {k: found for k, v in named.items() if (found := content(v)) is not None}


def source_of(origin: Origin) -> list[str]:
    """What a custom primitive is, wherever its file lies."""
    if isinstance(origin, SourceFile):
        return [origin.source, str(origin.settings)]
    return [str(origin)]


def _scores(right: list[bool], scored: Sequence[Example]) -> dict[str, Any]:
    """pass@1, the number of problems, and of each whether it was answered right (1) or not (0).

    `apart` has the pass@1 of each part of a task that has parts; pass@1 is then the mean of theirs.
    """
    bits = "".join("1" if one else "0" for one in right)
    found: dict[str, Any] = {"problems": len(right), "right": bits}
    parts: dict[str, list[bool]] = {}
    for one, example in zip(right, scored, strict=True):
        parts.setdefault(example.source, []).append(one)
    apart = {name: sum(each) / len(each) for name, each in parts.items()}
    if len(apart) > 1:
        found["apart"] = apart
    return {"pass_at_1": sum(apart.values()) / len(apart), **found}


def _levels(origins: tuple[Origin, ...]) -> dict[str, str]:
    """The walls that held here around each file of untrusted primitives, for the record."""
    from derl_runtime.untrusted import sandbox

    files = [origin for origin in origins if isinstance(origin, SourceFile)]
    return {file.path: f"{file.settings.engine}, {sandbox(file.settings).level}" for file in files}


def check_task(config: RunConfig, remote: bool = False) -> None:
    """Raise ConfigError when the data of a run, or what TRL is told of it, cannot be used.

    With `remote`, problems on the hub are not read.
    """
    if config.trl:
        _check_trl(config)
    _check_outcome(config)
    if remote and config.task.remote:
        return
    try:
        task = load_task(config.task, task_columns(config.suite))
    except TaskError as error:
        raise ConfigError(f"[task]: {error}") from None
    if not task.test:
        raise ConfigError("[task] test: name the file of the final comparison's test problems")
    if len(task.train) < config.inner.prompts:
        raise ConfigError(
            f"[inner] prompts: a step takes {config.inner.prompts} problems, and the task has "
            f"{len(task.train)} to train on"
        )


def _check_outcome(config: RunConfig) -> None:
    """Raise ConfigError for an outcome that no completion changes: rows of data cannot know it."""
    outcome = find_suite(config.suite).outcome
    if outcome is None:  # pass@1 is then of the task's own answers
        return
    reads = columns_of(derl_dsl.compile(f"1 * {outcome}", suite=config.suite))
    if config.task.played is not None and not set(PLAYED_COLUMNS) & set(reads):
        raise ConfigError(
            f"suite: the outcome of {config.suite!r} is of an answer, and games have none; "
            "derl-agent and agent fit"
        )
    if config.task.own is None and not {"completion", "completion_ids"} & set(reads):
        raise ConfigError(
            f"suite: the outcome of {config.suite!r}, {outcome}, is what came of a rollout in an "
            f"environment; rows of {config.task.name!r} would say the same whatever the policy does"
        )


def _check_trl(config: RunConfig) -> None:
    from derl_trainers.inner.grpo import check_trl
    from derl_trainers.inner.loop import trainer_settings

    check_trl(config.trl, lambda: trainer_settings(config.training, config.seed, "logs"))
