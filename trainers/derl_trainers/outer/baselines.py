"""The rewards that a search is measured against, and the cap that the outcome's own run gives."""

from __future__ import annotations

import json
from dataclasses import replace

from derl_primitives.suites import find_suite
from derl_trainers.inner.race import bars
from derl_trainers.outer.prompts import scores
from derl_trainers.outer.run import Run
from derl_trainers.runs.jobs import Policy
from derl_trainers.runs.runner import JobFailed
from derl_trainers.runs.store import Store
from derl_trainers.runs.store.comparison import OUTCOME_ONLY
from derl_trainers.settings.budget import capped
from derl_trainers.settings.run import BudgetSection

_FORMAT = {"derl-math": "g2"}  # the score of the answer's form, where it is no call of `boxed`


def baselines(suite: str) -> dict[str, str]:
    """The rewards that every search is measured against, as formulas of the suite."""
    found = find_suite(suite)
    names = scores(suite)
    assert found.outcome is not None
    mean = f"({' + '.join(names)}) / {len(names)}"
    # A condition counts 1 or 0 in arithmetic; alone it is no reward.
    outcome = found.outcome if found.bindings else f"1 * {found.outcome}"
    boxed = "boxed(completion)" if "boxed" in found.primitives else None
    if suite.partition("[")[0] in _FORMAT:  # An ablation may have left it out.
        boxed = next((n for n in found.bindings if n == _FORMAT[suite.partition("[")[0]]), None)
    both = {} if boxed is None else {"outcome + format": f"({outcome} + {boxed}) / 2"}
    stepped = {}
    if "step_scores" in found.columns:
        # RLVMR's hand-made reward: the outcome for the episode, the step scores for the steps.
        stepped = {"RLVMR": f"steps = step_scores\nreward = {outcome}"}
    return {OUTCOME_ONLY: outcome, **both, "mean of primitives": mean, **stepped}


def train_baselines(run: Run, start: Policy) -> None:
    """Train the baselines once: a yardstick, and formulas equal to them cost nothing.

    Raises JobFailed when none can be trained: nothing could.
    """
    runner, config, jobs = run.runner, run.config, []
    budget = config.budget
    for label, formula in baselines(config.suite).items():
        key = run.judged(formula).key
        job = run.job(start, formula, config.seed, "search", budget)
        job = replace(job, race=bars(config.meta.race, ()))  # validated there, and never ended
        jobs.append(runner.submit("baseline", label, config.seed, job, formula, key))
        if label == OUTCOME_ONLY and budget.cap:
            runner.result(jobs[-1])
            budget = cap(run.config.budget, run.store, config.inner.steps)
    runner.wait(jobs)
    if all(job in runner.errors for job in jobs):
        said = runner.errors[jobs[0]].splitlines()[0]
        raise JobFailed(f"none of the baselines can be trained, so nothing can: {said}")
    runner.view.baselines(run.store)


def cap(budget: BudgetSection, store: Store, steps: int) -> BudgetSection:
    """The budget of runs of `steps` steps, capped by the cost of the outcome's own run."""
    rows = store.rows(
        "SELECT result FROM jobs WHERE kind = 'baseline' AND label = ? AND status = 'done'",
        (OUTCOME_ONLY,),
    )
    return capped(budget, json.loads(rows[0]["result"]), steps) if rows else budget
