"""Reductions of lists and groups: what is linear in them, and ranks."""

from __future__ import annotations

import math
from fractions import Fraction

from derl_dsl.graph import ranges
from derl_dsl.graph.ops import OPERATIONS
from derl_dsl.graph.ranges import Range
from derl_dsl.key.atoms import Atoms
from derl_dsl.key.sums import Sum, constant

# What is 0 of an empty list: as good as multiplied by the condition that there are steps.
_EMPTY = frozenset({"list_sum", "list_mean", "list_min", "list_max", "list_first", "list_last"})
_TURNED = {"list_max": "list_min", "list_min": "list_max", "list_first": "list_first",
           "list_last": "list_last"}  # fmt: skip


def folded(r: Atoms, i: int) -> Sum | None:
    """The sum of a reduction, a slice or a group function; None where it is an atom."""
    op, args, _, is_bool, _ = r.node(i)
    if is_bool:
        return None
    match op:
        case "list_count":
            return r.named(_count(r, args[0]), i, r.ranges[i], Fraction(1))
        case "list_sum" | "list_mean":
            found = _linear(r, i, op, args[0])
            return _scaled(r, i) if found is None else found
        case "group_rank":
            return _ranked(r, i, args)
        case _ if OPERATIONS[op].scaling:
            return _scaled(r, i)
    return None


def _count(r: Atoms, xs: int) -> str:
    """How many steps there are, told by the plainest list of that length."""
    return f"list_count({r.exact[r.base(xs)]})"


def _linear(r: Atoms, i: int, op: str, xs: int) -> Sum | None:
    """A sum or a mean term by term, single values as factors; a sum of constants is a count."""
    inner, found = r.sums[xs], Sum({}, 0.0)
    if op == "list_mean" and () in inner.terms:
        return None
    for term, c in inner.terms.items():
        steps = tuple(t for t in term if t in r.lists)
        single = tuple(t for t in term if t not in r.lists)
        if steps:
            part = _filled(r, i, xs, f"{op}({'*'.join(steps)})", ranges.ANY)
        else:
            part = r.named(_count(r, xs), i, ranges.ANY, Fraction(1))
        found = found.plus(part.by(Sum({single: c}, 1.0), r.tidy))
    return Sum(found.terms, max(inner.peak, found.peak), inner.about)


def _filled(
    r: Atoms, i: int, xs: int, text: str, found: Range, scale: Fraction = Fraction(1)
) -> Sum:
    """`scale` times a reduction that is 0 of an empty list."""
    result = r.named(text, i, found, scale)
    (term,) = result.terms
    r.filled[term[0]] = f"lt(0, {_count(r, xs)})"
    return result


def _scaled(r: Atoms, i: int) -> Sum:
    """A factor is taken out; of the smallest value a negative one makes the largest."""
    op, args, _, _, _ = r.node(i)
    inner = r.sums[args[0]]
    scale = inner.scale()
    shown = inner.times(1 / scale)
    name = op
    if op in _TURNED and shown.first() < 0:
        name, scale, shown = _TURNED[op], -scale, shown.times(Fraction(-1))
    texts = [shown.text(), *(r.exact[a] for a in args[1:])]
    text = r.text(i, texts) if name == op else f"{name}({', '.join(texts)})"
    found = r.ranges[i] if scale > 0 else ranges.neg(r.ranges[i])
    if op in _EMPTY:
        return _filled(r, i, args[0], text, found, scale)
    return r.named(text, i, found, scale)


def _ranked(r: Atoms, i: int, args: tuple[int, ...]) -> Sum | None:
    """A rank is that of the number times a power of two, and 1 less it of the opposite."""
    x, turned = args[0], False
    while True:
        at = r.node(x)
        payload = r.node(at.args[1]).payload if at.op == "mul" else None
        if at.op == "neg":
            x, turned = at.args[0], not turned
        elif isinstance(payload, float) and payload and abs(math.frexp(payload)[0]) == 0.5:
            x, turned = at.args[0], turned != (payload < 0)
        else:
            break
    if x == args[0]:
        return None
    found = r.named(f"group_rank({r.exact[x]}, {r.exact[args[1]]})", i, Range(0, 1), Fraction(1))
    return constant(Fraction(1)).plus(found.times(Fraction(-1))) if turned else found


def mean_of(r: Atoms, above: int, below: int) -> Sum | None:
    """A list's sum by its number of steps, or by 1 where there are none: its mean."""
    one, two = r.node(above), r.node(below)
    if two.op == "max":
        counts = [a for a in two.args if r.node(a).op == "list_count"]
        ones = [a for a in two.args if r.node(a).payload == 1.0]
        if len(counts) != 1 or len(ones) != 1:
            return None
        two = r.node(counts[0])
    if one.op != "list_sum" or two.op != "list_count":
        return None
    if r.base(one.args[0]) != r.base(two.args[0]):
        return None
    found = _linear(r, above, "list_mean", one.args[0])
    if found is not None:
        return found
    text = f"list_mean({r.sums[one.args[0]].text()})"
    return _filled(r, above, one.args[0], text, ranges.ANY)
