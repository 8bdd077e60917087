"""DRL528: guard around a value that is always finite."""

from __future__ import annotations

import math

from derl_dsl.lint.context import Context, Rule
from derl_grammar import nodes as n
from derl_grammar.diagnostics import define

CODE = define(
    "DRL528",
    "guard without effect",
    stage="degenerate",
    severity="info",
    why="guard gives its default where a value is not finite; this value always is, so the "
    "default never counts.",
    bad="g1 + guard(0.2 * g2, 0)",
    good="g1 + 0.2 * g2",
)


def look(ctx: Context, node: n.Call) -> None:
    """Asks for the range of what is guarded."""
    if len(node.args) != 2:
        return
    x = node.args[0]
    at = ctx.node(x)
    known = ctx.range(at)
    if known is None or known.nan or not math.isfinite(known.lo) or not math.isfinite(known.hi):
        return
    if not ctx.applies_alike(node, x):  # the default decides whether the whole applies
        return
    fix = ctx.replaced("leave guard out", node.place, ctx.operand(x))
    message = f"`{ctx.shown(x.place)}` is always finite"
    hints: tuple[str, ...] = ()
    if ctx.values[id(x)].valid is not None:
        message += " where it is applicable"
        hints = ("write default(…) for a value where it is not",)
    ctx.add(CODE, node.place, message, *hints, fix=fix)


RULE = Rule(CODE, look, ("guard()",))
