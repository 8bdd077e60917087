"""DRL516: an operation on one value twice."""

from __future__ import annotations

from itertools import pairwise

from derl_dsl.lint.context import Context, Rule
from derl_grammar import nodes as n
from derl_grammar.diagnostics import define

CODE = define(
    "DRL516",
    "same operand twice",
    stage="degenerate",
    severity="warning",
    why="x < x, x and x or min(x, x) decides nothing; the second operand was probably meant to be "
    "another.",
    bad="g1 + (0.2 if g2 >= g2 else 0)",
    good="g1 + (0.2 if g2 >= g3 else 0)",
)


def look(ctx: Context, node: n.Compare | n.Binary | n.Call) -> None:
    """Compares neighbouring operands by what they stand for."""
    if isinstance(node, n.Compare):
        pairs = list(pairwise(node.operands))
    elif isinstance(node, n.Binary):
        pairs = [(node.left, node.right)]
    else:
        pairs = list(pairwise(node.args))
    for left, right in pairs:
        if _same(ctx, left, right):
            what = f"`{ctx.shown(left.place)}`"
            ctx.add(CODE, node.place, f"both operands are {what}", "one was meant to be another")
            return


def _same(ctx: Context, left: n.Expr, right: n.Expr) -> bool:
    one, two = (ctx.values.get(id(side)) for side in (left, right))
    if one is None or two is None:
        return False
    if one.node is not None:
        return one.node == two.node
    return one.source is not None and one.source == two.source


RULE = Rule(CODE, look, ("<", "and", "or", "min()", "max()"))
