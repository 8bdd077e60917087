"""`derl-dsl fmt`: one style for reward files."""

from __future__ import annotations

import difflib
import os
import shutil
from pathlib import Path
from typing import Annotated

import typer

from derl_dsl.cli.inputs import fail, read_sources
from derl_dsl.tools.fmt.fmt import format_source
from derl_grammar.diagnostics import render
from derl_grammar.spans import Source


def fmt_command(
    files: Annotated[
        list[str] | None, typer.Argument(help="Reward files; - formats stdin to stdout.")
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
    sources = read_sources(files or [], None)
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
            typer.echo(found.text.encode(), nl=False)
        elif differs:
            _write(source.path, found.text)
    _summary(len(sources), changed, broken, check or diff)
    raise typer.Exit(1 if broken or (changed and (check or diff)) else 0)


def _write(path: str, text: str) -> None:
    """Beside the file first: a full disk or a crash leaves the file as it was."""
    target = Path(path).resolve()
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.unfinished")
    try:
        try:
            unfinished.write_bytes(text.encode())
            shutil.copymode(target, unfinished)
            os.replace(unfinished, target)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        fail(f"cannot write {path}: {error.strerror}")
    typer.echo(f"reformatted {path}", err=True)


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
