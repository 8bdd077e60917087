"""select: branches that are never taken, or equal, or conditions themselves."""

from __future__ import annotations

from derl_dsl.graph.ir import Payload
from derl_dsl.passes.rewrite import Builder, Pass


def _select(build: Builder, args: tuple[int, ...], payload: Payload) -> int | None:
    test, a, b = args
    if test == build.true:
        return a
    if test == build.false:
        return b
    if a == b:
        return a
    below = build.below(test, "not")
    if below is not None:
        return build.add("select", (below[0], b, a))
    inner = build.below(a, "select")
    if inner is not None and inner[0] == test:
        return build.add("select", (test, inner[1], b))
    inner = build.below(b, "select")
    if inner is not None and inner[0] == test:
        return build.add("select", (test, a, inner[2]))
    return _logic(build, test, a, b) if build.nodes[a].is_bool else _numbers(build, test, a, b)


def _logic(build: Builder, test: int, a: int, b: int) -> int | None:
    """A choice of which one branch is constant: and, or."""
    if a in (build.true, build.false):
        if b in (build.true, build.false):
            return test if a == build.true else build.add("not", (test,))
        if a == build.true:
            return build.add("or", (test, b))
        return build.add("and", (build.add("not", (test,)), b))
    if b == build.false:
        return build.add("and", (test, a))
    if b == build.true:
        return build.add("or", (build.add("not", (test,)), a))
    return None


def _numbers(build: Builder, test: int, a: int, b: int) -> int | None:
    """1 if c else 0 is c as a number (0.0, never -0.0)."""
    pair = (str(build.constant(a)), str(build.constant(b)))
    if pair == ("1.0", "0.0"):
        return build.add("num", (test,))
    if pair == ("0.0", "1.0"):
        return build.add("num", (build.add("not", (test,)),))
    return None


PASS = Pass("choose", "branches that are never taken, equal, or conditions", {"select": _select})
