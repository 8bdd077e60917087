"""DRL515: a summand that is added and taken away."""

from __future__ import annotations

from derl_dsl.lint.context import Context, Rule, Term
from derl_grammar.diagnostics import define
from derl_grammar.nodes import Program

CODE = define(
    "DRL515",
    "term with opposite signs",
    stage="degenerate",
    severity="warning",
    why="A term that is added in one place and taken away in another counts with the difference "
    "of its weights, which neither place shows.",
    bad="g1 + 0.5 * g2 - 0.2 * g2",
    good="g1 + 0.3 * g2",
)


def look(ctx: Context, program: Program) -> None:
    """Looks for one atom with factors of both signs."""
    first: dict[int, Term] = {}
    told: set[int] = set()
    for term in ctx.terms:
        before = first.setdefault(term.atom, term)
        if before.factor * term.factor < 0 and term.atom not in told and not _constant(ctx, term):
            told.add(term.atom)
            total = sum(t.factor for t in ctx.terms if t.atom == term.atom)
            name = ctx.shown(ctx.graph.places[term.atom])
            message = f"`{name}` is added and taken away: its weight is {total:.6g} in all"
            ctx.add(CODE, term.place, message, "write it once, with the weight that is meant")


def _constant(ctx: Context, term: Term) -> bool:
    """Whether DRL520 has said that a sum around the term is always the same."""
    start, end = term.place
    return any(
        d.code == "DRL520" and d.span.start <= start and end <= d.span.end for d in ctx.found
    )


RULE = Rule(CODE, look)
