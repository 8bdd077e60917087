"""DRL518: clip or ramp with bounds that the value never meets."""

from __future__ import annotations

from derl_dsl.lint.context import Context, Rule
from derl_grammar import nodes as n
from derl_grammar.diagnostics import define

CODE = define(
    "DRL518",
    "bounds never reached",
    stage="degenerate",
    severity="info",
    why="A clip whose bounds lie outside the value's range does nothing, and a ramp's never gives "
    "0 nor 1; the bounds were probably meant for another scale.",
    bad="g1 + 0.2 * clip(g2, -5, 5)",
    good="g1 + 0.2 * clip(g2, 0, 0.5)",
)


def look(ctx: Context, node: n.Call) -> None:
    """Compares literal bounds with the range of the value."""
    if len(node.args) != 3:
        return
    x = node.args[0]
    lo, hi = ctx.constant(node.args[1]), ctx.constant(node.args[2])
    known = ctx.range(ctx.node(x))
    if lo is None or hi is None or known is None or known.nan or known.lo == known.hi:
        return
    said = f"`{ctx.shown(x.place)}` lies in [{known.lo:.6g}, {known.hi:.6g}]"
    if node.name == "clip" and lo <= known.lo and known.hi <= hi:
        fix = ctx.replaced("leave clip out", node.place, ctx.operand(x))
        ctx.add(CODE, node.place, f"this clip never binds: {said}", fix=fix)
    elif node.name == "ramp" and lo < known.lo and known.hi < hi:
        message = f"this ramp never gives 0 nor 1: {said}"
        ctx.add(CODE, node.place, message, "bring the bounds to the range")


RULE = Rule(CODE, look, ("clip()", "ramp()"))
