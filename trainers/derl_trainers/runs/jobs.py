"""What workers compute: building the start policy, scoring it, and one inner run.

A job is a frozen dataclass of plain values, so it pickles, and whoever runs it gets everything
from it. Torch is imported when a job runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import derl_dsl
from derl_dsl.elaborate.custom import SourceFile
from derl_runtime.faults import QUARANTINE_AFTER
from derl_trainers.reading import ConfigError
from derl_trainers.settings.run import (
    BudgetSection,
    InnerSection,
    PolicySection,
    RunConfig,
    TinySection,
)
from derl_trainers.tasks.base import TaskError
from derl_trainers.tasks.load import Split, examples, load_task, task_columns
from derl_trainers.tasks.table import TaskSection

if TYPE_CHECKING:
    from derl_dsl.elaborate.custom import Origin
    from derl_trainers.inner.loop import InnerConfig, PolicyOptions
    from derl_trainers.policy.tiny import PolicyConfig

Progress = Callable[[int, int, dict[str, float]], None]


class Job(Protocol):
    """Something a worker can compute; the result is a dict of plain values."""

    def run(self, progress: Progress) -> dict[str, Any]:
        """Compute it; `progress` takes step, number of steps and metrics."""


@dataclass(frozen=True, slots=True)
class PolicyJob:
    """Build the start policy; the result's `path` is its folder, or what it is loaded by.

    `tiny` is warm-started. Any other model starts as it is: it is loaded here to see that it can be
    loaded and asked as the settings say, and a GGUF file is unpacked once for all workers.
    """

    task: TaskSection
    policy: PolicySection
    out_dir: str
    seed: int

    def run(self, progress: Progress) -> dict[str, Any]:
        """Warm-start the policy, or try it."""
        from derl_trainers.policy.quiet import quiet

        with quiet():
            return {"path": self._tiny(progress) if self.policy.model == "tiny" else self._tried()}

    def _tiny(self, progress: Progress) -> str:
        from derl_trainers.policy.tiny import build_policy

        config = policy_config(self.policy.tiny)
        return str(build_policy(load_task(self.task), config, self.out_dir, self.seed, progress))

    def _tried(self) -> str:
        """A model that is there already, if it can be loaded and asked as the settings say."""
        from derl_trainers.policy.greedy import chat_for
        from derl_trainers.policy.loading import unpacked

        name = unpacked(self.policy.model, self.out_dir)
        options = policy_options(self.policy)
        _, tokenizer = load_policy(name, self.policy)
        chat_for(tokenizer, options.chat, options.system)
        return name


@dataclass(frozen=True, slots=True)
class ScoreJob:
    """Score a policy as it is: `pass_at_1` on the validation (search) or test (final) problems."""

    task: TaskSection
    inner: InnerSection
    policy_path: str
    split: Split
    options: PolicySection = field(default_factory=PolicySection)
    eval_batch: int = RunConfig().eval_batch

    def run(self, progress: Progress) -> dict[str, Any]:
        """Greedy pass@1 of the policy."""
        from derl_trainers.policy.greedy import chat_for, greedy_pass_at_1

        model, tokenizer = load_policy(self.policy_path, self.options)
        options = policy_options(self.options)
        _, scored = examples(load_task(self.task), self.split)
        found = greedy_pass_at_1(
            model,
            tokenizer,
            scored,
            self.eval_batch,
            self.inner.max_completion_length,
            chat_for(tokenizer, options.chat, options.system),
        )
        return {"pass_at_1": found, "problems": len(scored)}


@dataclass(frozen=True, slots=True)
class InnerJob:
    """Train the policy with one formula and score it.

    The split `search` trains on the training problems and scores on validation; `final` trains on
    both and scores on test. The policy is saved to `save_to` when that is given. `custom` loads the
    primitives that no suite has; one whose calls fail `quarantine` times is left out. `options` say
    how the policy is loaded and asked, `budget` when the run ends early, and `trl` what else TRL
    is told.
    """

    formula: str
    suite: str
    task: TaskSection
    inner: InnerSection
    policy_path: str
    seed: int
    split: Split
    save_to: str | None = None
    custom: tuple[Origin, ...] = ()
    quarantine: int = QUARANTINE_AFTER
    options: PolicySection = field(default_factory=PolicySection)
    budget: BudgetSection = field(default_factory=BudgetSection)
    eval_batch: int = RunConfig().eval_batch
    trl: Mapping[str, Any] = field(default_factory=dict)

    def run(self, progress: Progress) -> dict[str, Any]:
        """One inner run."""
        from derl_trainers.inner.loop import train_inner
        from derl_trainers.policy.loading import pristine

        for origin in self.custom:
            origin.load()
        reward = derl_dsl.compile(self.formula, suite=self.suite)
        reward.faults.limit = self.quarantine
        task = load_task(self.task, task_columns(self.suite))
        trained, scored = examples(task, self.split)
        result = train_inner(
            reward,
            self.policy_path,
            trained,
            scored,
            inner_config(self.inner, self.budget, self.eval_batch, self.trl),
            seed=self.seed,
            output_dir=self.save_to,
            progress=progress,
            options=policy_options(self.options),
            load=pristine,
        )
        found = asdict(result)
        found.pop("policy_path")
        return {**found, "problems": len(scored), "sandbox": _levels(self.custom)}


def _levels(origins: tuple[Origin, ...]) -> dict[str, str]:
    """The walls that held here around each file of untrusted primitives, for the record."""
    from derl_runtime.untrusted import sandbox

    files = [origin for origin in origins if isinstance(origin, SourceFile)]
    return {file.path: f"{file.settings.engine}, {sandbox(file.settings).level}" for file in files}


def check_task(config: RunConfig) -> None:
    """Raise ConfigError when the data of a run, or what TRL is told of it, cannot be used.

    Data are read, not the embedded.
    """
    if config.trl:
        _check_trl(config)
    if config.task.own is not None:
        return
    try:
        task = load_task(config.task, task_columns(config.suite))
    except TaskError as error:
        raise ConfigError(f"[task]: {error}") from None
    if not task.test:
        raise ConfigError("[task] test: name the file of the final comparison's test problems")


def _check_trl(config: RunConfig) -> None:
    from derl_trainers.inner.grpo import check_trl
    from derl_trainers.inner.loop import trainer_settings

    inner = inner_config(config.inner, config.budget, config.eval_batch, config.trl)
    check_trl(config.trl, lambda: trainer_settings(inner, config.seed, "logs"))


def inner_config(
    section: InnerSection,
    budget: BudgetSection,
    eval_batch: int,
    trl: Mapping[str, Any] | None = None,
) -> InnerConfig:
    """The inner trainer's own config."""
    from derl_trainers.inner.loop import Budget, InnerConfig

    limits = Budget(budget.seconds, budget.tokens, budget.flat_steps)
    return InnerConfig(**asdict(section), eval_batch_size=eval_batch, budget=limits, trl=trl or {})


def policy_options(section: PolicySection) -> PolicyOptions:
    """How the policy is loaded and asked."""
    from derl_trainers.inner.loop import PolicyOptions

    values = asdict(section)
    return PolicyOptions(**{name: values[name] for name in PolicyOptions.__slots__})


def load_policy(path: str, section: PolicySection) -> tuple[Any, Any]:
    """A policy and its tokenizer, from memory where this process has loaded it before."""
    import torch

    from derl_trainers.policy.loading import pristine
    from derl_trainers.policy.quiet import quiet

    with quiet():
        return pristine(path, getattr(torch, section.dtype))


def policy_config(section: TinySection) -> PolicyConfig:
    """The small policy's own config."""
    from derl_trainers.policy.tiny import PolicyConfig, Styles

    values = asdict(section)
    return PolicyConfig(**{**values, "styles": Styles(**values["styles"])})
