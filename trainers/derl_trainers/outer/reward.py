"""The reward function of the outer loop: check, look up, inner-train, validate."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from derl_trainers.outer.judge import Verdict, judge
from derl_trainers.outer.prompts import formula_text
from derl_trainers.runs.jobs import InnerJob
from derl_trainers.runs.runner import JobFailed, Runner, digest
from derl_trainers.runs.store import CONFIRMATION, Store
from derl_trainers.runs.store.comparison import OUTCOME_ONLY
from derl_trainers.settings.budget import capped
from derl_trainers.settings.run import BudgetSection, RunConfig, load_custom

Run = tuple[str, int]  # equivalence key, seed


class MetaReward:
    """Turns the completions of one group into meta-rewards; every event goes to the store first.

    `policy` is the folder of the policy that inner runs start from, `run_dir` that of the run. The
    first group it scores is that of step `step` + 1.
    """

    __name__ = "meta_reward"

    def __init__(
        self, config: RunConfig, runner: Runner, policy: str, run_dir: Path, step: int = 0
    ) -> None:
        self.config = config
        self.runner = runner
        self.store: Store = runner.store
        self.run_dir = run_dir
        self.step = step
        self.policy = best_policy(config, self.store, run_dir, step) or policy

    def train_baselines(self, formulas: Mapping[str, str]) -> None:
        """Train the baselines once: a yardstick, and formulas equal to them cost nothing."""
        jobs, seed = [], self.config.seed
        for label, formula in formulas.items():
            verdict = judge(formula, self.config.suite)
            job = self._job(formula, seed)
            jobs.append(self.runner.submit("baseline", label, seed, job, formula, verdict.key))
            if label == OUTCOME_ONLY and self.config.budget.cap:
                self.runner.result(jobs[-1])
                self.config = replace(
                    self.config, budget=cap(self.config, self.store, self.config.inner.steps)
                )
        self.runner.wait(jobs)
        self.runner.view.baselines(self.store)

    def __call__(self, completions: Sequence[Any], **_: Any) -> list[float]:
        """The meta-rewards of one group, in its order."""
        self.step += 1
        texts = [c if isinstance(c, str) else c[-1]["content"] for c in completions]
        verdicts = [
            judge(formula_text(t), self.config.suite, self.config.meta.penalty) for t in texts
        ]
        records = [{"completion": t, **v.to_json()} for t, v in zip(texts, verdicts, strict=True)]
        proposals = self.store.add_proposals(self.step, records)
        self.runner.view.proposed(self.step, self.store)
        rewards = self._score(verdicts, proposals)
        self._go_on_from_best()
        self.runner.view.stepped(self.step, self.store)
        return _without_gaps(rewards)

    def confirm(self) -> None:
        """Train the best formula on further seeds, and what is then the best, until one stays.

        The highest of many single scores is high by luck too. The first to lead with the mean of
        `confirm` runs is the best; the others have no more than their luck.
        """
        seeds = [self.config.seed + k for k in range(self.config.final.confirm)]
        tried: set[Run] = set()
        while (best := self.store.best()) is not None:
            formula, key = best["formula"], best["key"]
            runs = [(key, s) for s in seeds if self._known(formula, (key, s)) is None]
            if tried.issuperset(runs):
                return
            tried |= set(runs)
            self.runner.wait(self._submit(formula, run, label=CONFIRMATION) for run in runs)

    @property
    def converged(self) -> bool:
        """Whether the best score has not risen for `patience` steps."""
        patience, best = self.config.meta.patience, self.store.best_rewards(self.step)
        return (
            bool(patience)
            and len(best) > patience
            and max(best[-patience:]) <= max(best[:-patience])
        )

    def _score(self, verdicts: list[Verdict], proposals: list[int]) -> list[float | None]:
        runs = self._asked(verdicts)
        formulas: dict[Run, str] = {}
        for run, verdict in zip(runs, verdicts, strict=True):
            if run is not None:
                formulas.setdefault(run, verdict.formula)
        jobs = self._train(formulas)
        rewards: list[float | None] = []
        for run, verdict, proposal in zip(runs, verdicts, proposals, strict=True):
            if run is None:
                rewards.append(verdict.penalty)
                continue
            job = jobs[run]
            reward = self._mean(run, jobs)
            if reward is None:
                status = "faulted"
            else:
                kind = self.store.job(job)["kind"]
                served = kind == "baseline" or self.store.is_scored_by(job)
                status = "reused" if served else "trained"
            self.store.score_proposal(proposal, status, job, reward)
            rewards.append(reward)
        return rewards

    def _asked(self, verdicts: list[Verdict]) -> list[Run | None]:
        """The inner run that each formula asks for; None for one that fails the checker."""
        times = self.store.times_proposed(self.step)
        runs: list[Run | None] = []
        for verdict in verdicts:
            if verdict.key is None:
                runs.append(None)
                continue
            further = times.get(verdict.key, 0) if self.config.meta.repeats == "average" else 0
            times[verdict.key] = times.get(verdict.key, 0) + 1
            runs.append((verdict.key, self.config.seed + further))
        return runs

    def _train(self, formulas: Mapping[Run, str]) -> dict[Run, int]:
        """The job of each run: an earlier one where there is one, else a new one, done."""
        jobs = {run: self._known(formula, run) for run, formula in formulas.items()}
        new = [run for run, job in jobs.items() if job is None]
        short = self._rung(formulas, new)
        jobs |= short
        full = {run: self._submit(formulas[run], run) for run in new if run not in short}
        self.runner.wait(full.values())
        return {run: job for run, job in (jobs | full).items() if job is not None}

    def _known(self, formula: str, run: Run) -> int | None:
        context = digest(self._job(formula, run[1]))
        return self.store.find_score(*run, context)

    def _rung(self, formulas: Mapping[Run, str], new: list[Run]) -> dict[Run, int]:
        """The short runs of those that halving leaves behind; the others train in full."""
        halving, inner = self.config.meta.halving, self.config.inner
        if halving == 1 or len(new) < 2:
            return {}
        steps = max(1, inner.steps // halving)
        jobs = {run: self._submit(formulas[run], run, steps) for run in new}
        self.runner.wait(jobs.values())
        kept = math.ceil(len(new) / halving)
        # The sort is stable: of equals the earlier goes on. What broke is behind all others.
        order = sorted(new, key=lambda run: -self.runner.score(jobs[run], broken=-1.0))
        return {run: jobs[run] for run in order[kept:]}

    def _submit(self, formula: str, run: Run, steps: int = 0, label: str = "") -> int:
        key, seed = run
        job = self._job(formula, seed, steps)
        kind = "rung" if steps else "search"
        if steps:
            known = self.store.find_score(key, seed, digest(job), ("rung",))
            if known is not None:
                return known
        if self.config.meta.start == "best" and not steps:
            job = replace(job, save_to=str(_saved(self.run_dir, self.step, key, seed)))
        label = label or f"outer step {self.step}"
        return self.runner.submit(kind, label, seed, job, formula, key)

    def _job(self, formula: str, seed: int, steps: int = 0) -> InnerJob:
        config = self.config
        inner = replace(config.inner, steps=steps) if steps else config.inner
        return InnerJob(
            formula, config.suite, config.task, inner, self.policy, seed, "search",
            custom=load_custom(config), quarantine=config.sandbox.quarantine,
            options=config.policy, budget=config.budget, eval_batch=config.eval_batch,
            trl=config.trl,
        )  # fmt: skip

    def _mean(self, run: Run, jobs: Mapping[Run, int]) -> float | None:
        """The mean score of a reward over its seeds so far; None when all its runs broke."""
        key, last = run
        scores = []
        for seed in range(self.config.seed, last + 1):
            job = jobs.get((key, seed)) or self._known("", (key, seed))
            if job is not None and job not in self.runner.errors:
                scores.append(self.runner.score(job))
        return sum(scores) / len(scores) if scores else None

    def _go_on_from_best(self) -> None:
        """DERL-pop: the next step starts from the policy of this step's best formula."""
        best = best_policy(self.config, self.store, self.run_dir, self.step)
        if best is None:
            return
        self.policy = best
        for folder in (self.run_dir / "population").glob(f"step-{self.step}-*"):
            if str(folder) != best:
                shutil.rmtree(folder)


