"""Sums, products, quotients and powers: what leaves every bit as it is."""

from __future__ import annotations

import math

from derl_dsl.graph.ir import Payload
from derl_dsl.passes.facts import bounds, finite, never_minus_zero, ordered
from derl_dsl.passes.rewrite import INF, Builder, Pass


def _neg(build: Builder, args: tuple[int, ...], payload: Payload) -> int | None:
    op, below, _, _, _ = build.nodes[args[0]]
    if op == "neg":
        return below[0]
    if op in ("mul", "div"):
        a, b = below
        value = build.constant(b)
        if value is not None:
            return build.add(op, (a, build.const(-value)))
        value = build.constant(a)
        if value is not None:
            return build.add(op, (build.const(-value), b))
    return None


def _add(build: Builder, args: tuple[int, ...], payload: Payload) -> int | None:
    a, b = args
    value = build.constant(b)
    # x + -0.0 is x; x + 0.0 turns -0.0 into 0.0.
    if value == 0 and (math.copysign(1.0, value) < 0 or never_minus_zero(build, a)):
        return a
    for x, y in ((a, b), (b, a)):
        below = build.below(y, "neg")
        if below is not None:
            return build.add("sub", (x, below[0]))
    return None


def _sub(build: Builder, args: tuple[int, ...], payload: Payload) -> int | None:
    a, b = args
    below = build.below(b, "neg")
    if below is not None:
        return build.add("add", (a, below[0]))
    value = build.constant(a)
    if value == 0 and math.copysign(1.0, value) < 0:
        return build.add("neg", (b,))
    condition = build.below(b, "num")
    if value == 1 and condition is not None:
        return build.add("num", (build.add("not", condition),))
    return build.const(0.0) if a == b and finite(build, a) else None


def _mul(build: Builder, args: tuple[int, ...], payload: Payload) -> int | None:
    a, b = args
    value, negated = build.constant(b), build.below(a, "neg")
    if value is None:
        other = build.below(b, "neg")
        if negated is not None and other is not None:
            return build.add("mul", (negated[0], other[0]))
        return None
    if value == 1:
        return a
    if value == -1:
        return build.add("neg", (a,))
    if negated is not None:
        return build.add("mul", (negated[0], build.const(-value)))
    if value == 0 and finite(build, a):
        lo, hi = bounds(build, a)
        if lo > 0 or hi < 0:
            return build.const(value if lo > 0 else -value)
    return None


def _div(build: Builder, args: tuple[int, ...], payload: Payload) -> int | None:
    a, b = args
    value, negated = build.constant(b), build.below(a, "neg")
    if value is not None:
        reciprocal = _reciprocal(value)
        if reciprocal is not None:
            return build.add("mul", (a, build.const(reciprocal)))
        if negated is not None:
            return build.add("div", (negated[0], build.const(-value)))
    other = build.below(b, "neg")
    if negated is not None and other is not None:
        return build.add("div", (negated[0], other[0]))
    if finite(build, b):
        lo, hi = bounds(build, b)
        if a == b and (lo > 0 or hi < 0):
            return build.const(1.0)
    return None


def _reciprocal(value: float) -> float | None:
    """1 / value of a power of two, which divides with the rounding of a product.

    Both round the same real number once, so long as the reciprocal is exact (and no denormal,
    which some machines flush).
    """
    share, exponent = math.frexp(value)
    return 1.0 / value if abs(share) == 0.5 and abs(exponent - 1) <= 1021 else None


def _pow(build: Builder, args: tuple[int, ...], payload: Payload) -> int | None:
    base, exponent = args
    power = build.constant(exponent)
    if power == 1:
        return base
    if power == 0 or build.constant(base) == 1:
        return build.const(1.0)
    return None


def _zero(build: Builder, args: tuple[int, ...], payload: Payload) -> int | None:
    """0 / x of x above 0."""
    a, b = args
    value = build.constant(a)
    if value == 0 and ordered(build, b) and 0 < bounds(build, b)[0] < INF:
        return a
    return None


def _divide(build: Builder, args: tuple[int, ...], payload: Payload) -> int | None:
    found = _div(build, args, payload)
    return _zero(build, args, payload) if found is None else found


PASS = Pass(
    "arithmetic",
    "neutral elements, signs, division by powers of two",
    {"neg": _neg, "add": _add, "sub": _sub, "mul": _mul, "div": _divide, "pow": _pow},
)
