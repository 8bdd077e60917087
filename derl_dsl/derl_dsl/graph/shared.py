"""What all rollouts of a group share."""

from __future__ import annotations

from derl_dsl.graph.ir import Graph
from derl_dsl.graph.ops import GROUP

# An input that is one number for all rollouts of a batch.
BATCH = "progress"


def shared_nodes(graph: Graph, root: int) -> set[int]:
    """The nodes below a root that have one value for all rollouts of a group."""
    found: set[int] = set()
    for i in graph.used([root]):
        op, args, payload, _, _ = graph.nodes[i]
        leaf = op in ("const", "param") or (op == "input" and str(payload) == BATCH)
        grouped = op in GROUP and op != "group_rank"
        if leaf or grouped or (args and found.issuperset(args)):
            found.add(i)
    return found
