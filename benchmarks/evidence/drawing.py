"""Two kinds of figures as SVG files: rows of dots with intervals, and stepped curves with bands.

A file is shown on light and on dark pages that it cannot ask: colours are of middle lightness, at
least 3.4 : 1 on white and on GitHub's dark, texts 4.2 : 1. Equal rows give equal bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from derl_dsl.tools.pages.svg import label, svg
from derl_trainers.report.plots import Scale, ticks

RED, BLUE, GREEN, VIOLET, OCHRE, GREY = (
    "#e5484d", "#3b82f6", "#0f9d80", "#a855f7", "#b07a10", "#747c87",
)  # fmt: skip
_INK = GREY
_WIDTH, _SHOWN = 460, 580  # units of the drawing, and pixels where the page has the room
_LEFT, _RIGHT = 10, _WIDTH - 10
_LETTER = 6.8  # of wide fonts at 12 units, on average
_STYLE = (
    f"<style>text{{font:12px system-ui,sans-serif;fill:{_INK}}}"
    f".grid{{fill:none;stroke:{_INK};stroke-opacity:.25}}.axis{{stroke:{_INK};stroke-width:1.3}}"
    ".b{font-weight:600}.each{fill-opacity:.6}.stroke{fill:none;stroke-width:2}"
    ".ended{stroke-dasharray:2 3}.band{fill-opacity:.14}</style>"
)


@dataclass(frozen=True, slots=True)
class Dots:
    """A row: a value each of what is named, their mean and its interval (NaN: none)."""

    name: str
    said: str
    each: Sequence[tuple[str, float]]
    mean: float
    low: float
    high: float
    tint: str = RED


@dataclass(frozen=True, slots=True)
class Step:
    """From this cost on a curve has this mean, with the ends of its interval (NaN: none)."""

    cost: float
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Curve:
    """A stepped curve up to the cost `last`; past `whole` not all that it is made of go on."""

    name: str
    tint: str
    steps: Sequence[Step]
    whole: float
    last: float


@dataclass(frozen=True, slots=True)
class Panel:
    """Curves that share axes."""

    title: str
    curves: Sequence[Curve]


def _file(height: float, said: str, shapes: Iterable[str]) -> str:
    """A file that stands alone; `said` is what is seen, for those who do not."""
    tall = math.ceil(height)
    size = f'width="{_SHOWN}" height="{round(tall * _SHOWN / _WIDTH)}"'
    plot = svg(_WIDTH, tall, said, [_STYLE, *shapes])
    return plot.replace("<svg ", f'<svg xmlns="http://www.w3.org/2000/svg" {size} ', 1) + "\n"


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _strong(shape: str) -> str:
    return shape.replace("<text ", '<text class="b" ', 1)


def _legend(keys: Sequence[tuple[str, str]], y: float) -> tuple[list[str], float]:
    """Names beside their colours, in as many lines as they need; where the last one ends."""
    shapes, x = [], float(_LEFT)
    for name, tint in keys:
        wide = 18 + _LETTER * len(name)
        if x > _LEFT and x + wide > _RIGHT:
            x, y = float(_LEFT), y + 18
        shapes.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="10" height="10" fill="{tint}"/>')
        shapes.append(label(x + 15, name, "start", y + 9.5))
        x += wide + 10
    return shapes, y + 10


def dots(
    said: str, rows: Sequence[Dots], axis: str, keys: Sequence[tuple[str, str]] = ()
) -> str:  # fmt: skip
    """Rows below each other: above the dots, below them the mean as a square in its interval."""
    values = [v for row in rows for v in (row.mean, row.low, row.high, *(e for _, e in row.each))]
    finite = [v for v in values if not math.isnan(v)]
    marks = ticks(min(0.0, *finite), max(finite), 8)
    xs = Scale(marks[0], marks[-1], _LEFT + 10, _RIGHT - 10)
    # A name and its figures share a line where all of them fit.
    longest = max(len(row.name) + len(row.said) for row in rows)
    second = longest * _LETTER > _RIGHT - _LEFT - 20
    shapes, y = _legend(keys, 8) if keys else ([], 0.0)
    y += 12 if keys else 8
    for row in rows:
        shapes.append(_strong(label(_LEFT, row.name, "start", y + 12)))
        y += 15 if second else 0
        at, anchor = (_LEFT, "start") if second else (_RIGHT, "end")
        shapes.append(label(at, row.said, anchor, y + 12))
        lines = "".join(f"M{xs(mark):.1f},{y + 16:.1f}v21" for mark in marks)
        shapes.append(f'<path class="grid" d="{lines}"/>')
        shapes.append(_line("axis", xs(0), y + 16, xs(0), y + 37))
        shapes.append(_row(row, xs, y + 21.5))
        y += 42
    for mark in marks:
        shapes.append(label(xs(mark), _number(mark), "middle", y + 9))
    shapes.append(label(_WIDTH / 2, axis, "middle", y + 26))
    return _file(y + 34, said, shapes)


def _row(row: Dots, xs: Scale, y: float) -> str:
    shapes = [
        f'<circle class="each" cx="{xs(value):.1f}" cy="{y:.1f}" r="4" fill="{row.tint}">'
        f"<title>{escape(name)}: {value:.3f}</title></circle>"
        for name, value in row.each
    ]
    if not math.isnan(row.low):
        shapes.append(
            f'<path class="stroke" stroke="{row.tint}" d="M{xs(row.low):.1f},{y + 10:.1f}'
            f'H{xs(row.high):.1f}"/>'
        )
    shapes.append(
        f'<rect x="{xs(row.mean) - 4:.1f}" y="{y + 6:.1f}" width="8" height="8" fill="{row.tint}"/>'
    )
    return f"<g><title>{escape(row.name)}: {escape(row.said)}</title>{''.join(shapes)}</g>"


def panels(said: str, each: Sequence[Panel], up: str, axis: str) -> str:
    """Panels below each other, of one scale; one legend for all, below what goes `up`."""
    curves = [curve for panel in each for curve in panel.curves]
    keys = {curve.name: curve.tint for curve in curves}
    costs = ticks(0, max(curve.last for curve in curves), 9)
    values = [v for c in curves for s in c.steps for v in (s.mean, s.low, s.high)]
    marks = ticks(min(0.0, *(v for v in values if v == v)), max(v for v in values if v == v))
    xs = Scale(0, costs[-1], _LEFT + 28, _RIGHT - 12)
    shapes, y = _legend(list(keys.items()), 26)
    shapes.append(label(_LEFT, up, "start", 15))
    for panel in each:
        ys = Scale(marks[0], marks[-1], y + 212, y + 32)
        shapes.append(_strong(label(_LEFT, panel.title, "start", y + 22)))
        for mark in marks:
            shapes.append(_line("axis" if mark == 0 else "grid", xs(0), ys(mark), _RIGHT, ys(mark)))
            shapes.append(label(xs(0) - 6, _number(mark), "end", ys(mark) + 4))
        shapes += [_curve(curve, xs, ys) for curve in panel.curves]
        shapes += [label(xs(cost), _number(cost), "middle", ys(marks[0]) + 15) for cost in costs]
        y += 232
    shapes.append(label(_WIDTH / 2, axis, "middle", y + 12))
    return _file(y + 20, said, shapes)


def _curve(curve: Curve, xs: Scale, ys: Scale) -> str:
    steps = curve.steps
    ends = [*(step.cost for step in steps[1:]), curve.last]
    upper = _stairs([(s.cost, end, s.high) for s, end in zip(steps, ends, strict=True)], xs, ys)
    lower = _stairs([(s.cost, end, s.low) for s, end in zip(steps, ends, strict=True)], xs, ys)
    shapes = []
    if not any(math.isnan(step.low) for step in steps):
        edge = " ".join([*upper, *reversed(lower)])
        shapes.append(f'<polygon class="band" fill="{curve.tint}" points="{edge}"/>')
    for kind, low, high in (("stroke", 0, curve.whole), ("stroke ended", curve.whole, curve.last)):
        part = [
            (max(s.cost, low), min(end, high), s.mean)
            for s, end in zip(steps, ends, strict=True)
            if max(s.cost, low) < min(end, high)
        ]
        if part:
            points = " ".join(_stairs(part, xs, ys))
            shapes.append(f'<polyline class="{kind}" stroke="{curve.tint}" points="{points}"/>')
    told = "; ".join(
        f"{s.cost:g}: {s.mean:.3f}"
        + ("" if math.isnan(s.low) else f" ({s.low:.3f} to {s.high:.3f})")
        for s in steps
    )
    return f"<g><title>{escape(curve.name)}, to {curve.last:g}; {told}</title>{''.join(shapes)}</g>"


def _stairs(parts: Iterable[tuple[float, float, float]], xs: Scale, ys: Scale) -> list[str]:
    return [f"{xs(x):.1f},{ys(value):.1f}" for begin, end, value in parts for x in (begin, end)]


def _number(value: float) -> str:
    return f"{value:g}".replace("-", "−")
