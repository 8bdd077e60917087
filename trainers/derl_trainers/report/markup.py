"""Small pieces of the page: escaped texts, numbers, tables."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from derl_dsl.tools.pages.numbers import number
from derl_grammar.visible import visible


def text(value: object, breaks: bool = False) -> str:
    """A text as HTML, what cannot be seen in it made visible."""
    return escape(visible(str(value), breaks))


def code(formula: str) -> str:
    """A formula."""
    return f"<code>{text(formula, True)}</code>"


def seconds(value: float | None) -> str:
    """A time in the unit that fits.

    >>> seconds(4.2), seconds(90), seconds(372), seconds(9000), seconds(None)
    ('4.2 s', '90 s', '6.2 min', '2.5 h', '-')
    """
    if value is None:
        return "-"
    if value < 10:
        return f"{value:.1f} s"
    if value < 120:
        return f"{value:.0f} s"
    return f"{value / 60:.1f} min" if value < 7200 else f"{value / 3600:.1f} h"


def cell(value: float | None, shown: str | None = None, label: str = "") -> str:
    """A number's cell: what is shown, and all its digits for sorting and for programs."""
    data = "" if value is None else f' data-v="{text(repr(value))}"'
    said = "" if value is None else number(value)
    name = f' data-label="{text(label)}"' if label else ""
    return f"<td class=num{data}{name}>{said if shown is None else shown}"


def table(name: str, head: Sequence[str], rows: Sequence[str], sortable: bool = True) -> str:
    """A table that scrolls by itself where it is too wide; a heading with # is of numbers."""
    cells = []
    for title in head:
        shown = title.removeprefix("#")
        kind = " class=num" if title.startswith("#") else ""
        cells.append(f"<th scope=col{kind}>{shown}</th>")
    kind = f"{name} sortable" if sortable else name
    return (
        f'<div class=wide tabindex=0 role=region aria-label="{name}">'
        f'<table class="{kind}"><thead><tr>{"".join(cells)}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def fold(title: str, inside: str) -> str:
    """What is shown on demand."""
    return f"<details><summary>{title}</summary>{inside}</details>"


def legend(entries: Sequence[tuple[str, str]]) -> str:
    """What colours mean: (class, text) each."""
    keys = "".join(
        f"<span><i class='key {tint}'></i>{text(said)}</span> " for tint, said in entries
    )
    return f"<p class=legend>{keys}</p>"
