"""DRL526: inputs that together switch the outcome off."""

from __future__ import annotations

from derl_dsl.lint.context import NOTHING, Context, Rule
from derl_grammar.diagnostics import define
from derl_grammar.nodes import Program

CODE = define(
    "DRL526",
    "outcome counts only beside others",
    stage="degenerate",
    severity="warning",
    why="When the outcome stands only inside a product with something that may be 0, rollouts at "
    "that 0 get the same reward right or wrong.",
    bad="g1 * max(g2, g3)",
    good="g1 + 0.5 * g1 * max(g2, g3)",
)
_TOLD = frozenset({"DRL305", "DRL306", "DRL503", "DRL504"})


def look(ctx: Context, program: Program) -> None:
    """Looks for samples where the outcome has no effect, beside others where it has one."""
    if not ctx.uses_outcome or _TOLD & ctx.reported or ctx.samples is None:
        return
    assert ctx.outcome is not None
    name = ctx.input_name(ctx.outcome)
    if ctx.outcome_idle:
        ctx.add(CODE, program.reward.place, f"{name} makes no difference anywhere", f"add {name}")
        return
    largest = max((abs(change) for _, change in ctx.outcome_moves), default=0.0)
    off = [row for row, change in ctx.outcome_moves if abs(change) <= NOTHING * largest]
    if not off or not largest:
        return
    row = ctx.samples.rows[min(off)]
    others = ctx.example(row, but=ctx.outcome)
    message = f"right and wrong score the same at {others}"
    ctx.add(CODE, ctx.holding(ctx.outcome), message, f"let {name} count on its own: {name} + …")


RULE = Rule(CODE, look)
