"""A search for the terminal: what was searched, the front as a table, what its figures mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from derl_dsl.tools.console import Console
from derl_grammar.visible import visible

if TYPE_CHECKING:
    from rich.table import Table

    from derl_dsl.tools.search.rewards import Found
    from derl_dsl.tools.search.run import Search

_WIDEST = 140
_BESIDE = 120  # columns that the figures with the terms beside them need
_TERM = "term, added to the outcome"
_LEGEND = """\
ordering: pairs of one group in which the term alone puts the right rollout above the wrong one
held out: the same on groups that the term was not chosen on
signal:   groups of one outcome, where the outcome teaches nothing, in which the term differs
spread:   all groups in which the reward differs; the outcome alone: {mixed}
margin:   proven least reward of a right rollout less the largest of a wrong one
size:     names, numbers and operations of the term"""


def render(found: Search, data: str, paths: Sequence[Path]) -> str:
    """The search as text, at most 140 columns wide; coloured when the terminal is."""
    console = Console(highlight=False, markup=False)
    console.width = min(console.width, _WIDEST)
    problem = found.problem
    with console.capture() as shown:
        for line in _head(found, data):
            console.print(line)
        console.print()
        rewards = found.composed.found
        beside = console.width >= _BESIDE
        console.print(_table(rewards, beside))
        if not beside:
            console.print()
            console.print(_terms(rewards))
        console.print("\n" + _LEGEND.format(mixed=_share(problem.mixed)))
        for line in _foot(found, paths):
            console.print(line)
    return "\n".join(line.rstrip() for line in shown.get().split("\n"))


def _head(found: Search, data: str) -> list[str]:
    problem, searched = found.problem, found.searched
    part, held = problem.screened, problem.held_out
    rows = part.rows + (0 if held is None else held.rows)
    groups = part.groups + (0 if held is None else held.groups)
    lines = [
        f"{rows:,} rows of {data}, {groups:,} {problem.group}, outcome {visible(problem.given)}",
    ]
    if problem.outcome != problem.given:
        lines.append(f"rewards say {visible(problem.outcome)} for it: they agree")
    aside = [name for name in problem.same if name != problem.outcome]
    if aside:
        lines.append(f"set aside, for they say the outcome too: {visible(', '.join(aside))}")
    if problem.flat:
        lines.append(f"set aside, for they vary in no group: {visible(', '.join(problem.flat))}")
    apart = "" if held is None else f", {held.groups:,} groups held out"
    lines.append(
        f"{len(problem.features)} features; screened on {part.groups:,} groups with "
        f"{len(part.pairs()[0]):,} pairs of right and wrong{apart}"
    )
    rate = searched.screened / max(searched.seconds, 1e-9)
    lines.append(
        f"{searched.screened:,} programs in {searched.seconds:.1f} s ({rate:,.0f}/s): "
        f"{searched.distinct:,} different, {searched.rewards:,} different up to a*R + b"
    )
    return lines


def _table(rewards: Sequence[Found], beside: bool) -> Table:
    """The figures of each reward, and its term where there is room beside them."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for name in ("#", "ordering", "held out", "signal", "spread", "margin", "size"):
        table.add_column(name, justify="right", no_wrap=True)
    if beside:
        table.add_column(_TERM, overflow="fold")
    for number, r in enumerate(rewards, 1):
        cells = [
            str(number),
            f"{r.screened.order:.3f}",
            "-" if r.held_out is None else f"{r.held_out.order:.3f}",
            _share(r.screened.signal),
            _share(r.spread),
            "-" if r.margin is None else f"{r.margin:.3g}",
            str(r.size),
            *([visible(r.term)] if beside else []),
        ]
        table.add_row(*map(Text, cells))
    return table


def _terms(rewards: Sequence[Found]) -> Table:
    """The terms alone, over the whole width."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("#", justify="right")
    table.add_column(_TERM, overflow="fold")
    for number, r in enumerate(rewards, 1):
        table.add_row(Text(str(number)), Text(visible(r.term)))
    return table


def _share(value: float) -> str:
    return f"{value:.1%}"


def _foot(found: Search, paths: Sequence[Path]) -> list[str]:
    composed = found.composed
    lines = []
    if composed.refused:
        lines.append(f"left out: {composed.refused} that the checker refuses")
    wrong = sum(r.inversions for r in composed.found)
    if wrong:
        lines.append(
            f"in {wrong} pairs a wrong rollout outscores a right one: see `derl-dsl audit`"
        )
    if paths:
        lines.append(f"\nwrote {len(paths)} rewards to {paths[0].parent}")
    return lines
