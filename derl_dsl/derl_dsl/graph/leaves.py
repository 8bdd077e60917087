"""What is declared of the leaves of a graph: ranges, finite domains, whole numbers."""

from __future__ import annotations

from derl_dsl.graph import ranges
from derl_dsl.graph.ir import Graph, Input, Param
from derl_dsl.graph.ops import OPERATIONS, SLICES
from derl_dsl.graph.ranges import LARGEST, Range
from derl_grammar.types import Bool, List, Number, Type
from derl_primitives.primitive import Primitive
from derl_runtime.sources import Apply, plain


def _item(source: Input) -> Type:
    kind = plain(source)
    return kind.item if isinstance(kind, List) else kind


def input_range(source: Input) -> Range:
    """The declared range of an input (of a list: of its steps); an open end is any float64."""
    kind = _item(source)
    if isinstance(kind, Number):
        return Range(max(kind.lo, -LARGEST), min(kind.hi, LARGEST))
    return ranges.UNIT


def domain(source: Input) -> tuple[float, ...] | None:
    """All values of an input with one value per rollout, when they are finitely many."""
    kind = plain(source)
    if isinstance(kind, Number):
        return kind.values
    return (0.0, 1.0) if isinstance(kind, Bool) else None


def source_range(graph: Graph, node: int) -> Range:
    """The range of a node that has no arguments: a constant, an input, a parameter."""
    payload = graph.nodes[node].payload
    if isinstance(payload, float):
        return Range(payload, payload)
    if isinstance(payload, Param):
        return Range(payload.lo, payload.hi)
    return ranges.UNIT if graph.nodes[node].op == "valid" else input_range(graph.source(node))


def step_values(graph: Graph, node: int) -> tuple[float, ...] | None:
    """All values of an input node, one a rollout or one a step, when they are finitely many."""
    if graph.nodes[node].op != "input":
        return None
    kind = _item(graph.source(node))
    return kind.values if isinstance(kind, Number) else (0.0, 1.0)


def is_whole(graph: Graph, node: int) -> bool:
    """Whether a node is known to hold whole numbers, NaN and infinity aside."""
    known = graph.whole
    for i in range(len(known), node + 1):
        known.append(_whole(graph, i, known))
    return known[node]


def _whole(graph: Graph, node: int, before: list[bool]) -> bool:
    op, args, payload, is_bool, _ = graph.nodes[node]
    known = OPERATIONS[op]
    if is_bool or known.whole:
        return True
    if isinstance(payload, float):
        return payload.is_integer()
    if op == "input":
        source = graph.source(node)
        primitive = source.primitive if isinstance(source, Apply) else None
        values = step_values(graph, node)
        counted = isinstance(primitive, Primitive) and primitive.whole
        return counted or (values is not None and all(v.is_integer() for v in values))
    if op == "select":
        return before[args[1]] and before[args[2]]
    if op in _OF_WHOLE or known.kind == "slice":
        return before[args[0]]
    return known.keeps_whole and all(before[a] for a in args)


# Sums of whole numbers, and functions that take one of their values.
_OF_WHOLE = frozenset({"list_sum", "list_min", "list_max", "list_first", "list_last",
                       "group_min", "group_max"})  # fmt: skip


def steps_of(graph: Graph, node: int) -> int:
    """The plainest list that has the same number of steps."""
    at = graph.nodes[node]
    while at.args and at.op not in SLICES:
        node = next(a for a in at.args if graph.nodes[a].is_list)
        at = graph.nodes[node]
    return node
