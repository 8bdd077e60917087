"""Canonical form: arguments that may change places stand in one order, constants last.

Sums, products, equality and logic commute bit by bit; min and max do not (of two zeros they take
the second), and nothing associates.
"""

from __future__ import annotations

from derl_dsl.graph.ir import Payload
from derl_dsl.graph.ops import OPERATIONS
from derl_dsl.passes.rewrite import Builder, Pass, Rule


def _commutes(op: str) -> Rule:
    def rule(build: Builder, args: tuple[int, ...], payload: Payload) -> int | None:
        a, b = args
        first, second = build.nodes[a].op == "const", build.nodes[b].op == "const"
        if first > second or (first == second and a > b):
            return build.add(op, (b, a))
        return None

    return rule


def _subtract(build: Builder, args: tuple[int, ...], payload: Payload) -> int | None:
    """x - c is x + -c."""
    value = build.constant(args[1])
    return None if value is None else build.add("add", (args[0], build.const(-value)))


def _bound(op: str) -> Rule:
    """min(c, x) is min(x, c), for no other zero can meet c."""

    def rule(build: Builder, args: tuple[int, ...], payload: Payload) -> int | None:
        a, b = args
        if build.constant(a) and build.constant(b) is None:
            return build.add(op, (b, a))
        return None

    return rule


def _distance(build: Builder, args: tuple[int, ...], payload: Payload) -> int | None:
    """|y - x| is |x - y|."""
    pair = build.below(args[0], "sub")
    if pair is None or pair[0] <= pair[1]:
        return None
    return build.add("abs", (build.add("sub", (pair[1], pair[0])),))


PASS = Pass(
    "order",
    "one order of arguments, constants last",
    {op: _commutes(op) for op, known in OPERATIONS.items() if known.commutes == "bits"}
    | {op: _bound(op) for op, known in OPERATIONS.items() if known.commutes == "values"}
    | {"sub": _subtract, "abs": _distance},
)
