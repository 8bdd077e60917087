"""DRL522: a condition that is asked again inside its own branch."""

from __future__ import annotations

from derl_dsl.lint.context import Context, Rule
from derl_grammar import nodes as n
from derl_grammar.diagnostics import define

CODE = define(
    "DRL522",
    "condition asked again",
    stage="degenerate",
    severity="warning",
    why="Inside a branch its condition is known, so one of the inner branches can never be taken.",
    bad="g1 + g2 if g3 > 0.5 else g1 if g3 > 0.5 else 0.5 * g1",
    good="g1 + g2 if g3 > 0.5 else g1 if g4 > 0.5 else 0.5 * g1",
)


def look(ctx: Context, node: n.Conditional) -> None:
    """Looks in both branches for a conditional with the same test."""
    test = ctx.node(node.test)
    for branch, known in ((node.then, True), (node.other, False)):
        for inner in n.postorder(branch):
            if not isinstance(inner, n.Conditional) or ctx.node(inner.test) != test:
                continue
            taken = inner.then if known else inner.other
            fix = ctx.replaced("keep the branch that is taken", inner.place, ctx.operand(taken))
            message = f"here `{ctx.shown(inner.test.place)}` is always {str(known).lower()}"
            ctx.add(CODE, inner.test.place, message, fix=fix)


RULE = Rule(CODE, look, ("if",))
