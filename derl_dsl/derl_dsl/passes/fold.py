"""Constants: an operation on constants is the constant that it gives."""

from __future__ import annotations

import math

from derl_dsl.graph.ir import Payload
from derl_dsl.graph.ops import BOOLEAN, OPERATIONS
from derl_dsl.graph.scalars import OPS
from derl_dsl.passes.rewrite import Builder, Pass, Rule


def _folds(op: str) -> Rule:
    """By `scalars`, which the reference backend agrees with; what is not finite stays as it is."""
    meaning, is_bool = OPS[op], op in BOOLEAN

    def rule(build: Builder, args: tuple[int, ...], payload: Payload) -> int | None:
        nodes = build.nodes
        for a in args:
            if nodes[a].op != "const":
                return None
        value = meaning(*[nodes[a].payload for a in args])
        if is_bool:
            return build.truth(bool(value))
        return build.const(value) if math.isfinite(value) else None

    return rule


def _number(build: Builder, args: tuple[int, ...], payload: Payload) -> int | None:
    """A constant condition as a number."""
    if args[0] == build.true:
        return build.const(1.0)
    return build.const(0.0) if args[0] == build.false else None


PASS = Pass(
    "fold",
    "operations on constants",
    {op: _folds(op) for op in OPS if set(OPERATIONS[op].takes) == {"n"}} | {"num": _number},
)
