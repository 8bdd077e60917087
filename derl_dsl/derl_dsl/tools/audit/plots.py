"""Plots as inline SVG: histograms split by outcome, and the reward over the length.

Colours are CSS classes (`right`, `wrong`, `all`), so that the page decides light or dark.
"""

from __future__ import annotations

import math

import numpy as np

from derl_dsl.tools.audit.statistics import Array, Rows
from derl_dsl.tools.pages.numbers import number
from derl_dsl.tools.pages.svg import HEIGHT, WIDTH, label, svg

_MOST_BINS = 24
_BASE = HEIGHT - 18
_POINTS = 1500


def split(values: Array, outcome: Array | None) -> list[tuple[str, Array]]:
    """The applicable values by class: right and wrong, or all of them without an outcome."""
    present = ~np.isnan(values)
    if outcome is None:
        return [("all", values[present])]
    right = outcome > 0.5
    known = ~np.isnan(outcome)
    return [("right", values[present & known & right]), ("wrong", values[present & known & ~right])]


def histogram(name: str, values: Array, outcome: Array | None) -> str:
    """Bars over the range of the values, one colour a class, each class scaled to its own size.

    Shares, not counts: right and wrong rows are rarely equally many.
    """
    classes = [(c, v) for c, v in split(values, outcome) if len(v)]
    if not classes:
        return '<p class="none">no values</p>'
    together = np.concatenate([v for _, v in classes])
    low, high = float(together.min()), float(together.max())
    bins = _bins(together, low, high)
    shares = [(c, _shares(v, low, high, bins)) for c, v in classes]
    top = max(s.max() for _, s in shares)
    slot = WIDTH / bins
    wide = max(1.0, (min(slot, 40) - 2) / len(shares))
    bars = []
    for k, (kind, heights) in enumerate(shares):
        for i, height in enumerate(heights):
            if height > 0:
                tall = max(1.0, height / top * (_BASE - 14))
                x = i * slot + (slot - wide * len(shares)) / 2 + k * wide
                bars.append(
                    f'<rect class="{kind}" x="{x:.1f}" y="{_BASE - tall:.1f}" '
                    f'width="{wide:.1f}" height="{tall:.1f}"><title>{kind}: {height:.1%}</title>'
                    "</rect>"
                )
    axis = _axis(low, high, bins)
    tallest = f'<text x="0" y="9">{top:.0%}</text>'
    return svg(WIDTH, HEIGHT, f"Histogram of {name}", [*bars, *axis, tallest])


def _bins(values: Array, low: float, high: float) -> int:
    """One bin for one value, two for two values, else as many as the rows fill (Rice's rule)."""
    if low == high:
        return 1
    if np.isin(values, (low, high)).all():
        return 2
    return min(_MOST_BINS, max(6, round(2 * math.cbrt(len(values)))))


def _shares(values: Array, low: float, high: float, bins: int) -> Array:
    """The share of values in each bin."""
    if bins == 1:
        return np.ones(1)
    # Halved first: the width of a range may exceed the largest float.
    place = (values / 2 - low / 2) / (high / 2 - low / 2) * bins
    counts = np.bincount(np.minimum(place.astype(np.int64), bins - 1), minlength=bins)
    found: Array = counts / len(values)
    return found


def _axis(low: float, high: float, bins: int) -> list[str]:
    line = f'<line class="axis" x1="0" y1="{_BASE}" x2="{WIDTH}" y2="{_BASE}"/>'
    if bins == 1:
        return [line, label(WIDTH / 2, number(low), "middle")]
    if bins == 2:
        ends = ((WIDTH / 4, low), (WIDTH * 3 / 4, high))
        return [line, *(label(x, number(v), "middle") for x, v in ends)]
    return [line, label(0, number(low), "start"), label(WIDTH, number(high), "end")]


def drawn(length: Array, reward: Array) -> tuple[Rows, Rows]:
    """The rows that have both numbers, and those of them that are drawn: evenly, up to 1,500."""
    both = np.flatnonzero(~np.isnan(length) & ~np.isnan(reward))
    return both, both[:: max(1, -(-len(both) // _POINTS))]


def scatter(length: Array, reward: Array, outcome: Array | None, unit: str) -> str:
    """The reward over the completion's length, one dot a row of those that `drawn` keeps."""
    both, shown = drawn(length, reward)
    if not len(both):
        return '<p class="none">no values</p>'
    width, height, left, base = 640, 310, 84, 262
    x_low, x_high = float(length[both].min()), float(length[both].max())
    y_low, y_high = float(reward[both].min()), float(reward[both].max())
    xs = left + _scaled(length[shown], x_low, x_high) * (width - left - 12)
    ys = base - 8 - _scaled(reward[shown], y_low, y_high) * (base - 24)
    kinds = _kinds(outcome, shown)
    # Wrong ones last: those that lie high up are what the plot is for.
    order = sorted(range(len(shown)), key=lambda i: kinds[i] == "wrong")
    dots = [
        f'<circle class="{kinds[i]}" cx="{xs[i]:.1f}" cy="{ys[i]:.1f}" r="2.6"/>' for i in order
    ]
    axes = [
        f'<line class="axis" x1="{left}" y1="{base}" x2="{width}" y2="{base}"/>',
        f'<line class="axis" x1="{left}" y1="8" x2="{left}" y2="{base}"/>',
        label(left, number(x_low), "start", base + 18),
        label(width, number(x_high), "end", base + 18),
        label((left + width) / 2, f"length in {unit}", "middle", base + 38),
        label(left - 6, number(y_high), "end", 20),
        label(left - 6, number(y_low), "end", base - 5),
        f'<text transform="translate(14 {base / 2:.0f}) rotate(-90)" text-anchor="middle">'
        "reward</text>",
    ]
    return svg(width, height, "Reward over length", [*axes, *dots])


def _scaled(values: Array, low: float, high: float) -> Array:
    width = high / 2 - low / 2
    found: Array = (values / 2 - low / 2) / width if width > 0 else np.full(len(values), 0.5)
    return found


def _kinds(outcome: Array | None, rows: Rows) -> list[str]:
    if outcome is None:
        return ["all"] * len(rows)
    known = {True: "right", False: "wrong"}
    return ["all" if np.isnan(o) else known[bool(o > 0.5)] for o in outcome[rows]]
