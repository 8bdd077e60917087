"""DRL523: a wrong answer that outscores a right one."""

from __future__ import annotations

from derl_dsl.lint.context import NOTHING, Context, Rule, plain
from derl_grammar.diagnostics import define
from derl_grammar.nodes import Program

CODE = define(
    "DRL523",
    "wrong can outscore right",
    stage="degenerate",
    severity="info",
    why="Within a group a wrong rollout with good form can get a larger advantage than a right "
    "one without; the policy then learns the form first, and sometimes only the form.",
    bad="0.3 * g1 + 0.4 * g2 + 0.3 * g3",
    good="0.6 * g1 + 0.2 * g2 + 0.2 * g3",
)
_TOLD = frozenset({"DRL305", "DRL306"})


def look(ctx: Context, program: Program) -> None:
    """Shows the example behind a negative margin."""
    proven, samples = ctx.certificate, ctx.samples
    least = NOTHING * (proven.hi - proven.lo) if proven.exact else 0.0
    if proven.margin is None or proven.margin >= -least or samples is None or _TOLD & ctx.reported:
        return
    if ctx.outcome not in samples.leaves or ctx.outcome_idle:
        return
    kept = [k for k, row in enumerate(samples.rows) if samples.exact or plain(row)]
    if not kept:
        return
    scores, outcomes = samples.values[ctx.checked.reward], samples.values[ctx.outcome]
    top = max([outcomes[k] for k in kept])
    right = [k for k in kept if outcomes[k] == top]
    wrong = [k for k in kept if outcomes[k] < top]
    if not wrong:
        return
    worst, best = min(right, key=scores.__getitem__), max(wrong, key=scores.__getitem__)
    spread = max([scores[k] for k in kept]) - min([scores[k] for k in kept])
    if scores[best] - scores[worst] <= NOTHING * spread:
        return
    message = f"a wrong answer can score {scores[best]:.4g} and a right one {scores[worst]:.4g}"
    ctx.add(
        CODE,
        program.reward.place,
        message,
        f"wrong: {ctx.example(samples.rows[best])}",
        f"right: {ctx.example(samples.rows[worst])}",
    )


RULE = Rule(CODE, look)
