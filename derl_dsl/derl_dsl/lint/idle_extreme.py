"""DRL519: min or max with a constant that never binds."""

from __future__ import annotations

from derl_dsl.lint.context import Context, Rule
from derl_grammar import nodes as n
from derl_grammar.diagnostics import Fix, define

CODE = define(
    "DRL519",
    "min or max never binds",
    stage="degenerate",
    severity="info",
    why="max(x, 0) of an x that is never below 0 is x; the bound was probably meant for another "
    "value or another scale.",
    bad="g1 + 0.2 * max(g2, -1)",
    good="g1 + 0.2 * max(g2, 0.5)",
)


def look(ctx: Context, node: n.Call) -> None:
    """Looks for a literal that another argument's range makes idle."""
    if len(node.args) < 2:
        return
    for k, arg in enumerate(node.args):
        bound = ctx.constant(arg)
        others = [a for j, a in enumerate(node.args) if j != k]
        if bound is None or any(ctx.constant(o) is not None for o in others):
            continue
        for other in others:
            known = ctx.range(ctx.node(other))
            if known is None or known.nan:
                continue
            idle = known.lo >= bound if node.name == "max" else known.hi <= bound
            if idle:
                said = f"`{ctx.shown(other.place)}` lies in [{known.lo:.6g}, {known.hi:.6g}]"
                message = f"{bound:g} never binds: {said}"
                ctx.add(CODE, node.place, message, fix=_without(ctx, node, others))
                return


def _without(ctx: Context, node: n.Call, others: list[n.Expr]) -> Fix | None:
    texts = ", ".join(ctx.text(o) for o in others)
    text = ctx.operand(others[0]) if len(others) == 1 else f"{node.name}({texts})"
    return ctx.replaced("leave the bound out", node.place, text)


RULE = Rule(CODE, look, ("min()", "max()"))
