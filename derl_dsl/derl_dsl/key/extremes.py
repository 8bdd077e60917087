"""Extremes, bounds and sizes, all through one atom: pos(x), which is x where x is above 0, else 0.

    max(u, v)       u + pos(v - u)               min(u, v)   u - pos(u - v)
    clip(x, l, h)   l + pos(x - l) - pos(x - h)  abs(x)      2 * pos(x) - x

pos(c * x) is c * pos(x) for c > 0, and pos(-x) is pos(x) - x: so the argument starts with the
coefficient 1, and an extreme has one text however it is written. Bounds inside bounds are joined
first, bounds outside the range of what they bound go. Extremes of three or more stay one atom.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import reduce
from typing import NamedTuple

from derl_dsl.graph import ranges
from derl_dsl.graph.ranges import Range
from derl_dsl.key.atoms import Atoms
from derl_dsl.key.conditions import taken
from derl_dsl.key.exact import as_written
from derl_dsl.key.sums import Sum, constant


class _Held(NamedTuple):
    """An extreme of some nodes, held between two numbers."""

    op: str
    parts: tuple[int, ...]
    lo: float
    hi: float


def extreme(r: Atoms, i: int) -> Sum | None:
    """The sum of min, max, abs and choices that are one of them; None where it is an atom."""
    op, args = _opened(r, i)
    if r.ranges[i].nan:
        return None
    match op:
        case "abs":
            return _absolute(r, i, r.sums[args[0]])
        case "sqrt":
            at = r.node(args[0])
            square = at.op == "mul" and at.args[0] == at.args[1]
            return _absolute(r, i, r.sums[at.args[0]]) if square else None
        case "select":
            return _opposite(r, i, args)
        case "min" | "max":
            return _clipped(r, i, _held(r, op, args))
    return None


def _opened(r: Atoms, i: int) -> tuple[str, tuple[int, ...]]:
    """The operation and arguments of a node, a choice by an order being an extreme."""
    found = taken(r, i)
    return (r.node(i).op, r.node(i).args) if found is None else (found[0], found[1:])


def _held(r: Atoms, op: str, args: Sequence[int]) -> _Held:
    """Extremes inside extremes as one, and constant bounds joined with those inside."""
    parts, values = [], []
    for a in _flat(r, op, args):
        payload = r.node(a).payload
        if isinstance(payload, float):
            values.append(payload)
        else:
            parts.append(a)
    below = _Held(op, tuple(parts), -math.inf, math.inf)
    if len(parts) == 1:
        inside = _opened(r, parts[0])
        below = _held(r, *inside) if inside[0] in ("min", "max") else below
    if not values:
        return below
    held = max if op == "max" else min
    bound = held(values)
    return _Held(below.op, below.parts, held(below.lo, bound), held(below.hi, bound))


def _flat(r: Atoms, op: str, args: Sequence[int]) -> list[int]:
    """The arguments of extremes inside extremes, each once."""
    found: dict[int, None] = {}
    seen: set[int] = set()
    stack = list(args[::-1])
    while stack:
        a = stack.pop()
        if a not in seen:
            seen.add(a)
            below = _opened(r, a)
            if below[0] == op:
                stack += below[1][::-1]
            else:
                found[a] = None
    return list(found)


def _clipped(r: Atoms, i: int, held: _Held) -> Sum | None:
    """An extreme between bounds, of which those out of its reach go."""
    if not held.parts:
        return None
    found = reduce(ranges.OPS[held.op], [r.ranges[p] for p in held.parts])
    inside = _together(r, i, held, found)
    lo = held.lo if held.lo > found.lo else -math.inf
    hi = held.hi if held.hi < found.hi else math.inf
    if max(lo, found.lo) >= min(hi, found.hi):
        return None
    if lo == -math.inf and hi == math.inf:
        return inside
    result = inside
    if lo > -math.inf:
        bound = constant(Fraction(*as_written(lo)))
        result = bound.plus(_positive(r, i, _minus(inside, bound), _less(found, lo)))
    if hi < math.inf:
        bound = constant(Fraction(*as_written(hi)))
        result = _minus(result, _positive(r, i, _minus(inside, bound), _less(found, hi)))
    # Bounds say what a number is about, however far what they bound may go.
    width = min(hi, found.hi) - max(lo, found.lo)
    return Sum(result.terms, result.peak, max(min(1.0, width), inside.about))


def _together(r: Atoms, i: int, held: _Held, found: Range) -> Sum:
    sums = [r.sums[p] for p in held.parts]
    if len(sums) == 1:
        return sums[0]
    return _pair(r, i, held.op, *sums) if len(sums) == 2 else _many(r, i, held.op, sums, found)


def _less(found: Range, bound: float) -> Range:
    return ranges.sub(found, Range(bound, bound))


def _minus(a: Sum, b: Sum) -> Sum:
    return a.plus(b.times(Fraction(-1)))


def _positive(r: Atoms, i: int, x: Sum, found: Range) -> Sum:
    """pos(x), where x lies in `found`."""
    value = x.constant
    if value is not None:
        return constant(max(value, Fraction(0)))
    if found.lo >= 0:
        return x
    if found.hi <= 0:
        return constant(Fraction(0))
    scale = x.scale()
    core = x.times(1 / scale)
    turned = core.first() < 0
    text = f"pos({core.times(Fraction(-1)).text() if turned else core.text()})"
    size = max(-found.lo if turned else found.hi, 0.0)
    atom = r.named(text, i, Range(0.0, size), scale)
    return atom.plus(x) if turned else atom


def _pair(r: Atoms, i: int, op: str, u: Sum, v: Sum) -> Sum:
    if all(len(s.terms) == 1 and _is_truth(r, s) for s in (u, v)):
        # Of two conditions: and, or.
        both = u.by(v, r.tidy)
        return both if op == "min" else _minus(u.plus(v), both)
    if op == "max":
        return u.plus(_positive(r, i, _minus(v, u), ranges.ANY))
    return _minus(u, _positive(r, i, _minus(u, v), ranges.ANY))


def _is_truth(r: Atoms, s: Sum) -> bool:
    ((term, c),) = s.terms.items()
    return c == 1 and len(term) > 0 and r.truths.issuperset(term)


def _absolute(r: Atoms, i: int, x: Sum) -> Sum:
    return _minus(_positive(r, i, x, ranges.ANY).times(Fraction(2)), x)


def _opposite(r: Atoms, i: int, args: Sequence[int]) -> Sum | None:
    """`x if x > 0 else -x` is abs(x)."""
    test, then, other = args
    at = r.node(test)
    if at.op not in ("lt", "le") or r.node(at.args[0]).payload != 0.0:
        return None
    turned = r.node(other)
    fits = at.args[1] == then and turned.op == "neg" and turned.args[0] == then
    return _absolute(r, i, r.sums[then]) if fits else None


def _many(r: Atoms, i: int, op: str, parts: list[Sum], found: Range) -> Sum:
    """max of three or more, a minimum as the opposite; one factor is taken out of all."""
    if op == "min":
        parts, found = [p.times(Fraction(-1)) for p in parts], ranges.neg(found)
    scale = min((min(p.terms, key=lambda t: (not t, t)), p.scale()) for p in parts if p.terms)[1]
    texts = sorted({p.times(1 / scale).text() for p in parts})
    return r.named(f"max({', '.join(texts)})", i, found, scale if op == "max" else -scale)
