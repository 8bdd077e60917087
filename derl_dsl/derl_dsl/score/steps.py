"""The step rewards of a batch: one value for each step of each rollout.

They are computed by the reference backend: a batch of episodes has thousands of steps where the
reward's kernels are made for millions of rows.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from derl_dsl.backends.kernel import Array, Bound, Ragged
from derl_dsl.backends.reference import evaluate
from derl_dsl.graph.ir import Graph
from derl_runtime.faults import Fault, fault

Steps = list[Array | None]


def step_rewards(
    graph: Graph, bound: Bound, broken: list[NDArray[np.bool_]]
) -> tuple[Steps, list[Fault]]:
    """The step rewards of each row, (T,) float64, and the faults found.

    None stands where they are not applicable, in rows that `broken` marks, and where a value is
    infinite, which a proof excludes.
    """
    assert graph.steps is not None
    done = evaluate(graph, graph.used(graph.step_roots()), bound)
    found = done[graph.steps]
    assert isinstance(found, Ragged)
    gaps = np.logical_or.reduce([np.zeros(bound.rows, dtype=bool), *broken])
    if graph.steps_valid is not None:
        gaps |= ~np.asarray(done[graph.steps_valid], dtype=bool)
    values = np.asarray(found.values, dtype=np.float64)
    ends = found.offsets.tolist()
    rows: Steps = [values[a:b].copy() for a, b in pairwise(ends)]
    bad = [r for r, row in enumerate(rows) if row is not None and not np.isfinite(row).all()]
    kept = [None if gaps[r] or r in bad else row for r, row in enumerate(rows)]
    bad = [r for r in bad if not gaps[r]]
    message = "a step reward is infinite"
    return kept, [fault("nonfinite", "steps", bad, message)] if bad else []
