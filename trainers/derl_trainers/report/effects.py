"""What a reward pays for: how much each input moves it."""

from __future__ import annotations

import numpy as np

from derl_dsl.backends.kernel import Bound
from derl_dsl.backends.reference import emit
from derl_dsl.graph.ir import Graph
from derl_dsl.graph.ops import GROUP
from derl_dsl.key.exact import corners, grid
from derl_dsl.prove.witness import leaf_name


def effects(graph: Graph) -> dict[str, float] | None:
    """The mean effect of each input, in [-1, 1]: negative where more of it lowers the reward.

    It is the reward at the input's largest value less that at its smallest, as a share of the
    reward's range, averaged over all combinations of the other inputs. None for a reward that has
    no finitely many of them, compares rollouts, or is not finite or the same at all.

    >>> import derl_dsl
    >>> effects(derl_dsl.compile("g1 - 0.5 * g2 + 0 * g3", suite="derl-math").graph)
    {'g1': 0.66..., 'g2': -0.33..., 'g3': 0.0}
    """
    root = graph.outputs["reward"]
    inputs = graph.inputs([root])
    domains = corners(graph, inputs)
    if domains is None or any(graph.nodes[i].op in GROUP for i in graph.used([root])):
        return None
    columns = {i: np.array(values, dtype=np.float64) for i, values in grid(inputs, domains).items()}
    rows = len(next(iter(columns.values()), ()))
    bound = Bound(columns, rows, np.array([0, rows]), np.ones(rows, dtype=bool))
    with np.errstate(all="ignore"):
        values = emit(graph)(bound)["reward"]
    if not rows or not np.isfinite(values).all() or np.ptp(values) == 0:
        return None
    found = {}
    for i, values_of in zip(inputs, domains, strict=True):
        high, low = (values[columns[i] == end(values_of)].mean() for end in (max, min))
        found[leaf_name(graph, i)] = float((high - low) / np.ptp(values))
    return found
