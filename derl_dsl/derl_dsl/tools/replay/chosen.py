"""Which groups of a run are worth a look: some of each stretch of steps, and those that tell most.

A page that held every rollout of a run would be no page; these are few, and whole groups, so that
each rollout stands beside those it was compared with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derl_dsl.score.reward import Reward, columns_of
from derl_dsl.score.scores import Scores
from derl_dsl.tools.pages.excerpts import texts
from derl_dsl.tools.replay.curves import Replay, curves_of
from derl_dsl.tools.replay.marks import marks_of
from derl_dsl.tools.replay.page import Rollouts, page
from derl_grammar.records import record

Array = NDArray[np.float64]
_STEPS, _LARGEST = 12, 16


@record
class Scored:
    """A reward under its name, and its scores of the stored rollouts."""

    name: str
    reward: Reward
    scores: Scores


def page_of(
    found: Replay,
    scored: Sequence[Scored],
    rows: Mapping[str, Sequence[Any]],
    steps: Sequence[int],
    groups: NDArray[np.int64],
    right: Array | None,
    run: str,
) -> str:
    """The page of a replay; parts and marks are those of the first reward."""
    first = scored[0]
    at = np.asarray(steps, dtype=np.int64)
    moments = [step for step in found.onset.values() if step is not None]
    chosen = chosen_groups(first.scores.values, right, at, groups, moments)
    shown = np.concatenate(chosen).tolist()
    said = texts(rows) or [None] * len(at)
    graph = first.reward.graph
    sources = [graph.source(i) for i in graph.inputs(graph.roots()) if graph.nodes[i].op == "input"]
    sources = [s for s in dict.fromkeys(sources) if str(s) in first.scores.inputs]
    columns = {n: [rows[n][k] for k in shown] for n in columns_of(first.reward) if n in rows}
    values = [first.scores.inputs[str(s)][shown] for s in sources]
    marks = marks_of(sources, columns, [said[k] for k in shown], values)
    parts = {n: v for n, v in first.scores.parts.items() if n not in first.reward.params}
    rollouts = Rollouts(
        prompts=[str(p) for p in rows.get("prompt", [""] * len(at))],
        texts=said,
        steps=steps,
        rewards={one.name: one.scores.values for one in scored},
        parts=parts,
        outcome=right,
        groups=chosen,
        marks=dict(zip(shown, marks, strict=True)),
        marked=[str(s) for s in sources],
    )
    return page(found, rollouts, curves_of(parts, at, found.steps), run)


def chosen_groups(
    values: Array,
    outcome: Array | None,
    steps: NDArray[np.int64],
    groups: NDArray[np.int64],
    moments: Sequence[int] = (),
) -> list[NDArray[np.int64]]:
    """Rows of the chosen groups, in the order of the steps.

    Of a dozen steps spread over the run, and of the `moments` named: the group in which a wrong
    rollout is paid most above a right one, the one whose rewards differ most, and the first.
    """
    order = np.unique(steps)
    spread = order[np.unique(np.linspace(0, len(order) - 1, _STEPS).round().astype(int))]
    wanted = sorted({*spread.tolist(), *(m for m in moments if m in order)})
    found = []
    for step in wanted:
        rows = np.flatnonzero(steps == step)
        members = [rows[groups[rows] == g] for g in np.unique(groups[rows])]
        ranks = [(_turned(values[m], outcome, m), _spread(values[m])) for m in members]
        first = max(range(len(members)), key=lambda k: ranks[k][0])
        second = max(range(len(members)), key=lambda k: ranks[k][1])
        found += [members[k][:_LARGEST] for k in sorted({0, first, second})]
    return found


def _turned(values: Array, outcome: Array | None, rows: NDArray[np.int64]) -> float:
    """How far the best paid wrong rollout lies above the worst paid right one."""
    known = ~np.isnan(values)
    if outcome is None:
        return -np.inf
    right = known & (outcome[rows] > 0.5)
    wrong = known & (outcome[rows] <= 0.5)
    return float(values[wrong].max() - values[right].min()) if right.any() and wrong.any() else -1e9


def _spread(values: Array) -> float:
    known = values[~np.isnan(values)]
    return float(known.max() - known.min()) if len(known) else 0.0
