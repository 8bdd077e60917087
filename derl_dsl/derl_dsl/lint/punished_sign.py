"""DRL502: a sign of a good rollout that lowers the reward."""

from __future__ import annotations

from derl_dsl.graph.leaves import domain, input_range
from derl_dsl.graph.ranges import Range
from derl_dsl.lint.context import NOTHING, Context, Rule
from derl_grammar.diagnostics import define
from derl_grammar.nodes import Program

CODE = define(
    "DRL502",
    "good sign lowers the reward",
    stage="degenerate",
    severity="info",
    why="Primitives such as boxed or step_markers score higher on better rollouts; a minus sign "
    "in front of one is often a slip, and teaches the policy to leave the form out.",
    bad="g1 - 0.2 * g2",
    good="g1 + 0.2 * g2",
)


def look(ctx: Context, program: Program) -> None:
    """Finds signs whose rise never pays and somewhere costs; vetoes are told of as such."""
    if "DRL305" in ctx.reported:
        return
    for sign in ctx.good_signs:
        if not _only_costs(ctx, sign):
            continue
        name = ctx.input_name(sign)
        if name not in ctx.certificate.vetoes:
            message = f"the reward falls when {name} rises, which better rollouts score higher on"
            ctx.add(CODE, ctx.holding(sign), message, f"check the sign of {name}")


def _only_costs(ctx: Context, sign: int) -> bool:
    reward = ctx.checked.reward
    if ctx.samples is None:
        return False
    if ctx.samples.exact:
        scores = ctx.samples.values[reward]
        least = NOTHING * (ctx.certificate.hi - ctx.certificate.lo)
        steps = ctx.samples.steps(sign)
        if any(scores[b] - scores[a] > least for a, b in steps):
            return False
        return any(scores[a] - scores[b] > least for a, b in steps)
    ends = input_range(ctx.graph.source(sign))
    before, after = Range(ends.lo, ends.lo), Range(ends.hi, ends.hi)
    if domain(ctx.graph.source(sign)) != (ends.lo, ends.hi):
        before = after = ends
    change = ctx.prover.differences(sign, before, after).result
    return change.hi <= 0 and change.lo < 0


RULE = Rule(CODE, look)
