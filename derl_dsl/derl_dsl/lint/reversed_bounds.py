"""DRL517: clip or ramp with the larger bound first."""

from __future__ import annotations

from derl_dsl.lint.context import Context, Rule
from derl_grammar import nodes as n
from derl_grammar.diagnostics import define

CODE = define(
    "DRL517",
    "bounds reversed",
    stage="degenerate",
    severity="warning",
    why="clip(x, 1, 0) is always 0, and ramp(x, 10, 0) falls where a ramp rises; the smaller "
    "bound comes first.",
    bad="g1 + ramp(g2, 0.8, 0.2)",
    good="g1 + 1 - ramp(g2, 0.2, 0.8)",
)


def look(ctx: Context, node: n.Call) -> None:
    """Looks at literal bounds."""
    if len(node.args) != 3:
        return
    x, first, second = node.args
    lo, hi = ctx.constant(first), ctx.constant(second)
    if lo is None or hi is None or lo <= hi:
        return
    ordered = f"{node.name}({ctx.text(x)}, {ctx.text(second)}, {ctx.text(first)})"
    text = ordered if node.name == "clip" else f"(1 - {ordered})"
    fix = ctx.replaced("smaller bound first", node.place, text)
    message = f"the bounds of {node.name} are reversed: {lo:g} is above {hi:g}"
    ctx.add(CODE, node.place, message, f"write {text}", fix=fix)


RULE = Rule(CODE, look, ("clip()", "ramp()"))
