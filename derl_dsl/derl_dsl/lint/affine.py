"""DRL506: a factor or an offset of the whole reward."""

from __future__ import annotations

from derl_dsl.lint.context import Context, Rule
from derl_grammar import nodes as n
from derl_grammar.diagnostics import define

CODE = define(
    "DRL506",
    "scale or offset without effect",
    stage="degenerate",
    severity="info",
    why="GRPO subtracts the group's mean and divides by its deviation: a * R + b trains exactly "
    "as R does.",
    bad="(g1 + 0.5 * g2) / 2 + 1",
    good="g1 + 0.5 * g2",
)


def look(ctx: Context, program: n.Program) -> None:
    """Peels `* c`, `/ c`, `+ c` and `- c` off the reward, c > 0 where it scales."""
    inner, dropped = program.reward, 0
    while isinstance(inner, n.Binary):
        below = _peeled(ctx, inner)
        if below is None:
            break
        inner, dropped = below, dropped + 1
    if dropped:
        text = ctx.text(inner)
        message = f"group-normalised training sees only `{ctx.shown(inner.place)}`"
        fix = ctx.replaced("leave the scale and the offset out", program.reward.place, text)
        ctx.add(CODE, program.reward.place, message, fix=fix)


def _peeled(ctx: Context, node: n.Binary) -> n.Expr | None:
    left, right = ctx.constant(node.left), ctx.constant(node.right)
    if right is not None and left is None:
        fits = node.op in "+-" or (node.op in "*/" and right > 0)
        return node.left if fits and node.op != "**" else None
    if left is not None and right is None:
        return node.right if node.op == "+" or (node.op == "*" and left > 0) else None
    return None


RULE = Rule(CODE, look)
