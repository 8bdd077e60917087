"""DRL521: a negation of a negation."""

from __future__ import annotations

from derl_dsl.lint.context import Context, Rule
from derl_grammar import nodes as n
from derl_grammar.diagnostics import define

CODE = define(
    "DRL521",
    "double negation",
    stage="degenerate",
    severity="info",
    why="Two minus signs, or two nots, cancel; what is left says the same and is read faster.",
    bad="g1 - -g2",
    good="g1 + g2",
)


def look(ctx: Context, node: n.Unary | n.Binary) -> None:
    """Looks for `- -x`, `a - -x` and `not not x`; a negative literal is no negation."""
    inner = node.right if isinstance(node, n.Binary) else node.operand
    if not isinstance(inner, n.Unary) or inner.op != node.op:
        return
    if isinstance(inner.operand, n.NumberLiteral):
        return
    text = ctx.text(inner.operand)
    if isinstance(node, n.Binary):
        text = f"{ctx.text(node.left)} + {text}"
    if ctx.bracketed(node):
        text = f"({text})"
    fix = ctx.replaced("cancel both", node.place, text)
    ctx.add(CODE, node.place, f"the two {node.op!r} cancel", f"write {text}", fix=fix)


RULE = Rule(CODE, look, ("-", "not"))
