"""DRL505: a summand too small to matter beside the others."""

from __future__ import annotations

from derl_dsl.lint.context import Context, Rule
from derl_grammar.diagnostics import define
from derl_grammar.nodes import Program

CODE = define(
    "DRL505",
    "component drowned by another",
    stage="degenerate",
    severity="warning",
    why="A component whose range is under 1 % of the reward's moves no advantage unless all "
    "rollouts of a group agree on everything else.",
    bad="g1 + g2 + 0.01 * g3",
    good="g1 + g2 + 0.1 * g3",
)
LEAST = 0.01
# Counts and lengths are declared up to 1e9 to be finite: such a range says nothing of what occurs.
_TECHNICAL = 1e6


def look(ctx: Context, program: Program) -> None:
    """Finds summands under 1 % of the summed ranges; DRL504 tells of the one that drowns all."""
    if "DRL504" in ctx.reported:
        return
    terms = [t for t in ctx.terms if t.width < _TECHNICAL * abs(t.factor)]
    total = sum(t.width for t in terms)
    for term in terms:
        if 0 < term.width < LEAST * total:
            what = "the outcome" if term.atom == ctx.outcome else f"`{ctx.shown(term.place)}`"
            message = f"{what} makes up {100 * term.width / total:.2g} % of the reward's range"
            ctx.add(CODE, term.place, message, "raise its weight, or leave it out")


RULE = Rule(CODE, look)
