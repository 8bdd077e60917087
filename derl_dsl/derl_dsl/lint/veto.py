"""DRL503: an input that can switch the outcome off."""

from __future__ import annotations

from derl_dsl.lint.context import Context, Rule
from derl_grammar.diagnostics import define
from derl_grammar.nodes import Program

CODE = define(
    "DRL503",
    "an input vetoes the outcome",
    stage="degenerate",
    severity="warning",
    why="In a product such as g1 * g2 a rollout without g2 gets nothing for being right; early in "
    "training g2 is rare, so the outcome teaches nothing.",
    bad="g1 * g2",
    good="g1 + 0.2 * g1 * g2",
)


def look(ctx: Context, program: Program) -> None:
    """Reports the certificate's vetoes where they happen, one finding a summand."""
    vetoes = ctx.certificate.vetoes
    if not vetoes or "DRL305" in ctx.reported or ctx.outcome is None or ctx.outcome_idle:
        return
    places: dict[tuple[int, int], list[str]] = {}
    for source in ctx.inputs:
        name = ctx.input_name(source)
        if name in vetoes:
            places.setdefault(ctx.holding(ctx.outcome, source), []).append(name)
    outcome = ctx.input_name(ctx.outcome)
    for place, names in places.items():
        who = " and ".join(names)
        can = "can veto" if len(names) == 1 else "can each veto"
        message = f"{who} {can} the outcome: at one value of it {outcome} makes no difference"
        ctx.add(CODE, place, message, f"let {outcome} count on its own: {outcome} + …")


RULE = Rule(CODE, look)
