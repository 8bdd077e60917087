"""DRL501: a summand that falls when the outcome rises."""

from __future__ import annotations

from derl_dsl.lint.context import NOTHING, Context, Rule, Term
from derl_grammar.diagnostics import define
from derl_grammar.nodes import Program

CODE = define(
    "DRL501",
    "component punishes being right",
    stage="degenerate",
    severity="warning",
    why="A component that falls when the outcome rises works against the rest of the reward: "
    "being right pays less, and for some rollouts it may cost.",
    bad="g1 + g2 - 0.8 * g1 * g3",
    good="2 * g1 + 0.2 * g3 * (1 - g1)",
)


def look(ctx: Context, program: Program) -> None:
    """Finds summands that fall; when the whole reward can fall, DRL305 has said so."""
    if not ctx.uses_outcome or "DRL305" in ctx.reported or len(ctx.terms) < 2:
        return
    proven = ctx.certificate
    if proven.outcome_monotone and proven.margin is not None and proven.margin > 0:
        return  # consolation for wrong rollouts, less than what being right pays
    for term in ctx.terms:
        if term.atom != ctx.outcome and _falls(ctx, term):
            assert ctx.outcome is not None
            name = ctx.input_name(ctx.outcome)
            message = f"`{ctx.shown(term.place)}` falls when the outcome {name} rises"
            ctx.add(CODE, term.place, message, "check its sign, or pay for it only when right")


def _falls(ctx: Context, term: Term) -> bool:
    assert ctx.outcome is not None
    if term.atom not in ctx.depending(ctx.outcome):
        return False
    falls = [
        term.factor * (before - after) for _, before, after in ctx.rises(term.atom, ctx.outcome)
    ]
    return max(falls, default=0.0) > NOTHING * term.width


RULE = Rule(CODE, look)
