"""and, or, not: constants, repetitions and contradictions."""

from __future__ import annotations

from derl_dsl.graph.ir import Payload
from derl_dsl.passes.facts import ordered
from derl_dsl.passes.rewrite import Builder, Pass, Rule


def _not(build: Builder, args: tuple[int, ...], payload: Payload) -> int | None:
    op, below, _, _, _ = build.nodes[args[0]]
    if args[0] in (build.true, build.false):
        return build.truth(args[0] == build.false)
    match op:
        case "not":
            return below[0]
        case "eq":
            return build.add("ne", below)
        case "ne":
            return build.add("eq", below)
        case "lt" | "le" if ordered(build, *below):
            return build.add("le" if op == "lt" else "lt", (below[1], below[0]))
    return None


def _joins(op: str) -> Rule:
    """`and` with true and false; `or` with them exchanged."""
    dual = "or" if op == "and" else "and"

    def rule(build: Builder, args: tuple[int, ...], payload: Payload) -> int | None:
        a, b = args
        if a == b:
            return a
        neutral, strong = (build.true, build.false) if op == "and" else (build.false, build.true)
        for x, y in ((a, b), (b, a)):
            if x == strong:
                return x
            if x == neutral:
                return y
            below = build.nodes[x]
            if below.op == "not" and below.args[0] == y:
                return build.truth(op == "or")
            if below.op == op and y in below.args:
                return x
            if below.op == dual and y in below.args:
                return y
        return None

    return rule


PASS = Pass(
    "logic",
    "constant, repeated and contradicting conditions",
    {"not": _not, "and": _joins("and"), "or": _joins("or")},
)
