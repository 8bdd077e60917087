"""DRL520: a computed value that is always the same."""

from __future__ import annotations

from derl_dsl.lint.context import Context, Rule
from derl_grammar import nodes as n
from derl_grammar.diagnostics import define

CODE = define(
    "DRL520",
    "component never varies",
    stage="degenerate",
    severity="warning",
    why="A component that is the same for every rollout moves no advantage; it looks as if it "
    "counted, and does not.",
    bad="g1 + 0.5 * min(g2 - 1, 1) ** 0 + clip(g3, 2, 3)",
    good="g1 + 0.5 * g2 + clip(g3, 0.2, 0.8)",
)
_TOLD = frozenset({"DRL507", "DRL508", "DRL516", "DRL517"})


def look(ctx: Context, program: n.Program) -> None:
    """Finds the largest expressions of inputs whose range is one value."""
    nodes = ctx.graph.nodes
    if not any(map(ctx.fixed, [i for i in ctx.used if nodes[i].op != "const"])):
        return
    stack = list(ctx.roots)
    while stack:
        expr = stack.pop()
        kind = type(expr)
        if kind is n.Name or kind is n.NumberLiteral:
            continue
        if (kind is n.Binary or kind is n.Call or kind is n.Unary) and _varies_not(
            ctx, ctx.node(expr)
        ):
            start, end = expr.place
            told = any(d.code in _TOLD and start <= d.span.start < end for d in ctx.found)
            if not told:
                known = ctx.range(ctx.node(expr))
                assert known is not None
                ctx.add(CODE, expr.place, f"`{ctx.shown(expr.place)}` is always {known.lo:.6g}")
            continue
        stack.extend(n.children(expr))


def _varies_not(ctx: Context, node: int | None) -> bool:
    if node is None or not ctx.fixed(node):
        return False
    valid = ctx.prover.valid
    if valid is not None and node in ctx.graph.used([valid]):
        return False  # it decides where the reward applies, so it is the same where it does
    return bool(ctx.graph.inputs([node]))


RULE = Rule(CODE, look)
