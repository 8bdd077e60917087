"""Comparisons: decided ones, those of conditions counted as numbers, signs on both sides."""

from __future__ import annotations

from derl_dsl.graph.ir import Payload
from derl_dsl.graph.scalars import OPS
from derl_dsl.passes.facts import bounds, ordered
from derl_dsl.passes.rewrite import Builder, Pass, Rule


def _decided(build: Builder, op: str, a: int, b: int) -> bool | None:
    """What proven ranges say; a NaN would make all but `ne` false."""
    if not ordered(build, a, b):
        return None
    if a == b:
        return op in ("le", "eq")
    (least_a, most_a), (least_b, most_b) = bounds(build, a), bounds(build, b)
    if op in ("eq", "ne"):
        return op == "ne" if most_a < least_b or most_b < least_a else None
    if most_a < least_b or (op == "le" and most_a == least_b):
        return True
    return False if least_a > most_b or (op == "lt" and least_a == most_b) else None


def _counted(build: Builder, op: str, args: tuple[int, ...]) -> int | None:
    """A condition that counts 1 or 0 against a constant: the condition, its opposite, or known."""
    for k in (0, 1):
        below, value = build.below(args[k], "num"), build.constant(args[1 - k])
        if below is None or value is None:
            continue
        meaning = OPS[op]
        no, yes = (meaning(x, value) if k == 0 else meaning(value, x) for x in (0.0, 1.0))
        if no == yes:
            return build.truth(bool(yes))
        return below[0] if yes else build.add("not", below)
    return None


def _signs(build: Builder, op: str, args: tuple[int, ...]) -> int | None:
    """-x < -y is y < x; -x < c is -c < x."""
    a, b = args
    first, second = build.below(a, "neg"), build.below(b, "neg")
    if first is None and second is None:
        return None
    left, right = build.constant(a), build.constant(b)
    if first is not None and second is not None:
        return build.add(op, (second[0], first[0]))
    if first is not None and right is not None:
        return build.add(op, (build.const(-right), first[0]))
    if second is not None and left is not None:
        return build.add(op, (second[0], build.const(-left)))
    return None


def _compares(op: str) -> Rule:
    def rule(build: Builder, args: tuple[int, ...], payload: Payload) -> int | None:
        a, b = args
        if a == b and op == "lt":
            return build.truth(False)
        decided = _decided(build, op, a, b)
        if decided is not None:
            return build.truth(decided)
        found = _counted(build, op, args)
        return _signs(build, op, args) if found is None else found

    return rule


def _less(build: Builder, args: tuple[int, ...], payload: Payload) -> int | None:
    """a - b < 0 is a < b: a difference is never rounded to 0, and NaN is less than nothing."""
    a, b = args
    pair = build.below(a, "sub")
    if pair is not None and build.constant(b) == 0:
        return build.add("lt", pair)
    pair = build.below(b, "sub")
    if pair is not None and build.constant(a) == 0:
        return build.add("lt", (pair[1], pair[0]))
    return _compares("lt")(build, args, payload)


PASS = Pass(
    "compare",
    "decided comparisons, and those of conditions, signs and differences",
    {op: _compares(op) for op in ("le", "eq", "ne")} | {"lt": _less},
)
