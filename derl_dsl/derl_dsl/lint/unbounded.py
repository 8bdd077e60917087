"""DRL504: a summand that outgrows everything else."""

from __future__ import annotations

from derl_dsl.lint.context import Context, Rule, Term
from derl_grammar.diagnostics import define
from derl_grammar.nodes import Program

CODE = define(
    "DRL504",
    "component grows without bound",
    stage="degenerate",
    severity="warning",
    why="One rollout with a huge value sets the mean and the deviation of its whole group, and "
    "whatever else the reward pays for disappears.",
    bad="g1 + g2 / g3",
    good="g1 + 0.5 * g2 / (g2 + g3)",
)
HUGE = 1e6
LARGE = 1e2
SHARE = 1e2
_OPEN = 1e300
_SMALL = 1e-2


def look(ctx: Context, program: Program) -> None:
    """Finds summands beyond 1e6, or beyond 100 and a hundred times as wide as all the others."""
    total = sum(t.width for t in ctx.terms)
    for term in ctx.terms:
        size = max(abs(term.range.lo), abs(term.range.hi))
        if size <= LARGE or _z_score(ctx, term.atom):
            continue
        divisors = _small_divisors(ctx, term)
        # A lone summand may have any scale, unless a quotient blows it up.
        towers = term.width > SHARE * (total - term.width) and (divisors or len(ctx.terms) > 1)
        if size > HUGE or towers:
            hint = "hold it: clip(…), ramp(…), or divide by a known maximum"
            message = f"`{ctx.shown(term.place)}` {_how(ctx, size)}"
            ctx.add(CODE, term.place, message, hint, *divisors)


def _z_score(ctx: Context, i: int) -> bool:
    """Whether a summand is how many deviations a value lies from its group's mean.

    Of n rollouts that is sqrt(n - 1) at most, whatever the deviation's range says.
    """
    nodes = ctx.graph.nodes
    while nodes[i].op == "guard":
        i = nodes[i].args[0]
    if nodes[i].op != "div":
        return False
    above, below = (nodes[a] for a in nodes[i].args)
    if above.op != "sub" or below.op != "group_std":
        return False
    x, mean = above.args[0], nodes[above.args[1]]
    return mean.op == "group_mean" and mean.args == below.args and x == mean.args[0]


def _how(ctx: Context, size: float) -> str:
    if size > _OPEN:
        return "has no bound"
    # Ranges of related values (n and its group's mean) are wider than what can happen.
    return f"can reach {size:.3g}" if ctx.certificate.exact else f"has no bound below {size:.3g}"


def _small_divisors(ctx: Context, term: Term) -> list[str]:
    """What makes a quotient large."""
    for i in ctx.graph.used([term.atom]):
        at = ctx.graph.nodes[i]
        below = ctx.range(at.args[1]) if at.op == "div" else None
        least = min(abs(below.lo), abs(below.hi)) if below and below.lo * below.hi > 0 else 1.0
        if least < _SMALL:
            return [f"the divisor of `{ctx.shown(ctx.graph.places[i])}` can be {least:.3g}"]
    return []


RULE = Rule(CODE, look)
