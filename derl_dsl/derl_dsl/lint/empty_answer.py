"""DRL511: a length term that pays an empty wrong answer best."""

from __future__ import annotations

from derl_dsl.lint.context import Context, Rule, plain
from derl_grammar.diagnostics import define
from derl_grammar.nodes import Program

CODE = define(
    "DRL511",
    "rewards empty answers",
    stage="degenerate",
    severity="warning",
    why="When a wrong answer gains by every word it leaves out, the best wrong answer is none at "
    "all, and a policy that is rarely right learns to say nothing.",
    bad="exact(completion, answer) + 0.5 * (1 - ramp(words(completion), 0, 400))",
    good="1.5 - 0.5 * ramp(words(completion), 0, 400)"
    " if exact(completion, answer) else 0.1 * boxed(completion)",
    suite="math",
)
# Lengths tried, in words; a word is about five characters and 1.3 tokens.
_LENGTHS = (0.0, 10.0, 50.0, 200.0, 1000.0, 5000.0)
_SHORT = 2
_GAIN = 1e-6
_MOST_ROWS = 8


def look(ctx: Context, program: Program) -> None:
    """Scores wrong answers without any form at several lengths, all else equal."""
    if not ctx.lengths or ctx.samples is None:
        return
    rows = _wrong_rows(ctx)
    scores = ctx.evaluate(ctx.checked.reward, [r for base in rows for r in _lengthened(ctx, base)])
    steps = len(_LENGTHS)
    curves = [scores[k : k + steps] for k in range(0, len(scores), steps)]
    falls = all(max(c) <= c[0] + _GAIN for c in curves)
    if falls and any(c[0] > c[_SHORT] + _GAIN for c in curves):
        wrong = "a wrong answer" if ctx.uses_outcome else "an answer"
        message = f"{wrong} scores most when it is empty"
        ctx.add(
            CODE, ctx.holding(next(iter(ctx.lengths))), message, "pay for brevity only when right"
        )


def _wrong_rows(ctx: Context) -> list[tuple[float, ...]]:
    """Plain sampled rows with the outcome and all good signs at their least, as of an empty one."""
    assert ctx.samples is not None
    found = []
    for row in ctx.samples.rows:
        values = list(row)
        for k, i in enumerate(ctx.samples.leaves):
            if i in ctx.lengths:
                values[k] = 0.0
            elif i == ctx.outcome or i in ctx.good_signs:
                bounds = ctx.range(i)
                values[k] = bounds.lo if bounds else 0.0
        found.append(tuple(values))
    return [r for r in dict.fromkeys(found) if plain(r)][:_MOST_ROWS]


def _lengthened(ctx: Context, row: tuple[float, ...]) -> list[tuple[float, ...]]:
    assert ctx.samples is not None
    units = [ctx.lengths.get(i, 0.0) for i in ctx.samples.leaves]
    return [
        tuple(v if not u else u * words for v, u in zip(row, units, strict=True))
        for words in _LENGTHS
    ]


RULE = Rule(CODE, look)
