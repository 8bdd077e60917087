"""What a run holds from its start to its end, and what is made of it: the jobs of its formulas."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from derl_dsl.elaborate.custom import Origin
from derl_trainers.inner.grpo import Invariance, invariance
from derl_trainers.outer.judge import Verdict, judge
from derl_trainers.runs.held import changed, held
from derl_trainers.runs.jobs import InnerJob, Policy, digest, inner_job
from derl_trainers.runs.runner import JobFailed, Runner
from derl_trainers.runs.store import Store
from derl_trainers.settings.run import BudgetSection, RunConfig
from derl_trainers.tasks.load import Split


@dataclass(frozen=True, slots=True)
class Run:
    """A run under way.

    `primitives` are those of its files as they were when it began, `folder` its own folder, `home`
    that of what several runs share (its own where they share nothing), `held` what its files held
    when it began.
    """

    config: RunConfig
    primitives: tuple[Origin, ...]
    folder: Path
    home: Path
    runner: Runner
    held: Mapping[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Raise JobFailed when a file of the run holds something else than when it began."""
        said = changed(self.held, held(self.config, self.primitives))
        if said:
            raise JobFailed(said)

    @property
    def store(self) -> Store:
        """The store of the run."""
        return self.runner.store

    @property
    def invariance(self) -> Invariance:
        """Which rewards train alike here."""
        return invariance(self.config.training)

    def judged(self, formula: str) -> Verdict:
        """What a formula is worth before any training."""
        config = self.config
        return judge(formula, config.suite, config.meta.penalty, self.invariance)

    def job(
        self,
        policy: Policy,
        formula: str,
        seed: int,
        split: Split,
        budget: BudgetSection | None = None,
        steps: int = 0,
        save_to: str | None = None,
    ) -> InnerJob:
        """The inner run of a formula, with another budget or number of steps where given."""
        config = self.config
        if budget is not None:
            config = replace(config, budget=budget)
        if steps:
            config = replace(config, inner=replace(config.inner, steps=steps))
        job = inner_job(config, self.primitives, policy, formula, seed, split, save_to)
        every = config.executor.save_every
        if not every and config.trl.get("report_to", "none") in ("none", []):
            return job
        name = hashlib.sha256(f"{digest(job)}/{formula}/{seed}".encode()).hexdigest()[:24]
        return replace(job, state=(str(self.folder / "inner" / name), every))
