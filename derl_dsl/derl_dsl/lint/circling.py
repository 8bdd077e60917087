"""DRL540: step rewards that pay for going in circles."""

from __future__ import annotations

from derl_dsl.lint.context import Context, Rule
from derl_dsl.prove.steps import summands
from derl_grammar.diagnostics import define
from derl_grammar.nodes import Program

CODE = define(
    "DRL540",
    "steps pay for going in circles",
    stage="degenerate",
    severity="warning",
    why="A step that is paid for what it is can be taken again and again: a policy that goes in "
    "circles earns more than one that finishes. Differences of potentials (`gain`) cancel on a "
    "round trip and keep the best policy what it was; what is new (`is_new`) is paid once.",
    bad="steps = 0.1 * step_scores\nreward = 1 * solved",
    good="steps = 0.1 * gain(scores)\nreward = 1 * solved",
    suite="agent",
)


def look(ctx: Context, program: Program) -> None:
    """Names each summand that a step can earn again, unless the sum of all is never above 0."""
    proof = ctx.certificate.steps
    if proof is None or proof.circling <= 0:
        return
    for term in summands(ctx.graph):
        if term.circling > 0:
            place = ctx.graph.places[term.node]
            message = f"`{ctx.shown(place)}` pays up to {term.circling:.4g} a step, each time round"
            hint = "pay for progress, gain(…), or once, is_new(…) * …; or charge each step as much"
            ctx.add(CODE, place, message, hint)


RULE = Rule(CODE, look)
