"""DRL510: a division kept from zero by a tiny constant."""

from __future__ import annotations

from derl_dsl.lint.context import Context, Rule
from derl_grammar import nodes as n
from derl_grammar.diagnostics import Fix, define

CODE = define(
    "DRL510",
    "division guarded by a magic epsilon",
    stage="degenerate",
    severity="warning",
    why="x / (y + 1e-6) does not fail at y = 0, it jumps to a million times x; one such rollout "
    "outweighs its whole group.",
    bad="exact(completion, answer) + boxed(completion) / (words(completion) + 1e-6)",
    good="exact(completion, answer) + 0.1 * boxed(completion) / max(words(completion), 1)",
    suite="math",
)
EPSILON = 1e-3


def look(ctx: Context, node: n.Binary) -> None:
    """Looks for a sum with a tiny constant below the line; what min or clip holds cannot jump."""
    below = node.right
    if not (isinstance(below, n.Binary) and below.op == "+"):
        return
    for constant, rest in ((below.right, below.left), (below.left, below.right)):
        value = ctx.constant(constant)
        if value is None or not 0 < value <= EPSILON or ctx.constant(rest) is not None:
            continue
        at = ctx.at(rest)
        if at is not None and at.op == "group_std":  # a z-score: both are 0 together
            continue
        bounds = ctx.range(ctx.node(rest))
        if bounds is not None and (bounds.lo > 100 * value or bounds.hi < -100 * value):
            message = f"the epsilon is not needed: `{ctx.shown(rest.place)}` is never near 0"
            fix = ctx.replaced("leave the epsilon out", below.place, ctx.operand(rest))
            ctx.add(CODE, below.place, message, fix=fix)
        elif not ctx.held(ctx.node(node) or 0):
            message = f"where `{ctx.shown(rest.place)}` is 0 this divides by {value:g}"
            hint = "divide by max(…, 1), or say what holds there: guard(… / …, 0)"
            ctx.add(CODE, node.place, message, hint, fix=_guarded(ctx, node, rest))
        return


def _guarded(ctx: Context, node: n.Binary, rest: n.Expr) -> Fix | None:
    bounds = ctx.range(ctx.node(rest))
    if bounds is None or not bounds.lo <= 0 <= bounds.hi:
        return None
    text = f"guard({ctx.text(node.left)} / {ctx.operand(rest)}, 0)"
    return ctx.replaced("0 where the divisor is 0", node.place, text)


RULE = Rule(CODE, look, ("/",))
