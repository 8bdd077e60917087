"""`derl-dsl sandbox`: how well this machine can hold primitives that nobody has read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from derl_dsl.cli.inputs import Format, fail, versioned
from derl_dsl.tools.console import Console
from derl_runtime.sandbox import LEVEL_MEANS, LEVELS, survey

if TYPE_CHECKING:
    from derl_runtime.sandbox import Survey


def sandbox_command(
    level: Annotated[
        str, typer.Option(help="The level that is needed: strict, standard or reduced.")
    ] = "standard",
    format: Annotated[
        Format, typer.Option("--format", help="Table, or JSON for programs.")
    ] = Format.text,
) -> None:
    """Try every wall of the sandbox on this machine; exit code 1 below the needed level."""
    if level not in LEVELS[1:]:
        fail(f"unknown level {level!r}; one of {', '.join(reversed(LEVELS[1:]))}")
    found = survey()
    enough = LEVELS.index(found.level) >= LEVELS.index(level)
    if format is Format.json:
        record = versioned("sandbox", _record(found, level, enough))
        typer.echo(json.dumps(record, indent=2, ensure_ascii=False))
    else:
        _show(found, level, enough)
    raise typer.Exit(0 if enough else 1)


def _record(found: Survey, level: str, enough: bool) -> dict[str, Any]:
    return {
        "level": found.level,
        "needed": level,
        "ok": enough,
        "walls": [
            {
                "name": wall.name,
                "does": wall.does,
                "needed_for": wall.needed_for,
                "holds": wall.holds,
                "found": wall.found,
            }
            for wall in found.walls
        ],
        "engines": {name: {"ok": not why, "why": why} for name, why in found.engines.items()},
        "why": found.why,
    }


def _show(found: Survey, level: str, enough: bool) -> None:
    console = Console()
    if found.walls:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for column in ("wall", "what it does", "for level", "here", "how it went"):
            table.add_column(column, header_style="bold", overflow="fold")
        for wall in found.walls:
            here = Text("holds", "green") if wall.holds else Text("missing", "red")
            table.add_row(wall.name, wall.does, wall.needed_for or "", here, Text(wall.found))
        console.print(table)
        console.print()
    console.print(Text(f"level {found.level}: {LEVEL_MEANS[found.level]}", "bold"))
    for name, why in found.engines.items():
        console.print(Text(f"engine {name}: {why or 'runs'}"))
    if found.why:
        console.print(Text(found.why), soft_wrap=True)
    if not enough:
        console.print(Text(f"below level {level}", "red"))
