"""A reward without the summands that all rollouts of a group share."""

from __future__ import annotations

from derl_dsl.graph.ir import Graph
from derl_dsl.graph.shared import shared_nodes
from derl_dsl.key.atoms import LOSS
from derl_dsl.key.structure import plain_ranges


def without_shared(graph: Graph, root: int) -> tuple[Graph, int]:
    """The graph with a root that leaves out shared summands; as it is where rounding could show."""
    shared = shared_nodes(graph, root)
    constant = {i for i in shared if not graph.inputs([i])}
    if root in shared or shared == constant:
        return graph, root
    kept, dropped = [], []
    stack = [(root, 1)]
    while stack:
        i, sign = stack.pop()
        op, args, _, _, _ = graph.nodes[i]
        if i in shared:
            dropped.append(i)
        elif op in ("add", "sub"):
            stack += [(args[0], sign), (args[1], sign if op == "add" else -sign)]
        else:
            kept.append((i, sign))
    if constant.issuperset(dropped):
        return graph, root
    known = plain_ranges(graph)
    width = max(known[i].hi - known[i].lo for i, _ in kept)
    sizes = [max(abs(known[i].lo), abs(known[i].hi)) for i in dropped]
    if not all(size <= LOSS * width for size in sizes):
        return graph, root
    alone, place = Graph(list(graph.nodes), list(graph.places)), (0, 0)
    found = alone.const(0.0, place)
    for i, sign in kept:
        found = alone.add("add" if sign > 0 else "sub", (found, i), place)
    return alone, found
