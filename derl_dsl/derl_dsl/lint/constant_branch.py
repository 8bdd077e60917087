"""DRL507: a conditional that does not decide anything."""

from __future__ import annotations

from derl_dsl.lint.context import Context, Rule
from derl_grammar import nodes as n
from derl_grammar.diagnostics import define

CODE = define(
    "DRL507",
    "conditional decides nothing",
    stage="degenerate",
    severity="warning",
    why="With equal branches, or a condition that is always the same, half of what is written "
    "never counts.",
    bad="g1 + g2 if g3 > 0.5 else g1 + g2",
    good="g1 + g2 if g3 > 0.5 else g1",
)


def look(ctx: Context, node: n.Conditional) -> None:
    """Compares the branches, then asks for the range of the test."""
    at = ctx.at(node)
    # With skip in a branch the value is the other branch, which may be a conditional itself.
    if at is None or at.op != "select" or at.args[0] != ctx.node(node.test):
        return
    test, then, other = at.args
    if then == other and ctx.applies_alike(node, node.then):
        fix = ctx.replaced("keep one branch", node.place, ctx.operand(node.then))
        ctx.add(CODE, node.place, "both branches are the same", fix=fix)
        return
    known = ctx.range(test)
    if known is None or known.nan or known.lo != known.hi:
        return
    start, end = node.test.place
    # A comparison inside the test that is always the same has been reported itself.
    if any(d.code in ("DRL508", "DRL516") and start <= d.span.start < end for d in ctx.found):
        return
    taken = node.then if known.lo else node.other
    if not ctx.applies_alike(node, taken):
        return
    message = f"the condition is always {'true' if known.lo else 'false'}"
    fix = ctx.replaced("keep the branch that is taken", node.place, ctx.operand(taken))
    ctx.add(CODE, node.test.place, message, fix=fix)


RULE = Rule(CODE, look, ("if",))
