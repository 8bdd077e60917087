"""How close to 0 a node comes without being 0: what `x > 0` says beyond the sign."""

from __future__ import annotations

import math
from collections.abc import Mapping

from derl_dsl.graph.ir import Graph
from derl_dsl.graph.leaves import is_whole, step_values
from derl_dsl.graph.ranges import MOST_ROLLOUTS, MOST_STEPS, Range

TINY = math.ulp(0.0)
_DEPTH = 5
# Rounding of a few operations, and of the deviation of up to a million truths.
_SLACK = 1 - 1e-9
_SAME = frozenset({"neg", "abs", "third", "part", "group_min", "group_max", "list_min", "list_max",
                   "list_first", "list_last", "list_sum"})  # fmt: skip
_MEANS = {"group_mean": MOST_ROLLOUTS, "list_mean": MOST_STEPS}
# Beyond these sizes rounding may bring means of whole numbers closer to one.
_SMALL = 1e3


def least(graph: Graph, node: int, known: Mapping[int, Range], depth: int = _DEPTH) -> float:
    """A lower bound of |node| where it is not 0; 5e-324, the smallest float64, of any number."""
    op, args, payload, _, _ = graph.nodes[node]
    if isinstance(payload, float):
        return abs(payload) or math.inf
    values = step_values(graph, node)
    if values is not None:
        return min((abs(v) for v in values if v), default=math.inf)
    if is_whole(graph, node):
        return 1.0
    if not depth:
        return TINY
    return max(TINY, _below(graph, op, args, known, depth - 1))


def _below(
    graph: Graph, op: str, args: tuple[int, ...], known: Mapping[int, Range], depth: int
) -> float:
    def of(k: int) -> float:
        return least(graph, args[k], known, depth)

    if op in _SAME:
        # A sum of numbers of one sign is no smaller than each.
        mixed = op == "list_sum" and not _one_sign(known, args[0])
        return TINY if mixed else of(0)
    if op in _MEANS:
        if is_whole(graph, args[0]):
            return 1.0 / _MEANS[op]
        return of(0) / _MEANS[op] * _SLACK if _one_sign(known, args[0]) else TINY
    match op:
        case "group_rank":
            return 0.5 / MOST_ROLLOUTS
        case "group_std":
            small = is_whole(graph, args[0]) and _size(known, args[0]) <= _SMALL
            return math.sqrt(MOST_ROLLOUTS - 1) / MOST_ROLLOUTS * 0.99 if small else TINY
        case "min" | "max":
            return min(of(0), of(1))
        case "select":
            return min(of(1), of(2))
        case "mul":
            return of(0) * of(1) * _SLACK
        case "div":
            size = _size(known, args[1])
            return of(0) / size * _SLACK if 0 < size < math.inf else TINY
        case "sqrt":
            return math.sqrt(of(0)) * _SLACK
        case "add" if _one_sign(known, args[0]) and _one_sign(known, args[1]):
            same = (known[args[0]].lo >= 0) == (known[args[1]].lo >= 0)
            return min(of(0), of(1)) if same else TINY
        case "sub" if any(_mean_of_whole(graph, a) for a in args):
            # k / n is a whole number, or a share of it away from one.
            others = all(is_whole(graph, a) or _mean_of_whole(graph, a) for a in args)
            both = all(_mean_of_whole(graph, a) for a in args)
            small = max(_size(known, a) for a in args) <= _SMALL
            return 0.9 / MOST_ROLLOUTS if others and small and not both else TINY
    return TINY


def _mean_of_whole(graph: Graph, node: int) -> bool:
    at = graph.nodes[node]
    return at.op in _MEANS and is_whole(graph, at.args[0])


def _one_sign(known: Mapping[int, Range], node: int) -> bool:
    found = known.get(node)
    return found is not None and (found.lo >= 0 or found.hi <= 0)


def _size(known: Mapping[int, Range], node: int) -> float:
    found = known.get(node)
    return math.inf if found is None else max(abs(found.lo), abs(found.hi))


def rounded_in(graph: Graph, node: int, lo: float, hi: float) -> tuple[float, float]:
    """The ends moved inwards to values that the node can have: whole numbers, listed values."""
    values = step_values(graph, node)
    if values is not None:
        inside = [v for v in values if lo <= v <= hi]
        return (inside[0], inside[-1]) if inside else (math.inf, -math.inf)
    if graph.nodes[node].op not in ("const", "param") and is_whole(graph, node):
        lo = float(math.ceil(lo)) if math.isfinite(lo) else lo
        hi = float(math.floor(hi)) if math.isfinite(hi) else hi
    return lo, hi
