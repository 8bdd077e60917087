"""Plots of a report as inline SVG, in the frame of the audit's; colours are the page's classes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from derl_dsl.tools.pages.svg import label, svg
from derl_trainers.report.markup import text

_WIDTH, _HEIGHT = 480, 250
_LEFT, _RIGHT, _TOP, _BASE = 46, 472, 10, 216
_STRIDES = [k * 10**n for n in range(7) for k in (1, 2, 5)]


@dataclass(frozen=True, slots=True)
class Series:
    """One curve over steps: (step, value, low, high); None where there is no interval."""

    name: str
    tint: str
    points: tuple[tuple[float, float, float | None, float | None], ...]
    line: bool = True


@dataclass(frozen=True, slots=True)
class Layer:
    """One kind of a stack of bars: (step, share of the step's whole, count) each."""

    name: str
    tint: str
    values: tuple[tuple[int, float, int], ...]


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to places in the plot."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The place of a value."""
        span = self.high - self.low or 1.0
        return self.start + (value - self.low) / span * (self.end - self.start)


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round values from the one at or below `low` to the one at or above `high`.

    >>> ticks(-0.83, 0.71)
    [-1.0, -0.5, 0.0, 0.5, 1.0]
    """
    span = high - low or 1.0
    unit = 10.0 ** math.floor(math.log10(span / most))
    step = next(unit * k for k in (1, 2, 2.5, 5, 10, 20) if span / (unit * k) <= most - 1)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def curves(
    title: str,
    series: Sequence[Series],
    last_step: int,
    percent: bool = False,
    marks: Sequence[float] = (),
) -> str:
    """Curves over the outer steps, with bands or whiskers; `marks` are levels."""
    values = [v for s in series for p in s.points for v in p[1:] if v is not None]
    values += marks
    grid = [0, 0.25, 0.5, 0.75, 1.0] if percent else ticks(min(values), max(values))
    first = min((p[0] for s in series for p in s.points), default=1)
    xs = Scale(min(first, 1), max(last_step, 2), _LEFT + 16, _RIGHT - 14)
    ys = Scale(grid[0], grid[-1], _BASE, _TOP)
    shapes = [*_grid(grid, ys, percent), *_steps(xs, int(min(first, 1)), max(last_step, 1))]
    for value in marks:
        y = ys(value)
        shapes.append(f'<line class=mark x1="{_LEFT}" y1="{y:.1f}" x2="{_RIGHT}" y2="{y:.1f}"/>')
    for s in series:
        shapes += _band(s, xs, ys) if s.line else _whiskers(s, xs, ys)
    for s in series:
        shapes += _curve(s, xs, ys, percent)
    return svg(_WIDTH, _HEIGHT, title, shapes)


def _shown(value: float, percent: bool) -> str:
    return f"{value:.0%}" if percent else f"{value:.3f}"


def _grid(grid: Iterable[float], ys: Scale, percent: bool) -> Iterable[str]:
    for value in grid:
        y = ys(value)
        kind = "axis" if value == 0 else "grid"
        yield f'<line class={kind} x1="{_LEFT}" y1="{y:.1f}" x2="{_RIGHT}" y2="{y:.1f}"/>'
        yield label(_LEFT - 6, f"{value:.0%}" if percent else f"{value:g}", "end", y + 4)


def _steps(xs: Scale, first: int, last: int) -> Iterable[str]:
    stride = next(k for k in _STRIDES if (last - first + 1) / k <= 12)
    for step in range(first, last + 1):
        # The first step's place is left to a round number close by.
        if step % stride and (step != first or stride > 2):
            continue
        yield label(xs(step), str(step), "middle", _BASE + 15)
    yield label((_LEFT + _RIGHT) / 2, "outer step", "middle", _HEIGHT - 4)


def _band(s: Series, xs: Scale, ys: Scale) -> list[str]:
    inside = [
        (x, low, high) for x, _, low, high in s.points if low is not None and high is not None
    ]
    if len(inside) < 2:
        return _whiskers(s, xs, ys)
    upper = [f"{xs(x):.1f},{ys(high):.1f}" for x, _, high in inside]
    lower = [f"{xs(x):.1f},{ys(low):.1f}" for x, low, _ in reversed(inside)]
    return [f'<polygon class="band {s.tint}" points="{" ".join(upper + lower)}"/>']


def _whiskers(s: Series, xs: Scale, ys: Scale) -> list[str]:
    return [
        f'<line class="stroke {s.tint}" x1="{xs(x):.1f}" y1="{ys(low):.1f}" x2="{xs(x):.1f}" '
        f'y2="{ys(high):.1f}"/>'
        for x, _, low, high in s.points
        if low is not None and high is not None
    ]


def _curve(s: Series, xs: Scale, ys: Scale, percent: bool) -> list[str]:
    out = []
    radius = 3.2 if len(s.points) <= 20 else 1.8
    if s.line and len(s.points) > 1:
        path = " ".join(f"{xs(p[0]):.1f},{ys(p[1]):.1f}" for p in s.points)
        out.append(f'<polyline class="stroke {s.tint}" points="{path}"/>')
    for x, value, low, high in s.points:
        said = f"{s.name}, step {x:g}: {_shown(value, percent)}"
        if low is not None and high is not None:
            said += f" [{_shown(low, percent)}, {_shown(high, percent)}]"
        cx, cy = xs(x), ys(value)
        title = f"<title>{text(said)}</title>"
        if s.line:
            out.append(
                f'<circle class="dot {s.tint}" cx="{cx:.1f}" cy="{cy:.1f}" r="{radius}">'
                f"{title}</circle>"
            )
        else:
            out.append(
                f'<rect class="dot {s.tint}" x="{cx - 4:.1f}" y="{cy - 4:.1f}" width="8" '
                f'height="8">{title}</rect>'
            )
    return out


def stacks(title: str, layers: Sequence[Layer], last_step: int) -> str:
    """Bars of shares, one a step, the first layer at the bottom; the axis ends at 100 %."""
    xs = Scale(0.5, max(last_step, 2) + 0.5, _LEFT + 4, _RIGHT)
    ys = Scale(0, 1, _BASE, _TOP)
    slot = xs(1) - xs(0)
    wide = min(44.0, slot * 0.72)
    shapes = [*_grid([0, 0.25, 0.5, 0.75, 1.0], ys, True), *_steps(xs, 1, max(last_step, 1))]
    at: dict[int, float] = {}
    for layer in layers:
        for step, share, count in layer.values:
            low = at.get(step, 0.0)
            at[step] = low + share
            if share > 0:
                shapes.append(
                    f'<rect class="bar {layer.tint}" x="{xs(step) - wide / 2:.1f}" '
                    f'y="{ys(low + share):.1f}" width="{wide:.1f}" '
                    f'height="{ys(low) - ys(low + share):.1f}">'
                    f"<title>{text(layer.name)}, step {step}: {count} ({share:.0%})</title>"
                    "</rect>"
                )
    return svg(_WIDTH, _HEIGHT, title, shapes)


_ROW = 220


def whisker(
    title: str, scale: tuple[float, float], mean: float, half: float | None,
    each: Sequence[float], strong: bool,
) -> str:  # fmt: skip
    """One row of a comparison: the mean with its interval, cut off at the scale, and every seed."""
    xs = Scale(*scale, 6, _ROW - 6)
    tint = "c2" if strong else "c1"
    shapes = [f'<line class=grid x1="6" y1="12" x2="{_ROW - 6}" y2="12"/>']
    if half is not None:
        low, high = max(scale[0], mean - half), min(scale[1], mean + half)
        shapes.append(
            f'<line class="stroke {tint}" x1="{xs(low):.1f}" y1="12" x2="{xs(high):.1f}" y2="12"/>'
        )
        shapes += [f'<circle class="ring {tint}" cx="{xs(v):.1f}" cy="12" r="3"/>' for v in each]
    shapes.append(f'<rect class="dot {tint}" x="{xs(mean) - 4:.1f}" y="8" width="8" height="8"/>')
    return svg(_ROW, 24, title, shapes)


def ruler(scale: tuple[float, float]) -> str:
    """The axis below the rows of a comparison."""
    xs = Scale(*scale, 6, _ROW - 6)
    middle = (scale[0] + scale[1]) / 2
    ends = ((scale[0], "start"), (middle, "middle"), (scale[1], "end"))
    shapes = [label(xs(v), f"{v:g}", anchor, 11) for v, anchor in ends]
    return svg(_ROW, 14, f"from {scale[0]:g} to {scale[1]:g}", shapes)


def strip(title: str, seen: Sequence[tuple[int, bool]], last_step: int) -> str:
    """When one reward was proposed: a dot a step, filled where it was trained."""
    xs = Scale(0, max(last_step, 1), 8, 132)
    shapes = ['<line class=grid x1="8" y1="9" x2="132" y2="9"/>']
    for step, trained in seen:
        kind = "dot" if trained else "ring"
        shapes.append(f'<circle class="{kind} c1" cx="{xs(step):.1f}" cy="9" r="4"/>')
    return svg(140, 18, title, shapes)
