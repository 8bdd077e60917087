"""The meta-rewards of a step's formulas: check, look up, train, validate.

Every event is in the store before anything follows from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from derl_trainers.inner.race import Bar, bars
from derl_trainers.outer.baselines import cap
from derl_trainers.outer.equals import Asked, asked
from derl_trainers.outer.judge import Verdict, penalty_of
from derl_trainers.outer.population import kept_at, prune, start_of
from derl_trainers.outer.prompts import formula_text
from derl_trainers.outer.run import Run
from derl_trainers.runs.jobs import InnerJob, Policy, digest
from derl_trainers.runs.runner import JobFailed
from derl_trainers.runs.store.comparison import OUTCOME_ONLY

_OWN_FAULT = "degenerate"  # what a formula is whose training comes to nothing through itself


class Evaluation:
    """Turns the texts of one group into meta-rewards, inner runs starting from `start`."""

    def __init__(self, run: Run, start: Policy) -> None:
        self.run = run
        self.start = start
        self.budget = cap(run.config.budget, run.store, run.config.inner.steps)
        rows = run.store.rows(
            "SELECT key FROM jobs WHERE kind = 'baseline' AND label = ?", (OUTCOME_ONLY,)
        )
        self.outcome = rows[0]["key"] if rows else None

    def __call__(self, step: int, texts: Sequence[str]) -> list[float | None]:
        """The meta-rewards of a step's texts, in their order; None where the machine failed.

        Raises JobFailed when it failed all.
        """
        run, store = self.run, self.run.store
        verdicts = [run.judged(formula_text(text)) for text in texts]
        records = [{"completion": t, **v.to_json()} for t, v in zip(texts, verdicts, strict=True)]
        proposals = store.add_proposals(step, records)
        run.runner.view.proposed(step, store)
        rewards = self._scored(step, verdicts, proposals)
        prune(run, step)
        run.runner.view.stepped(step, store)
        if all(reward is None for reward in rewards):
            raise JobFailed("every inner run of the step broke; see `derl-dsl runs show`")
        return rewards

    def _scored(
        self, step: int, verdicts: Sequence[Verdict], proposals: Sequence[int]
    ) -> list[float | None]:
        meta, store = self.run.config.meta, self.run.store
        runs = asked(
            [v.key for v in verdicts], store.times_proposed(step), self.run.config.seed,
            meta.repeats,
        )  # fmt: skip
        formulas: dict[Asked, str] = {}
        for one, verdict in zip(runs, verdicts, strict=True):
            if one is not None:
                formulas.setdefault(one, verdict.formula)
        policy = start_of(self.run, step, self.start)
        jobs = self._trained(step, formulas, policy)
        rewards: list[float | None] = []
        for one, verdict, proposal in zip(runs, verdicts, proposals, strict=True):
            if one is None:
                rewards.append(verdict.penalty)
                continue
            reward, status = self._outcome(one, verdict.formula, jobs, policy)
            store.score_proposal(proposal, status, jobs[one], reward)
            rewards.append(reward)
        return rewards

    def _trained(
        self, step: int, formulas: Mapping[Asked, str], policy: Policy
    ) -> dict[Asked, int]:
        """The job of each run: an earlier one where there is one, else a new one, done."""
        known = {one: self.known(formula, one, policy) for one, formula in formulas.items()}
        race = self._bars(step)
        new = {
            one: self.submit(formulas[one], one, policy, f"outer step {step}", step, race)
            for one, job in known.items()
            if job is None
        }
        self.run.runner.wait([*new.values(), *(job for job in known.values() if job is not None)])
        return {**{one: job for one, job in known.items() if job is not None}, **new}

    def _bars(self, step: int) -> tuple[Bar, ...]:
        """The bars of a step, of what was done before it: those that a resumed search finds too."""
        race = self.run.config.meta.race
        return bars(race, self.run.store.curves(step)) if race else ()

    def _outcome(
        self, one: Asked, formula: str, jobs: Mapping[Asked, int], policy: Policy
    ) -> tuple[float | None, str]:
        """The meta-reward of a run, and what to call it."""
        runner, job = self.run.runner, jobs[one]
        if job in runner.errors:
            own = runner.failed_itself(job)
            return penalty_of(_OWN_FAULT, self.run.config.meta.penalty) if own else None, "faulted"
        served = self.run.store.job(job)["kind"] == "baseline" or self.run.store.is_scored_by(job)
        return self._mean(one, formula, job, policy), "reused" if served else "trained"

    def _mean(self, one: Asked, formula: str, job: int, policy: Policy) -> float:
        """The mean score of a reward over its seeds so far."""
        key, last = one
        earlier = [
            self.known(formula, (key, seed), policy) for seed in range(self.run.config.seed, last)
        ]
        done = [name for name in earlier if name is not None]
        self.run.runner.wait(done)
        scores = [self.run.runner.score(n) for n in done if n not in self.run.runner.errors]
        scores.append(self.run.runner.score(job))
        return sum(scores) / len(scores)

    def known(self, formula: str, one: Asked, policy: Policy) -> int | None:
        """The job of this run that an equal reward has had.

        Inner runs that start from each other serve none: a baseline's leaves no policy to go on
        from, and the others started elsewhere.
        """
        if self.run.config.meta.start == "best":
            return None
        return self.run.store.find_score(*one, digest(self.job(formula, one, policy)))

    def submit(
        self,
        formula: str,
        one: Asked,
        policy: Policy,
        label: str,
        step: int | None = None,
        race: tuple[Bar, ...] = (),
    ) -> int:
        """Queue a run; that of an outer step keeps its policy for the population."""
        key, seed = one
        job = self.job(formula, one, policy)
        keep = None if step is None else kept_at(self.run, step, key, job)
        if keep is not None:
            job = self.job(formula, one, policy, keep)
        if key == self.outcome:
            race = bars((bar.step for bar in race), ())
        job = replace(job, race=race)
        return self.run.runner.submit("search", label, seed, job, formula, key)

    def job(self, formula: str, one: Asked, policy: Policy, save_to: str | None = None) -> InnerJob:
        """The inner run of a formula in a search."""
        key, seed = one
        # The cap is measured on the outcome's own run: none of its runs is cut by it, so that
        # those on further seeds are of one kind with the first, and their mean is its score.
        budget = self.run.config.budget if key == self.outcome else self.budget
        return self.run.job(policy, formula, seed, "search", budget, save_to=save_to)
