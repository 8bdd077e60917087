"""How large the numbers of a graph can get on data within its declared types: never NaN, or maybe.

Compiled code asks of `min` and `max` only what can happen; both tiers give the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from derl_dsl.graph.ir import Graph, Node, Param
from derl_dsl.graph.leaves import input_range
from derl_dsl.graph.ops import OPERATIONS

# The largest absolute value: infinite where only NaN is ruled out, None where nothing is.
Size = float | None
_LARGEST = {"float64": 1e300, "float32": 1e37}
_MANY = 1e12


def _product(x: Size, y: Size) -> Size:
    return x * y if x is not None and y is not None and x * y < math.inf else None


def _sum(x: Size, y: Size) -> Size:
    return x + y if x is not None and y is not None and x + y < math.inf else None


def _larger(x: Size, y: Size) -> Size:
    return max(x, y) if x is not None and y is not None else None


_TWO: dict[str, Callable[[Size, Size], Size]] = {
    "add": _sum,
    "sub": _sum,
    "mul": _product,
    "min": _larger,
    "max": _larger,
    "guard": lambda x, d: None if d is None else math.inf if x is None else max(x, d),
}


def sizes(graph: Graph, order: Iterable[int], dtype: str) -> dict[int, Size]:
    """The size of every node."""
    found: dict[int, Size] = {}
    for i in order:
        size = _size(graph, graph.nodes[i], found)
        # What float64 holds may be infinite in float32.
        found[i] = math.inf if size is not None and size > _LARGEST[dtype] else size
    return found


def _size(graph: Graph, node: Node, found: dict[int, Size]) -> Size:
    op, args, payload = node.op, [found[a] for a in node.args], node.payload
    known = OPERATIONS[op]
    if node.is_bool or known.size == "one":
        # tanh and the like: NaN stays NaN.
        return 1.0 if node.is_bool or known.finite or args[0] is not None else None
    if isinstance(payload, Param):
        return max(abs(payload.lo), abs(payload.hi))
    if op == "const":
        assert isinstance(payload, float)
        return None if math.isnan(payload) else abs(payload)
    if op == "input":
        lo, hi, _ = input_range(payload)  # type: ignore[arg-type]
        return max(abs(lo), abs(hi))
    if known.size == "same":
        # A statistic of nothing is 0; a sum of finite values stays a number.
        return args[0] if args[0] is not None and args[0] < math.inf else None
    if known.size == "count":
        return _MANY
    if op in ("floor", "round"):
        return _sum(args[0], 1.0)
    if op == "list_sum":
        return math.inf if args[0] is not None and args[0] < math.inf else None
    if op in _TWO:
        return _TWO[op](*args)
    if op == "select":
        return _larger(args[1], args[2])
    if op == "div":
        below = graph.nodes[node.args[1]]
        fixed = below.op == "const" and isinstance(below.payload, float) and below.payload != 0
        return _product(args[0], 1 / abs(below.payload)) if fixed else None  # type: ignore[arg-type]
    return None
