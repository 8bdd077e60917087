"""The cost ledger of a search: what had been paid when its best score was what it was.

Paid are the inner runs of baselines, search and confirmation, their sampled tokens and seconds. A
score that another run's memo served costs what computing it did, so that searches which share one
are charged alike; what a search asks for again itself is free.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from derl_trainers.runs.store.queries import CONFIRMATION, StoreQueries


@dataclass(frozen=True, slots=True)
class Paid:
    """After so many inner runs: tokens and seconds paid, and the best validation score so far.

    `best` is the start policy's score before any run, and no score of a run that a race ended; of a
    run that broke the cost is what is known of it, a run, and `broken` counts these.
    """

    runs: int
    tokens: int
    seconds: float
    best: float
    broken: int = 0


def ledger(store: StoreQueries) -> list[Paid]:
    """A point after each inner run of a search, in the order in which they were asked for."""
    start = store.rows("SELECT pass_at_1 FROM jobs WHERE kind = 'start' AND status = 'done'")
    rows = store.rows(
        "SELECT label, status, pass_at_1, seconds, result FROM jobs"
        " WHERE kind IN ('baseline', 'search') AND status IN ('done', 'failed') ORDER BY id"
    )
    at = Paid(0, 0, 0.0, start[0]["pass_at_1"] if start else 0.0)
    found = [at]
    for row in rows:
        result = json.loads(row["result"] or "{}")
        # A confirmation's score is a second look at a reward: it is paid for and chooses.
        counts = row["status"] == "done" and row["label"] != CONFIRMATION
        counts = counts and "below" not in result
        at = Paid(
            at.runs + 1,
            at.tokens + result.get("tokens", 0),
            at.seconds + (row["seconds"] or 0.0),
            max(at.best, row["pass_at_1"]) if counts else at.best,
            at.broken + (row["status"] == "failed"),
        )
        found.append(at)
    return found


def area(points: Sequence[Paid], runs: int) -> float:
    """The mean of the best score so far over the first `runs` runs; a search that ended keeps its.

    >>> area([Paid(0, 0, 0, 0.1), Paid(1, 9, 1, 0.3), Paid(2, 9, 1, 0.5)], 4)
    0.45
    """
    best = [point.best for point in points[1 : runs + 1]]
    best += [points[-1].best] * (runs - len(best))
    return round(sum(best) / runs, 12)


def paid_for(points: Sequence[Paid], level: float) -> Paid | None:
    """The first point at which the best score had reached a level, None where it never did.

    >>> paid_for([Paid(0, 0, 0, 0.1), Paid(1, 9, 1, 0.3), Paid(2, 9, 1, 0.5)], 0.4).runs
    2
    """
    return next((point for point in points if point.best >= level), None)
