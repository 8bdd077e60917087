"""DRL509: == or != between computed numbers."""

from __future__ import annotations

from itertools import pairwise

from derl_dsl.lint.context import Context, Rule
from derl_grammar import nodes as n
from derl_grammar.diagnostics import Fix, define

CODE = define(
    "DRL509",
    "equality of computed numbers",
    stage="degenerate",
    severity="warning",
    why="0.1 + 0.2 == 0.3 is false in floating point; equality of computed numbers depends on the "
    "order of operations.",
    bad="g1 + (0.2 if 0.1 * g2 + 0.2 * g3 == 0.3 * g4 else 0)",
    good="g1 + (0.2 if abs(0.1 * g2 + 0.2 * g3 - 0.3 * g4) < 1e-3 else 0)",
)
_LEAVES = frozenset({"input", "const"})


def look(ctx: Context, node: n.Compare) -> None:
    """Looks at pairs where a side is computed and not both are whole numbers."""
    if not {"==", "!="} & set(node.ops):
        return
    if any(d.code == "DRL508" and d.span.start == node.place[0] for d in ctx.found):
        return
    for op, (left, right) in zip(node.ops, pairwise(node.operands), strict=True):
        a, b = ctx.node(left), ctx.node(right)
        if op not in ("==", "!=") or a is None or b is None or a == b:
            continue
        computed = not {ctx.graph.nodes[a].op, ctx.graph.nodes[b].op} <= _LEAVES
        if computed and not (ctx.whole(a) and ctx.whole(b)):
            message = f"`{op}` of computed numbers depends on rounding"
            ctx.add(CODE, (left.place[0], right.place[1]), message, fix=_fix(ctx, node))


def _fix(ctx: Context, node: n.Compare) -> Fix | None:
    if len(node.ops) != 1:
        return None
    left, right = (ctx.operand(o) for o in node.operands)
    sign = "<" if node.ops[0] == "==" else ">="
    opened, closed = ("(", ")") if ctx.bracketed(node) else ("", "")
    text = f"{opened}abs({left} - {right}) {sign} 1e-9{closed}"
    return ctx.replaced("compare with a tolerance", node.place, text)


RULE = Rule(CODE, look, ("<",))
