"""Confirmation: the highest of many single scores is high by luck too; the leader trains again."""

from __future__ import annotations

from derl_trainers.outer.evaluate import Evaluation
from derl_trainers.outer.run import Run
from derl_trainers.runs.jobs import Policy
from derl_trainers.runs.store import CONFIRMATION


def confirm(run: Run, start: Policy) -> None:
    """Train the best formula on further seeds, and what is then the best, until one stays.

    The first to lead with the mean of `[final] confirm` runs is the best; the others have no more
    than their luck. A population's formulas were scored from policies that are gone: none is
    confirmed.
    """
    final, seed = run.config.final, run.config.seed
    if final.confirm == 1 or run.config.meta.start == "best":
        return
    evaluation = Evaluation(run, start)
    with run.store.phase(CONFIRMATION):
        tried: set[tuple[str, int]] = set()
        while (best := run.store.best()) is not None:
            formula, key = best["formula"], best["key"]
            wanted = [(key, seed + k) for k in range(final.confirm)]
            todo = [one for one in wanted if evaluation.known(formula, one, start) is None]
            if tried.issuperset(todo):
                break
            tried |= set(todo)
            run.runner.wait(evaluation.submit(formula, one, start, CONFIRMATION) for one in todo)
        run.runner.view.confirmed(run.store)
