"""The final comparison: the best formula of a search against the baselines, on the test problems.

Every reward trains fresh copies of the start policy on the whole training set (training and
validation problems), the same steps, the same seeds. The best formula was chosen by validation
alone; the test problems are seen here for the first time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from derl_trainers.outer.run import Run
from derl_trainers.runs.jobs import Policy, ScoreJob
from derl_trainers.runs.store import Store
from derl_trainers.runs.store.comparison import BEST, POPULATION, START
from derl_trainers.settings.run import BudgetSection, RunConfig
from derl_trainers.tasks.load import problems


def compare(
    run: Run,
    start: Policy,
    budget: BudgetSection,
    baselines: Mapping[str, str],
    population: Policy | None = None,
) -> None:
    """Run the comparison; without any usable formula, the baselines alone.

    `population` is the policy that a search with `start = "best"` ended with, scored as it is.

    Raises JobFailed when one of its runs breaks: a comparison with holes is none.
    """
    runner, config = run.runner, run.config
    best = runner.store.best()
    found = {BEST: best["formula"]} if best is not None else {}
    formulas = {**found, **baselines}
    with runner.store.phase("final comparison"):
        runner.view.final(config, len(formulas))
        scored = {START: start} | ({POPULATION: population} if population is not None else {})
        names = [
            runner.submit(
                "final", label, config.seed,
                ScoreJob(
                    config.suite, config.training, policy, "final", problems(config.task)
                ),
            )
            for label, policy in scored.items()
        ]  # fmt: skip
        twins: list[tuple[str, str, int, int]] = []
        for seed in final_seeds(config):
            names += _submit_seed(run, start, budget, formulas, seed, twins)
        for name in names:
            runner.result(name)
        for label, formula, seed, twin in twins:
            _copy(runner.store, label, formula, seed, twin)


def final_seeds(config: RunConfig) -> list[int]:
    """Seeds of the final runs: others than the search's, the same for every reward."""
    return [1000 + 100 * config.seed + i for i in range(config.final.seeds)]


def final_steps(config: RunConfig) -> int:
    """Inner steps of a final run."""
    return config.final.steps or config.inner.steps


def _submit_seed(
    run: Run,
    start: Policy,
    budget: BudgetSection,
    formulas: Mapping[str, str],
    seed: int,
    twins: list[tuple[str, str, int, int]],
) -> list[int]:
    """Queue one run of each distinct reward; what equals another is noted in `twins`."""
    by_key: dict[str, int] = {}
    for label, formula in formulas.items():
        key = run.judged(formula).key
        assert key is not None  # the baselines check, and the best formula was trained
        if key in by_key:
            twins.append((label, formula, seed, by_key[key]))
            continue
        # With shared results a run may be served by another's, which keeps no policy.
        keep = label == BEST and run.runner.memo is None
        save_to = str(run.folder / "policies" / f"best-{seed}") if keep else None
        job = run.job(start, formula, seed, "final", budget, final_steps(run.config), save_to)
        by_key[key] = run.runner.submit("final", label, seed, job, formula, key)
    return list(by_key.values())


def _copy(store: Store, label: str, formula: str, seed: int, twin: int) -> None:
    """The row of a reward that equals another one: the same run, named as such."""
    row = store.job(twin)
    if store.find_job("final", label, seed, formula, row["context"]) is not None:
        return  # A resumed run has it already.
    name = store.add_job("final", label, seed, formula, row["key"], row["context"])
    apart = json.loads(row["result"]).get("apart")
    found = {"same_as_job": twin} | ({"apart": apart} if apart else {})
    store.finish_job(name, row["pass_at_1"], 0.0, found)
