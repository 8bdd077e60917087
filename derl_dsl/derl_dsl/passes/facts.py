"""What rules may know of a node: how large it can be, and whether it can be -0.0."""

from __future__ import annotations

from derl_dsl.graph.ops import OPERATIONS
from derl_dsl.passes.rewrite import INF, Builder

# How deep a question goes into the arguments: programs are shallow, walks must stay cheap.
_DEPTH = 6


def bounds(build: Builder, i: int, depth: int = _DEPTH) -> tuple[float, float]:
    """The least and the largest value of a node, NaN aside."""
    op, args, payload, _, _ = build.nodes[i]
    if op == "const":
        assert isinstance(payload, float)
        return payload, payload
    known = OPERATIONS[op]
    lo, hi = known.lo, known.hi
    if depth and op in ("min", "max"):
        (a, b), (c, d) = bounds(build, args[0], depth - 1), bounds(build, args[1], depth - 1)
        lo, hi = (min(a, c), min(b, d)) if op == "min" else (max(a, c), max(b, d))
    proven = build.ranges.get(i)
    return (lo, hi) if proven is None else (max(lo, proven.lo), min(hi, proven.hi))


def never_minus_zero(build: Builder, i: int, depth: int = _DEPTH) -> bool:
    """Whether a node is never -0.0."""
    op, args, payload, _, _ = build.nodes[i]
    if op == "const":
        return str(payload) != "-0.0"
    if OPERATIONS[op].never_minus_zero or (op == "mul" and args[0] == args[1]):
        return True
    lo, hi = bounds(build, i, depth)
    if lo > 0 or hi < 0:
        return True
    if not depth:
        return False
    below = [never_minus_zero(build, a, depth - 1) for a in args[-2:]]
    match op:
        case "add":  # -0.0 is the sum of two -0.0 alone
            return any(below)
        case "sub":  # and of -0.0 - 0.0 alone
            return below[0]
        case "min" | "max" if build.constant(args[1]) == 0:
            return below[1]  # of two zeros, the second
        case "min" | "max" | "select":
            return all(below)
    return False


def finite(build: Builder, i: int) -> bool:
    """Whether a node is never NaN nor infinite."""
    if OPERATIONS[build.nodes[i].op].finite or build.constant(i) is not None:
        value = build.constant(i)
        return value is None or abs(value) < INF
    proven = build.ranges.get(i)
    return proven is not None and proven.finite


def ordered(build: Builder, *nodes: int) -> bool:
    """Whether none of the nodes is ever NaN."""
    return all(
        finite(build, i) or ((r := build.ranges.get(i)) is not None and not r.nan) for i in nodes
    )


def whole(build: Builder, i: int) -> bool:
    """Whether a node is a whole number, NaN and infinity aside."""
    return OPERATIONS[build.nodes[i].op].whole
