"""Conditions as polynomials of atoms that are 0 or 1.

`a and b` is a * b, `a or b` is a + b - a * b, `not a` is 1 - a; of an order and its opposite one is
the atom. A condition has then one text, however it is written, and a choice is a polynomial too:
`u if c else v` is v + c * (u - v). What a branch that is not taken would be multiplies by 0.
"""

from __future__ import annotations

import math
from fractions import Fraction

from derl_dsl.graph.leaves import is_whole
from derl_dsl.key.atoms import TERMS, Atoms
from derl_dsl.key.sums import Sum, constant

_ONE = constant(Fraction(1))


def _minus(a: Sum, b: Sum) -> Sum:
    return a.plus(b.times(Fraction(-1)))


def condition(r: Atoms, i: int) -> Sum | None:
    """A condition as a sum; None for one that is an atom as it stands."""
    op, args, _, is_bool, _ = r.node(i)
    if not is_bool:
        return None
    match op:
        case "not":
            return _minus(_ONE, r.sums[args[0]])
        case "and":
            return r.product(r.sums[args[0]], r.sums[args[1]])
        case "or":
            a, b = r.sums[args[0]], r.sums[args[1]]
            both = r.product(a, b)
            return None if both is None else _small(_minus(a.plus(b), both))
        case "select":
            return choice(r, i)
        case "lt" | "le":
            return _less(r, i, args[0], args[1], op == "lt")
        case "eq" | "ne":
            found = _equal(r, i, args[0], args[1])
            return found if op == "eq" else _minus(_ONE, found)
    return None


def _small(found: Sum) -> Sum | None:
    return found if len(found.terms) <= TERMS else None


def choice(r: Atoms, i: int) -> Sum | None:
    """`u if c else v` as v + c * (u - v)."""
    test, then, other = (r.sums[a] for a in r.node(i).args)
    found = r.product(test, _minus(then, other))
    return None if found is None else _small(other.plus(found))


def _constant(r: Atoms, i: int) -> float | None:
    payload = r.node(i).payload
    return payload if isinstance(payload, float) and math.isfinite(payload) else None


def _less(r: Atoms, i: int, a: int, b: int, strict: bool) -> Sum | None:
    """a < b, or not b < a; of whole numbers and a constant, whether they are above a whole one."""
    if r.ranges[a].nan or r.ranges[b].nan:
        return None
    low, high = _constant(r, a), _constant(r, b)
    if low is not None and is_whole(r.graph, b):
        return _above(r, i, b, math.floor(low) if strict else math.ceil(low) - 1)
    if high is not None and is_whole(r.graph, a):
        return _minus(_ONE, _above(r, i, a, math.ceil(high) - 1 if strict else math.floor(high)))
    if strict:
        return r.truth(f"lt({r.exact[a]}, {r.exact[b]})", i)
    return _minus(_ONE, r.truth(f"lt({r.exact[b]}, {r.exact[a]})", i))


def _above(r: Atoms, i: int, x: int, bound: int) -> Sum:
    """Whether a whole number is above another."""
    found = r.ranges[x]
    if found.lo > bound or found.hi <= bound:
        return constant(Fraction(found.lo > bound))
    counted = _counted(r, x)
    if bound == 0 and counted is not None:
        return r.truth(f"list_any({r.exact[counted]})", i)
    return r.truth(f"lt({bound}, {r.exact[x]})", i)


def _counted(r: Atoms, x: int) -> int | None:
    """The condition whose steps a sum counts."""
    at = r.node(x)
    below = r.node(at.args[0]) if at.op == "list_sum" else None
    return below.args[0] if below is not None and below.op == "num" else None


def _equal(r: Atoms, i: int, a: int, b: int) -> Sum:
    for x, y in ((a, b), (b, a)):
        value, counted, found = _constant(r, y), _counted(r, x), r.ranges[x]
        if value is not None and is_whole(r.graph, x) and not found.nan:
            # At an end of its range, it is not above or below.
            if value == found.lo:
                return _minus(_ONE, _above(r, i, x, int(value)))
            if value == found.hi:
                return _above(r, i, x, int(value) - 1)
        steps = r.node(y)
        alike = counted is not None and steps.op == "list_count"
        if counted is not None and alike and r.base(steps.args[0]) == r.base(counted):
            return r.truth(f"list_all({r.exact[counted]})", i)
    first, second = sorted((r.exact[a], r.exact[b]))
    return r.truth(f"eq({first}, {second})", i)


def taken(r: Atoms, i: int) -> tuple[str, int, int] | None:
    """The extreme that a choice by an order is: `a if a < b else b` is min(a, b)."""
    op, args, _, is_bool, _ = r.node(i)
    if op != "select" or is_bool:
        return None
    test, then, other = args
    at = r.node(test)
    if at.op not in ("lt", "le") or {then, other} != set(at.args):
        return None
    return ("min" if then == at.args[0] else "max", then, other)
