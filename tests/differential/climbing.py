"""Hill-climbing against a certificate: rows are changed for as long as that refutes more.

Unlike random rows, climbed ones find corners: values near 0, equal values of a group, empty lists,
the one row where a range is left. What is climbed for is the reward's least and largest value, the
largest fall when a wrong rollout turns right, and the largest wrong above the least right one.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from derl_dsl.backends import reference
from derl_dsl.backends.kernel import Bound, Kernel, Ragged
from derl_dsl.graph.ir import Graph
from derl_dsl.graph.leaves import is_whole, source_range, step_values
from derl_dsl.prove.certificate import Certificate
from derl_dsl.prove.checked import Checked

GROUP = 3
_STEPS = 3
_NEAR = (0.0, 5e-324, 1e-310, 1e-200, 1e-162, 1e-100, 1e-16, 1e-9, 1e-3, 0.1, 0.5, 1.0, 2.0, 10.0)


def corner_values(
    graph: Graph, node: int, count: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Values of an input inside its declared range: its ends, near 0, near 1, anywhere."""
    if graph.nodes[node].is_bool:
        return (rng.random(count) < 0.5).astype(np.float64)
    values = step_values(graph, node)
    if values is not None:
        return rng.choice(values, count)
    low, high, _ = source_range(graph, node)
    marks = np.array([low, high, *_NEAR, *(-v for v in _NEAR), *(high - v for v in _NEAR[6:])])
    marks = marks[(marks >= low) & (marks <= high)]
    wide = high - low > 1e6
    spread = (
        np.clip(rng.normal(size=count) * 1e3, low, high) if wide else rng.uniform(low, high, count)
    )
    found = np.where(rng.random(count) < 0.6, rng.choice(marks, count), spread)
    return np.floor(found) if is_whole(graph, node) else found


def corner_rows(graph: Graph, rows: int, rng: np.random.Generator) -> Bound:
    """Inputs of `rows` rollouts in groups of three; lists are short, some empty."""
    lengths = rng.integers(0, 4, rows)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    found: dict[int, NDArray[np.float64] | Ragged] = {}
    for i in graph.inputs(graph.roots()):
        many = graph.nodes[i].is_list
        size = int(offsets[-1]) if many else rows
        values = corner_values(graph, i, size, rng)
        if not many and _of_the_batch(graph, i):
            values = np.full(rows, values[0])
        found[i] = Ragged(values, offsets) if many else values
    return Bound(found, rows, np.arange(0, rows + 1, GROUP), np.ones(rows, dtype=bool))


def _of_the_batch(graph: Graph, node: int) -> bool:
    return str(graph.source(node)) == "progress"


def changed(graph: Graph, bound: Bound, best: int, rng: np.random.Generator) -> Bound:
    """Every group becomes the best one with a few of its values drawn anew."""
    start = best // GROUP * GROUP
    fresh = corner_rows(graph, bound.rows, rng)
    found: dict[int, NDArray[np.float64] | Ragged] = {}
    for i, values in bound.inputs.items():
        drawn = fresh.inputs[i]
        if isinstance(values, Ragged) or isinstance(drawn, Ragged):
            found[i] = drawn
            continue
        kept = np.tile(values[start : start + GROUP], bound.rows // GROUP)
        change = rng.random(bound.rows) < (0.15 if not _of_the_batch(graph, i) else 0.0)
        found[i] = np.where(change, drawn, kept)
    return dataclasses.replace(fresh, inputs=found)


def scored(kernel: Kernel, inputs: Bound) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The rewards and where they apply."""
    outputs = kernel(inputs)
    applies = outputs.get("?reward", np.ones(inputs.rows)) != 0
    return outputs["reward"], applies


class Climber:
    """Climbs for one program."""

    def __init__(self, checked: Checked, rng: np.random.Generator, rows: int = 96) -> None:
        assert checked.graph is not None
        assert checked.certificate is not None
        self.graph, self.rng = checked.graph, rng
        self.certificate: Certificate = checked.certificate
        self.kernel = reference.emit(self.graph)
        self.rows = rows // GROUP * GROUP
        uses = checked.outcome in self.graph.inputs([checked.reward])
        self.outcome = checked.outcome if uses else None

    def refuted(self) -> list[str]:
        """What the certificate claims and a row contradicts."""
        found = set()
        for sign in (1.0, -1.0):
            rows = corner_rows(self.graph, self.rows, self.rng)
            for _ in range(_STEPS):
                values, applies = scored(self.kernel, rows)
                found |= self._beyond(values[applies])
                if not applies.any():
                    break
                score = np.where(applies, sign * values, -np.inf)
                rows = changed(self.graph, rows, int(np.nanargmax(score)), self.rng)
        if self.outcome is not None and self.certificate.finite:
            found |= self._outcome()
        return sorted(found)

    def _beyond(self, values: NDArray[np.float64]) -> set[str]:
        claim = self.certificate
        found = set()
        if claim.finite and not np.isfinite(values).all():
            found.add("finite")
        fine = values[~np.isnan(values)]
        if len(fine) and (fine.min() < claim.lo or fine.max() > claim.hi):
            found.add(f"range [{claim.lo}, {claim.hi}]: {fine.min()}, {fine.max()}")
        if claim.constant and len(set(fine.tolist())) > 1:
            found.add("constant")
        return found

    def _outcome(self) -> set[str]:
        """Turns the first rollout of each group from wrong to right."""
        assert self.outcome is not None
        found = set()
        rows = corner_rows(self.graph, self.rows, self.rng)
        own = np.arange(self.rows) % GROUP == 0
        for _ in range(_STEPS):
            before = rows.inputs[self.outcome]
            assert isinstance(before, np.ndarray)
            both = []
            for value in (0.0, 1.0):
                inputs = {**rows.inputs, self.outcome: np.where(own, value, before)}
                both.append(scored(self.kernel, dataclasses.replace(rows, inputs=inputs)))
            (wrong, in_wrong), (right, in_right) = both
            where = own & in_wrong & in_right
            if not where.any():
                break
            slack = 1e-9 * np.maximum(1.0, np.maximum(np.abs(wrong), np.abs(right)))
            if self.certificate.outcome_monotone and (right < wrong - slack)[where].any():
                found.add("monotone")
            gap = right[own & in_right].min() - wrong[own & in_wrong].max()
            margin = self.certificate.margin
            if margin is not None and gap < margin - slack[where].max():
                found.add(f"margin {margin}: {gap}")
            fall = np.where(where, wrong - right, -np.inf)
            rows = changed(self.graph, rows, int(np.argmax(fall)), self.rng)
        return found
