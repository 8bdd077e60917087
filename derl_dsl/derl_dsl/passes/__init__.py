"""Passes over the graph: from what was written to what is computed, with the same bits.

Each pass is a file with its rules, and a pure function from graph to graph. `lower` runs the rules
of all of them in one walk: a formula is lowered for every kernel, in some tens of microseconds.
"""

from __future__ import annotations

import os

from derl_dsl.graph.ir import Graph
from derl_dsl.passes import arithmetic, choose, compare, extremes, fold, lists, logic, order, share
from derl_dsl.passes.rewrite import Pass, Ranges, by_op, rewrite
from derl_dsl.passes.verify import verify

__all__ = ["PASSES", "Pass", "feeds", "lower", "verify"]

PASSES: tuple[Pass, ...] = (
    share.PASS,
    order.PASS,
    fold.PASS,
    arithmetic.PASS,
    extremes.PASS,
    compare.PASS,
    logic.PASS,
    choose.PASS,
    lists.PASS,
)
_RULES = by_op(PASSES)
# Set to 1, the environment variable makes every lowering verify the graph between its passes.
_VERIFY = "DERL_DSL_VERIFY"


def lower(graph: Graph, ranges: Ranges | None = None) -> Graph:
    """The graph to make kernels of: outputs bit-identical (NaN is NaN), nodes numbered anew.

    `ranges` are proven ones of the graph's nodes, which hold in every row without a fault; only
    with them rules may rely on what the data can be. Proofs, explanations and the binding of
    columns keep the graph as written: an input that has no effect still faults where it is missing.
    """
    if os.environ.get(_VERIFY) == "1":
        _one_by_one(graph, ranges)
    return rewrite(graph, _RULES, ranges)


def _one_by_one(graph: Graph, ranges: Ranges | None) -> None:
    verify(graph)
    verify(rewrite(graph, _RULES, ranges), dense=True)
    for one in PASSES:
        graph, ranges = one(graph, ranges), None
        verify(graph, dense=True)


def feeds(graph: Graph, lowered: Graph) -> dict[int, int]:
    """For each input node of the lowered graph, the node of the graph that it was."""
    before = {graph.nodes[i][::2]: i for i in graph.inputs(graph.roots())}
    return {
        k: before[node[::2]]
        for k, node in enumerate(lowered.nodes)
        if node.op in ("input", "valid")
    }