def cap(config: RunConfig, store: Store, steps: int) -> BudgetSection:
    """The budget of runs of `steps` steps, capped by the cost of the outcome's own run."""
    rows = store.rows(
        "SELECT result FROM jobs WHERE kind = 'baseline' AND label = ? AND status = 'done'",
        (OUTCOME_ONLY,),
    )
    return capped(config.budget, json.loads(rows[0]["result"]), steps) if rows else config.budget


def best_policy(
    config: RunConfig, store: Store, run_dir: Path, step: int | None = None
) -> str | None:
    """The policy left by the best formula of the last step that trained one, up to `step`.

    None unless inner runs start from each other (`start = "best"`).
    """
    if config.meta.start != "best":
        return None
    rows = store.rows(
        "SELECT p.step, p.key, j.seed FROM proposals AS p JOIN jobs AS j ON j.id = p.job"
        " WHERE p.step <= ? AND p.status = 'trained' AND j.kind = 'search'"
        " ORDER BY p.step DESC, p.meta_reward DESC, p.id LIMIT 1",
        (config.meta.steps if step is None else step,),
    )
    return str(_saved(run_dir, rows[0]["step"], rows[0]["key"], rows[0]["seed"])) if rows else None


def _saved(run_dir: Path, step: int, key: str, seed: int) -> Path:
    return run_dir / "population" / f"step-{step}-{key[:12]}-{seed}"


def _without_gaps(rewards: list[float | None]) -> list[float]:
    """A formula whose run broke gets the mean of the others: it is neither praised nor blamed.

    Raises JobFailed when all runs of the group broke.
    """
    known = [r for r in rewards if r is not None]
    if not known:
        raise JobFailed("every inner run of the step broke; see `derl-dsl runs show`")
    mean = sum(known) / len(known)
    return [mean if r is None else r for r in rewards]
