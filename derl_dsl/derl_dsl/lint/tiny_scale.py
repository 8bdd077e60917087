"""DRL524: a reward whose differences drown in rounding."""

from __future__ import annotations

from derl_dsl.lint.context import Context, Rule
from derl_grammar.diagnostics import define
from derl_grammar.nodes import Program

CODE = define(
    "DRL524",
    "differences too small",
    stage="degenerate",
    severity="warning",
    why="Trainers keep rewards in float32 and divide by the deviation plus 1e-4: a range under "
    "1e-3, or a millionth of the reward's size, is shrunk or rounded away.",
    bad="0.0001 * (g1 + g2)",
    good="g1 + g2",
)
SMALLEST = 1e-3
_SHARE = 1e-6


def look(ctx: Context, program: Program) -> None:
    """Compares the proven range with 1e-3 and with its own size."""
    lo, hi = ctx.certificate.lo, ctx.certificate.hi
    width, size = hi - lo, max(abs(lo), abs(hi))
    if width < SMALLEST:
        message = f"all rewards lie within {width:.3g} of each other"
        ctx.add(CODE, program.reward.place, message, "scale it up; the sum's weights may stay")
    elif width < _SHARE * size:
        message = f"rewards of size {size:.3g} differ by {width:.3g}: float32 rounds it away"
        ctx.add(CODE, program.reward.place, message, "leave the offset out")


RULE = Rule(CODE, look)
