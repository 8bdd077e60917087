"""`derl-dsl fmt`: one style for reward files."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Annotated

import typer

from derl_dsl.cli.inputs import fail, read_sources, replace_file
from derl_dsl.cli.terminal import echo_data
from derl_dsl.tools.files import rewards_below
from derl_dsl.tools.fmt.fmt import format_source
from derl_grammar.diagnostics import render
from derl_grammar.spans import Source


def fmt_command(
    files: Annotated[
        list[str] | None,
        typer.Argument(help="Reward files and folders; - formats stdin to stdout."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 if a file would change.")
    ] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Write nothing; show what would change, exit 1 if so.")
    ] = False,
) -> None:
    """Format reward files in place: spaces, line breaks at 88 columns, blank lines, brackets.

    Comments and the meaning stay. A file with syntax errors is left as it is.

    Exits 0, 1 on syntax errors or when --check or --diff find something to change, 2 when an
    input could not be read.
    """
    changed, broken = 0, 0
    named = [one for name in files or [] for one in _files(name)]
    if files and not named:
        fail(f"no reward below {', '.join(files)}")
    sources = read_sources(named, None)
    for source in sources:
        found = format_source(source)
        if found.text is None:
            broken += 1
            typer.echo(render(found.diagnostics, source) + "\n", err=True)
            continue
        differs = found.text != source.text
        changed += differs
        if diff:
            typer.echo(_diff(source, found.text), nl=False)
        elif check:
            if differs:
                typer.echo(f"would reformat {source.path}", err=True)
        elif source.path == "<stdin>":
            echo_data(found.text)
        elif differs:
            replace_file(source.path, found.text)
            typer.echo(f"reformatted {source.path}", err=True)
    _summary(len(sources), changed, broken, check or diff)
    raise typer.Exit(1 if broken or (changed and (check or diff)) else 0)


def _files(name: str) -> list[str]:
    """A file itself, or the rewards of a folder and all below it."""
    return [str(p) for p in rewards_below(Path(name))] if os.path.isdir(name) else [name]


def _diff(source: Source, text: str) -> str:
    lines = difflib.unified_diff(
        source.text.splitlines(keepends=True),
        text.splitlines(keepends=True),
        source.path,
        source.path,
    )
    end = "\\ No newline at end of file\n"
    return "".join(line if line.endswith("\n") else f"{line}\n{end}" for line in lines)


def _summary(count: int, changed: int, broken: int, dry: bool) -> None:
    same = count - changed - broken
    parts = [
        f"{number} {word}"
        for number, word in (
            (changed, "would change" if dry else "changed"),
            (same, "unchanged"),
            (broken, "with syntax errors"),
        )
        if number
    ]
    typer.echo(f"{count} file{'' if count == 1 else 's'}: {', '.join(parts)}", err=True)
