"""The final comparison, as a query: each reward's scores on the test problems, and intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from derl_trainers.estimates import interval
from derl_trainers.runs.store.queries import StoreQueries

OUTCOME_ONLY = "outcome only"
BEST, START, POPULATION = "best formula", "start policy", "population"


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One reward's test pass@1 over seeds: mean and half width of the 95 % t-interval.

    `difference` and its half width are against the first baseline, paired by seed. All are None
    where there is nothing to compare: the start policy is one policy, scored once.
    """

    label: str
    formula: str | None
    scores: tuple[float, ...]
    mean: float
    half: float | None = None
    difference: float | None = None
    difference_half: float | None = None


def comparison(store: StoreQueries, part: str | None = None) -> list[ComparisonRow]:
    """The table of the final comparison, from the store alone; the start policy comes last.

    With `part`, on that part of the test problems alone, such as a level of games.
    """
    score: str = "pass_at_1"
    values: tuple[str, ...] = ()
    if part is not None:
        score, values = "json_extract(result, '$.apart.' || json_quote(?)) AS pass_at_1", (part,)
    jobs = store.rows(
        f"SELECT label, formula, seed, {score} FROM jobs"
        " WHERE kind = 'final' AND status = 'done' ORDER BY seed, id",
        values,
    )
    groups: dict[str, list[dict[str, Any]]] = {}
    for job in jobs:
        groups.setdefault(job["label"], []).append(job)
    yard = {job["seed"]: job["pass_at_1"] for job in groups.get(OUTCOME_ONLY, [])}
    rows = [_row(label, group, yard) for label, group in groups.items()]
    order = {BEST: 0, POPULATION: 2, START: 3}
    return sorted(rows, key=lambda row: order.get(row.label, 1))


def parts(store: StoreQueries) -> list[str]:
    """The parts of the test problems that are scored apart; none where there is one alone."""
    rows = store.rows(
        "SELECT DISTINCT p.key AS name FROM jobs, json_each(jobs.result, '$.apart') AS p"
        " WHERE kind = 'final' AND status = 'done' ORDER BY jobs.id, p.id"
    )
    return list(dict.fromkeys(row["name"] for row in rows))


def _row(label: str, group: list[dict[str, Any]], yard: Mapping[int, float]) -> ComparisonRow:
    scores = tuple(job["pass_at_1"] for job in group)
    formula = group[0]["formula"]
    if len(scores) < 2:
        return ComparisonRow(label, formula, scores, sum(scores) / len(scores))
    mean, half = interval(list(scores))
    pairs = [job["pass_at_1"] - yard[job["seed"]] for job in group if job["seed"] in yard]
    if label == OUTCOME_ONLY or len(pairs) < 2:
        return ComparisonRow(label, formula, scores, mean, half)
    return ComparisonRow(label, formula, scores, mean, half, *interval(pairs))
