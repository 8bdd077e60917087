"""What workers compute: building the start policy, scoring it, and one inner run.

A job is a frozen dataclass of plain values, so it pickles, and whoever runs it gets everything
from it. Torch is imported when a job runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, Protocol

from derl_runtime.faults import QUARANTINE_AFTER
from derl_trainers.config import InnerSection, PolicySection, TaskSection

if TYPE_CHECKING:
    from derl_dsl.custom import Origin
    from derl_trainers.inner import InnerConfig
    from derl_trainers.policy import PolicyConfig
    from derl_trainers.tasks import Example, Task

Progress = Callable[[int, int, dict[str, float]], None]
Split = Literal["search", "final"]


class Job(Protocol):
    """Something a worker can compute; the result is a dict of plain values."""

    def run(self, progress: Progress) -> dict[str, Any]:
        """Compute it; `progress` takes step, number of steps and metrics."""


@dataclass(frozen=True, slots=True)
class PolicyJob:
    """Build the start policy; the result's `path` is its folder."""

    task: TaskSection
    policy: PolicySection
    out_dir: str
    seed: int

    def run(self, progress: Progress) -> dict[str, Any]:
        """Warm-start the policy."""
        from derl_trainers.policy import build_policy

        config = policy_config(self.policy)
        path = build_policy(load_task(self.task), config, self.out_dir, self.seed, progress)
        return {"path": str(path)}


@dataclass(frozen=True, slots=True)
class ScoreJob:
    """Score a policy as it is: `pass_at_1` on the validation (search) or test (final) problems."""

    task: TaskSection
    inner: InnerSection
    policy_path: str
    split: Split

    def run(self, progress: Progress) -> dict[str, Any]:
        """Greedy pass@1 of the policy."""
        from transformers import AutoModelForCausalLM, AutoTokenizer

        from derl_trainers.greedy import greedy_pass_at_1

        tokenizer = AutoTokenizer.from_pretrained(self.policy_path, padding_side="left")
        model = AutoModelForCausalLM.from_pretrained(self.policy_path)
        _, scored = examples(load_task(self.task), self.split)
        length = self.inner.max_completion_length
        return {
            "pass_at_1": greedy_pass_at_1(model, tokenizer, scored, max_new_tokens=length),
            "problems": len(scored),
        }


@dataclass(frozen=True, slots=True)
class InnerJob:
    """Train the policy with one formula and score it.

    The split `search` trains on the training problems and scores on validation; `final` trains on
    both and scores on test. The policy is saved to `save_to` when that is given. `custom` loads the
    primitives that no suite has; one whose calls fail `quarantine` times is left out.
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

    def run(self, progress: Progress) -> dict[str, Any]:
        """One inner run."""
        import derl_dsl
        from derl_trainers.inner import train_inner

        for origin in self.custom:
            origin.load()
        reward = derl_dsl.compile(self.formula, suite=self.suite)
        reward.faults.limit = self.quarantine
        trained, scored = examples(load_task(self.task), self.split)
        result = train_inner(
            reward,
            self.policy_path,
            trained,
            scored,
            inner_config(self.inner),
            seed=self.seed,
            output_dir=self.save_to,
            progress=progress,
        )
        found = asdict(result)
        found.pop("policy_path")
        return {**found, "problems": len(scored), "sandbox": _levels(self.custom)}


def _levels(origins: tuple[Origin, ...]) -> dict[str, str]:
    """The walls that held here around each file of untrusted primitives, for the record."""
    from derl_dsl.custom import SourceFile
    from derl_runtime.untrusted import sandbox

    files = [origin for origin in origins if isinstance(origin, SourceFile)]
    return {file.path: f"{file.settings.engine}, {sandbox(file.settings).level}" for file in files}


@lru_cache(maxsize=2)
def load_task(task: TaskSection) -> Task:
    """The problems, drawn once a process."""
    from derl_trainers.tasks import arithmetic

    return arithmetic(**asdict(task))


def examples(task: Task, split: Split) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """What a split trains on and what it scores on."""
    if split == "search":
        return task.train, task.validation
    return task.train + task.validation, task.test


def inner_config(section: InnerSection) -> InnerConfig:
    """The inner trainer's own config."""
    from derl_trainers.inner import InnerConfig

    return InnerConfig(**asdict(section))


def policy_config(section: PolicySection) -> PolicyConfig:
    """The policy's own config."""
    from derl_trainers.policy import PolicyConfig, Styles

    values = asdict(section)
    return PolicyConfig(**{**values, "styles": Styles(**values["styles"])})
