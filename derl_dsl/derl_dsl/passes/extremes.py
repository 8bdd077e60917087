"""min, max, abs, guard and rounding: what has no effect goes, nests of bounds become one."""

from __future__ import annotations

from derl_dsl.graph.ir import Payload
from derl_dsl.passes.facts import bounds, finite, never_minus_zero, ordered, whole
from derl_dsl.passes.rewrite import INF, Builder, Pass, Rule


def _idle(build: Builder, x: int, y: int, sign: float) -> bool:
    """Whether max(x, y) (sign 1) or min(x, y) (sign -1) is x whenever y is a number."""
    (lo_x, hi_x), (lo_y, hi_y) = bounds(build, x), bounds(build, y)
    gap, low = (lo_x - hi_y, lo_x) if sign > 0 else (lo_y - hi_x, hi_x)
    if gap != 0:
        return gap > 0
    # Equal values have equal bits, but for zeros, of which the second is taken.
    return low != 0 or (
        build.constant(y) == 0 and never_minus_zero(build, y) and never_minus_zero(build, x)
    )


def _extreme(op: str, sign: float) -> Rule:
    def rule(build: Builder, args: tuple[int, ...], payload: Payload) -> int | None:
        a, b = args
        if a == b:
            return a
        if ordered(build, b) and _idle(build, a, b, sign):
            return a
        if ordered(build, a) and _strictly(build, b, a):
            return b
        value, inner = build.constant(b), build.below(a, op)
        if value is not None and inner is not None:
            other = build.constant(inner[1])
            # Of two bounds the tighter one remains; an idle outer one went above.
            if other is not None and sign * other < sign * value:
                return build.add(op, (inner[0], b))
        return None

    def _strictly(build: Builder, x: int, y: int) -> bool:
        (a, b), (c, d) = bounds(build, x), bounds(build, y)
        return a > d if sign > 0 else b < c

    return rule


def _abs(build: Builder, args: tuple[int, ...], payload: Payload) -> int | None:
    x = args[0]
    below = build.below(x, "neg")
    if below is not None:
        return build.add("abs", below)
    lo, hi = bounds(build, x)
    if (lo >= 0 and never_minus_zero(build, x)) or build.nodes[x].op == "abs":
        return x
    if hi < 0:
        return build.add("neg", (x,))
    pair = build.below(x, "mul")
    return x if pair is not None and pair[0] == pair[1] else None


def _rounds(build: Builder, args: tuple[int, ...], payload: Payload) -> int | None:
    return args[0] if whole(build, args[0]) else None


def _sign(build: Builder, args: tuple[int, ...], payload: Payload) -> int | None:
    if build.nodes[args[0]].op in ("sign", "num"):
        return args[0]
    if ordered(build, args[0]):
        lo, hi = bounds(build, args[0])
        if lo > 0 or hi < 0:
            return build.const(1.0 if lo > 0 else -1.0)
    return None


def _guard(build: Builder, args: tuple[int, ...], payload: Payload) -> int | None:
    x, default = args
    if x == default or finite(build, x):
        return x
    inner = build.below(x, "guard")
    if inner is not None:
        value = build.constant(inner[1])
        return x if value is not None and abs(value) < INF else None
    return None


PASS = Pass(
    "extremes",
    "idle and nested bounds, signs and guards",
    {
        "min": _extreme("min", -1.0),
        "max": _extreme("max", 1.0),
        "abs": _abs,
        "floor": _rounds,
        "round": _rounds,
        "sign": _sign,
        "guard": _guard,
    },
)
