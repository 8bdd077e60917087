"""Curves over the steps of a run as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence

from derl_dsl.tools.pages.numbers import number
from derl_dsl.tools.pages.svg import label, svg

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 420, 170, 60, 20, 10


def chart(
    title: str,
    steps: Sequence[int],
    curve: Sequence[float],
    outcome: Sequence[float] | None = None,
    onset: int | None = None,
) -> str:
    """One curve in its own scale, the outcome (0 to 1) beside it, a line where they part."""
    known = [v for v in curve if not math.isnan(v)]
    if not known:
        return "<p class=none>no rollout has a value</p>"
    lo, hi = min(known), max(known)
    lo, hi = (lo - 0.5, hi + 0.5) if lo == hi else (lo, hi)
    shapes = [
        f'<line class=axis x1="{_LEFT}" y1="{y}" x2="{_WIDTH - 8}" y2="{y}"/>'
        for y in (_TOP, _HEIGHT - _BOTTOM)
    ]
    shapes += [
        label(_LEFT - 5, number(hi), "end", _TOP + 4),
        label(_LEFT - 5, number(lo), "end", _HEIGHT - _BOTTOM + 3),
        label(_LEFT, f"step {steps[0]}", "start", _HEIGHT - 5),
        label(_WIDTH - 8, str(steps[-1]), "end", _HEIGHT - 5),
    ]
    if onset is not None:
        x = _x(steps.index(onset), len(steps))
        shapes.append(f'<line class=onset x1="{x}" y1="{_TOP}" x2="{x}" y2="{_HEIGHT - _BOTTOM}"/>')
    if outcome is not None:
        shapes.append(_line("outcome", outcome, 0.0, 1.0))
    shapes.append(_line("curve", curve, lo, hi))
    return svg(_WIDTH, _HEIGHT, title, shapes)


def _x(k: int, count: int) -> float:
    return round(_LEFT + (_WIDTH - 8 - _LEFT) * (k / max(1, count - 1)), 1)


def _line(kind: str, values: Sequence[float], lo: float, hi: float) -> str:
    tall = _HEIGHT - _BOTTOM - _TOP
    points = [
        f"{_x(k, len(values))},{_TOP + tall * (hi - v) / (hi - lo):.1f}"
        for k, v in enumerate(values)
        if not math.isnan(v)
    ]
    return f'<polyline class={kind} points="{" ".join(points)}"/>'
