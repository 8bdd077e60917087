"""DRL523: a wrong answer that outscores a right one."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from derl_dsl.graph.ops import GROUP
from derl_dsl.lint.context import NOTHING, Context, Rule, plain
from derl_dsl.prove.witness import at_rows
from derl_grammar.diagnostics import define
from derl_grammar.nodes import Program

CODE = define(
    "DRL523",
    "wrong can outscore right",
    stage="degenerate",
    severity="info",
    why="Within a group a wrong rollout with good form can get a larger advantage than a right "
    "one without; the policy then learns the form first, and sometimes only the form.",
    bad="0.3 * g1 + 0.4 * g2 + 0.3 * g3",
    good="0.6 * g1 + 0.2 * g2 + 0.2 * g3",
)
_TOLD = frozenset({"DRL305", "DRL306"})


_SHARED = GROUP - {"group_rank"}
_GROUPS, _ROWS, _USUAL = 4, 48, 2e3


class _Case(NamedTuple):
    """One combination of inputs with its reward."""

    score: float
    row: tuple[Any, ...]


def look(ctx: Context, program: Program) -> None:
    """Shows the example behind a negative margin."""
    proven = ctx.certificate
    least = NOTHING * (proven.hi - proven.lo) if proven.exact else 0.0
    if proven.margin is None or proven.margin >= -least or _TOLD & ctx.reported:
        return
    points = ctx.prover.points
    if ctx.outcome is None or ctx.outcome not in points.leaves or ctx.outcome_idle:
        return
    found = _example(ctx, points.leaves.index(ctx.outcome))
    if found is None:
        return
    wrong, right, spread = found
    if wrong.score - right.score <= NOTHING * spread:
        return
    message = f"a wrong answer can score {wrong.score:.4g} and a right one {right.score:.4g}"
    ctx.add(
        CODE,
        program.reward.place,
        message,
        f"wrong: {ctx.example(wrong.row)}",
        f"right: {ctx.example(right.row)}",
    )


def _example(ctx: Context, at: int) -> tuple[_Case, _Case, float] | None:
    """The best wrong and the worst right combination, and how far all of them lie apart.

    Where groups are looked at, both are of one group: its statistics are the same for both.
    """
    points, root = ctx.prover.points, ctx.checked.reward
    shared = [k for k, i in enumerate(points.leaves) if ctx.graph.nodes[i].op in _SHARED]
    kept = [k for k, row in enumerate(points.rows) if points.exact or plain(row)]
    if points.exact and not shared:
        cases = [_Case(points.values[root][k], points.rows[k]) for k in kept]
        return _apart(cases, at)
    ends = ctx.range(ctx.outcome)
    assert ends is not None
    wide = [k for k, i in enumerate(points.leaves) if _wide(ctx, i)]
    best: tuple[_Case, _Case, float] | None = None
    for group in kept[: _GROUPS if shared else 1]:
        rows = []
        for k in kept[:_ROWS]:
            for outcome in (ends.lo, ends.hi):
                row = list(points.rows[k])
                for i in shared:
                    row[i] = points.rows[group][i]
                row[at] = outcome
                rows.append(tuple(row))
        # Ends of open ranges are left out, but not the sizes that texts have.
        rows += [(*row[:i], _USUAL, *row[i + 1 :]) for row in rows for i in wide]
        scores = at_rows(ctx.graph, [root], points.leaves, rows)[root]
        found = _apart([_Case(s, r) for s, r in zip(scores, rows, strict=True)], at)
        if found and (
            best is None or found[0].score - found[1].score > best[0].score - best[1].score
        ):
            best = found
    return best


def _wide(ctx: Context, leaf: int) -> bool:
    bounds = ctx.range(leaf)
    one = not ctx.graph.nodes[leaf].is_list
    return one and bounds is not None and bounds.lo <= _USUAL and bounds.hi > 10 * _USUAL


def _apart(cases: list[_Case], at: int) -> tuple[_Case, _Case, float] | None:
    cases = [c for c in cases if math.isfinite(c.score)]
    top = max((c.row[at] for c in cases), default=0.0)
    right = [c for c in cases if c.row[at] == top]
    wrong = [c for c in cases if c.row[at] < top]
    if not wrong:
        return None
    scores = [c.score for c in cases]
    return (
        max(wrong, key=lambda c: c.score),
        min(right, key=lambda c: c.score),
        max(scores) - min(scores),
    )


RULE = Rule(CODE, look)
