"""DRL503: an input that can switch the outcome off."""

from __future__ import annotations

from derl_dsl.lint.context import Context, Rule, plain
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


_TECHNICAL = 1e6
# Sizes of texts and episodes that occur, and how many combinations of the rest are tried.
_SIZES = (0.0, 1.0, 10.0, 100.0, 1e3, 1e4)
_ROWS = 12


def look(ctx: Context, program: Program) -> None:
    """Reports the certificate's vetoes where they happen, one finding a summand."""
    vetoes = ctx.certificate.vetoes
    if not vetoes or "DRL305" in ctx.reported or ctx.outcome is None or ctx.outcome_idle:
        return
    places: dict[tuple[int, int], list[str]] = {}
    for source in ctx.inputs:
        name = ctx.input_name(source)
        if name in vetoes and not _remote(ctx, source):
            places.setdefault(ctx.holding(ctx.outcome, source), []).append(name)
    outcome = ctx.input_name(ctx.outcome)
    for place, names in places.items():
        who = " and ".join(names)
        can = "can veto" if len(names) == 1 else "can each veto"
        message = f"{who} {can} the outcome: at one value of it {outcome} makes no difference"
        ctx.add(CODE, place, message, f"let {outcome} count on its own: {outcome} + …")


def _remote(ctx: Context, source: int) -> bool:
    """Whether a count vetoes at sizes alone that do not occur, such as 372,000 words."""
    bounds, samples = ctx.range(source), ctx.samples
    if bounds is None or bounds.hi - bounds.lo <= _TECHNICAL or samples is None:
        return False
    if ctx.outcome not in samples.leaves or source not in samples.leaves:
        return False
    at, of = samples.leaves.index(source), samples.leaves.index(ctx.outcome)
    ends = ctx.range(ctx.outcome)
    assert ends is not None
    rows = [row for row in samples.rows if plain((*row[:at], *row[at + 1 :]))][:_ROWS]
    for size in _SIZES:
        pairs = []
        for row in rows:
            for outcome in (ends.lo, ends.hi):
                moved = list(row)
                moved[at], moved[of] = min(max(size, bounds.lo), bounds.hi), outcome
                pairs.append(tuple(moved))
        found = ctx.evaluate(ctx.checked.reward, pairs)
        if not any(a != b for a, b in zip(found[::2], found[1::2], strict=True)):
            return False
    return bool(rows)


RULE = Rule(CODE, look)
