"""An audit for the terminal: verdicts first, then details and the misordered pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from derl_dsl.tools.audit.findings import Finding
from derl_dsl.tools.console import Console
from derl_dsl.tools.pages.excerpts import excerpt
from derl_dsl.tools.pages.numbers import number
from derl_grammar.visible import visible

if TYPE_CHECKING:
    from rich.padding import Padding
    from rich.table import Table

    from derl_dsl.tools.audit.run import Audit, Pair, Side
    from derl_dsl.tools.console import Console

_STYLES = {"bad": "bold red", "look": "yellow", "ok": "green"}
_PAIRS = 3
_WIDEST = 100


def render(audit: Audit, data: str) -> str:
    """The audit as text, at most 100 columns wide; coloured when the terminal is."""
    console = Console(highlight=False, markup=False)
    console.width = min(console.width, _WIDEST)
    with console.capture() as shown:
        _print(console, audit, data)
    return "\n".join(line.rstrip() for line in shown.get().split("\n"))


def _print(console: Console, audit: Audit, data: str) -> None:
    console.print(heading(audit, data) + "\n")
    console.print(_table(audit, console.width))
    for found in audit.findings:
        if found.verdict != "ok":
            _details(console, found)
            if found.code == "DRL606":
                for pair in audit.pairs[:_PAIRS]:
                    _pair(console, pair)
    console.print(f"\n{tally(audit)}; rows count from 0")


def heading(audit: Audit, data: str) -> str:
    """What was audited: rows, groups, outcome."""
    e = audit.context.evaluation
    said = [f"{e.rows:,} rows of {data}"]
    said.append(f"{e.groups:,} groups by {e.question.group}" if e.groups else "no groups (--group)")
    outcome = e.question.outcome
    said.append(f"outcome {visible(outcome)}" if outcome else "no outcome (--outcome)")
    return ", ".join(said)


def tally(audit: Audit) -> str:
    """How many findings there are of each verdict."""
    counts = {v: sum(f.verdict == v for f in audit.findings) for v in ("bad", "look", "ok")}
    return f"{counts['bad']} bad, {counts['look']} to look at, {counts['ok']} ok"


def _table(audit: Audit, width: int) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for name in ("verdict", "code", "finding"):
        table.add_column(name, no_wrap=True)
    table.add_column("of", overflow="ellipsis", no_wrap=True, max_width=max(13, width - 67))
    table.add_column("figure", justify="right", no_wrap=True)
    table.add_column("limit", no_wrap=True)
    for found in audit.findings:
        texts = (found.code, found.title, visible(found.subject), found.shown, found.limit)
        table.add_row(Text(found.verdict, _STYLES[found.verdict]), *map(Text, texts))
    return table


def _details(console: Console, found: Finding) -> None:
    head = Text(f"\n{found.verdict}", _STYLES[found.verdict])
    console.print(head.append(f" {found.code} {found.title}", "not bold default"))
    lines = [visible(found.message)]
    if found.rows:
        more = ", …" if found.count > len(found.rows) else ""
        lines.append(f"rows {', '.join(map(str, found.rows))}{more}")
    lines.append(f"fix: {found.fix}")
    for line in lines:
        console.print(_indented(line, 2))


def _pair(console: Console, pair: Pair) -> None:
    where = "" if pair.group is None else f"group {pair.group}: "
    wrong, right = pair.wrong, pair.right
    console.print(
        _indented(
            f"{where}wrong row {wrong.row} scores {number(wrong.reward)}, "
            f"right row {right.row} {number(right.reward)}",
            2,
        )
    )
    for name, side in (("wrong", wrong), ("right", right)):
        _side(console, name, side)


def _side(console: Console, name: str, side: Side) -> None:
    values = ", ".join(f"{visible(k)} {number(v)}" for k, v in side.components.items())
    console.print(_indented(f"{name}: {values}", 4))
    if side.excerpt is not None:
        console.print(_indented(excerpt(side.excerpt, console.width - 14), 11))


def _indented(text: str, columns: int) -> Padding:
    return Padding(Text(text), (0, 0, 0, columns), expand=False)
