"""DRL508: a comparison that is always the same."""

from __future__ import annotations

from derl_dsl.graph.ops import OPERATIONS
from derl_dsl.lint.context import Context, Rule
from derl_grammar import nodes as n
from derl_grammar.diagnostics import define

CODE = define(
    "DRL508",
    "threshold outside the range",
    stage="degenerate",
    severity="warning",
    why="A threshold that the value never crosses decides nothing. g1 of derl-math is 1e-6 or "
    "1.000001, so `g1 > 0` is always true.",
    bad="1 + g2 if g1 > 0 else 0.1 * g3",
    good="1 + g2 if g1 > 0.5 else 0.1 * g3",
)


def look(ctx: Context, node: n.Compare) -> None:
    """Asks for the range of the comparison; the same operand twice is another rule's."""
    at = ctx.at(node)
    if at is None or not (OPERATIONS[at.op].compares or at.op == "and"):
        return
    if at.args[0] == at.args[1]:
        return
    known = ctx.range(ctx.node(node))
    if known is None or known.nan or known.lo != known.hi:
        return
    message = f"this comparison is always {'true' if known.lo else 'false'}"
    said = [s for s in (_said(ctx, operand) for operand in node.operands) if s is not None]
    if said:
        message += ": " + ", ".join(dict.fromkeys(said))
    ctx.add(CODE, node.place, message, *_halfway(ctx, node))


def _said(ctx: Context, operand: n.Expr) -> str | None:
    bounds = ctx.range(ctx.node(operand))
    if bounds is None or ctx.constant(operand) is not None:
        return None
    return f"`{ctx.shown(operand.place)}` lies in [{bounds.lo:.9g}, {bounds.hi:.9g}]"


def _halfway(ctx: Context, node: n.Compare) -> list[str]:
    """The threshold between the two ends, for operands that have close ones."""
    for operand in node.operands:
        bounds = ctx.range(ctx.node(operand))
        if bounds and ctx.constant(operand) is None and 0 < bounds.hi - bounds.lo < 1e3:
            middle = (bounds.lo + bounds.hi) / 2
            return [f"a threshold inside its range, such as {middle:.3g}, would decide something"]
    return []


RULE = Rule(CODE, look, ("<",))
