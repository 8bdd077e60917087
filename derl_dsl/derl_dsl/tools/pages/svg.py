"""Plots as inline SVG: their frame and their texts."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from derl_grammar.visible import visible

# A small plot.
WIDTH, HEIGHT = 280, 120


def label(x: float, text: str, anchor: str, y: float = HEIGHT - 4) -> str:
    """A text in a plot; `anchor` is start, middle or end."""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(visible(text))}</text>'


def svg(width: int, height: int, title: str, shapes: Sequence[str]) -> str:
    """A plot of this size; `title` is what it is called by who cannot see it."""
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(visible(title))}">'
        + "".join(shapes)
        + "</svg>"
    )
