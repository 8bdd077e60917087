"""DRL514: a summand that is there twice."""

from __future__ import annotations

from derl_dsl.lint.context import Context, Rule, Term
from derl_grammar.diagnostics import define
from derl_grammar.nodes import Program

CODE = define(
    "DRL514",
    "term added twice",
    stage="degenerate",
    severity="warning",
    why="The second copy only raises the weight of the first; one of them was probably meant to "
    "be something else.",
    bad="g1 + 0.2 * g2 + 0.1 * g2",
    good="g1 + 0.2 * g2 + 0.1 * g3",
)


def look(ctx: Context, program: Program) -> None:
    """Looks for one atom with two factors of the same sign."""
    first: dict[tuple[int, bool], Term] = {}
    told: set[tuple[int, bool]] = set()
    for term in ctx.terms:
        key = (term.atom, term.factor > 0)
        before = first.setdefault(key, term)
        if before is not term and key not in told:
            told.add(key)
            name = ctx.shown(before.place)
            message = f"`{ctx.shown(term.place)}` is added to `{name}`: the same term twice"
            ctx.add(CODE, term.place, message, "write it once, with one weight")


RULE = Rule(CODE, look)
