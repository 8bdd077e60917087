"""Reductions over steps and groups whose value is known without their operand's values."""

from __future__ import annotations

import math

from derl_dsl.graph.ir import Payload
from derl_dsl.graph.ops import SLICES
from derl_dsl.passes.rewrite import Builder, Pass, Rule


def _count(build: Builder, args: tuple[int, ...], payload: Payload) -> int | None:
    """How many steps there are depends on no value: count one list that is in the expression."""
    found = _shape(build, args[0])
    if build.nodes[found].is_bool:
        found = build.add("num", (found,))
    return None if found == args[0] else build.add("list_count", (found,))


def _shape(build: Builder, i: int) -> int:
    """The plainest list of the same length."""
    op, args, payload, _, _ = build.nodes[i]
    if not args:
        return i
    if op in SLICES:
        inner = _shape(build, args[0])
        return i if inner == args[0] else build.add(op, (inner,), payload)
    return _shape(build, next(a for a in args if build.nodes[a].is_list))


def _dual(op: str) -> Rule:
    """any(not c) is not all(c), of an empty list too."""
    other = "list_all" if op == "list_any" else "list_any"

    def rule(build: Builder, args: tuple[int, ...], payload: Payload) -> int | None:
        below = build.below(args[0], "not")
        return None if below is None else build.add("not", (build.add(other, below),))

    return rule


def _max(build: Builder, args: tuple[int, ...], payload: Payload) -> int | None:
    """The largest of conditions is whether any holds; 0 of an empty list, as any is."""
    below = build.below(args[0], "num")
    return None if below is None else build.add("num", (build.add("list_any", below),))


def _part(build: Builder, args: tuple[int, ...], payload: Payload) -> int | None:
    return args[0] if payload == (0.0, 1.0) else None


def _constant(value: float) -> Rule:
    """The spread or the rank of equal values, in a group of any size."""

    def rule(build: Builder, args: tuple[int, ...], payload: Payload) -> int | None:
        known = build.constant(args[0])
        return build.const(value) if known is not None and math.isfinite(known) else None

    return rule


PASS = Pass(
    "lists",
    "reductions that need no values",
    {
        "list_count": _count,
        "list_any": _dual("list_any"),
        "list_all": _dual("list_all"),
        "list_max": _max,
        "part": _part,
        "group_std": _constant(0.0),
        "group_rank": _constant(0.5),
    },
)
