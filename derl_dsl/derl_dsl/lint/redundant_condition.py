"""DRL525: a condition turned into 1 or 0 by hand."""

from __future__ import annotations

from derl_dsl.lint.context import Context, Rule
from derl_grammar import nodes as n
from derl_grammar.diagnostics import define

CODE = define(
    "DRL525",
    "condition spelled out",
    stage="degenerate",
    severity="info",
    why="A condition counts as 1 or 0 in arithmetic: `1 if ok else 0` is `ok`, and so is "
    "`ok == True`.",
    bad="0.2 * (1 if boxed(completion) else 0) + exact(completion, answer)",
    good="0.2 * boxed(completion) + exact(completion, answer)",
    suite="math",
)


def look(ctx: Context, node: n.Conditional | n.Compare) -> None:
    """Looks for branches 1 and 0, and for a condition compared with a constant."""
    if isinstance(node, n.Conditional):
        pair = (_value(ctx, node.then), _value(ctx, node.other))
        if pair == (1.0, 0.0):
            _report(ctx, node, node.test, True)
        elif pair == (0.0, 1.0):
            _report(ctx, node, node.test, False)
        return
    if len(node.ops) != 1 or node.ops[0] not in ("==", "!="):
        return
    left, right = node.operands
    for side, other in ((left, right), (right, left)):
        value = ctx.values.get(id(side))
        constant = _value(ctx, other)
        if value is not None and value.kind == "bool" and constant in (0.0, 1.0):
            _report(ctx, node, side, (constant == 1.0) == (node.ops[0] == "=="))
            return


def _value(ctx: Context, expr: n.Expr) -> float | None:
    if isinstance(expr, n.BoolLiteral):
        return float(expr.value)
    return expr.value if isinstance(expr, n.NumberLiteral) else None


def _report(ctx: Context, node: n.Expr, test: n.Expr, straight: bool) -> None:
    root = any(node is statement for statement in ctx.roots)
    if not straight:
        text = f"not {ctx.operand(test)}"
        replacement = text if root else f"({text})"
    else:
        text = replacement = ctx.operand(test)
        if root and "\n" not in text:
            replacement = ctx.text(test)
    shown = ctx.shown(test.place) if straight else ctx.shown(test.place, 36)
    shown = shown if straight else f"not {shown}"
    fix = ctx.replaced("use the condition itself", node.place, replacement)
    ctx.add(CODE, node.place, f"this is `{shown}`, which counts as 1 or 0", fix=fix)


RULE = Rule(CODE, look, ("if", "<"))
