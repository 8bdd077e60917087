"""`derl-dsl runs`: the runs of a folder, or every formula of one."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from derl_dsl.tools.console import Console
from derl_trainers.cli.shared import RUNS, fail, run_folder
from derl_trainers.report import export
from derl_trainers.runs.store import FILE, Store, StoreError
from derl_trainers.runs.view import WIDTH, runs_table, show_run


def runs_command(
    what: Annotated[
        str,
        typer.Argument(
            help="A folder of runs; or `show` or `export`, with a run.", metavar="[DIR|show|export]"
        ),
    ] = str(RUNS),
    run: Annotated[
        str | None, typer.Argument(help="The run meant: its folder, or its name under runs/.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="Folder for the tables of `runs export`.")
    ] = None,
) -> None:
    """List the runs of a folder; `runs show RUN`: every formula of one run and its scores.

    `runs export RUN --to DIR` writes the tables of a run as Parquet files, one a table.
    """
    console = Console(markup=True, width=None if sys.stdout.isatty() else WIDTH)
    try:
        if what == "show" and run is not None and to is None:
            _show(console, Path(run))
        elif what == "export" and run is not None and to is not None:
            _export(Path(run), to)
        elif run is None and to is None and what not in ("show", "export"):
            _list(console, Path(what))
        else:
            fail(
                "usage: derl-dsl runs [DIR], derl-dsl runs show RUN, or derl-dsl runs export RUN"
                " --to DIR"
            )
    except StoreError as error:
        fail(str(error))


def _list(console: Console, directory: Path) -> None:
    folders = sorted(p.parent for p in directory.glob(f"*/{FILE}"))
    if not folders:
        fail(f"{directory}: no runs here; start one with `derl-dsl meta-train`")
    rows = []
    for folder in folders:
        with closing(Store.open(folder)) as store:
            rows.append((folder, store.run(), store.steps(), store.best()))
    console.print(runs_table(rows))


def _show(console: Console, run: Path) -> None:
    with closing(Store.open(run_folder(run))) as store:
        show_run(console, store)


def _export(run: Path, to: Path) -> None:
    written = export(run_folder(run), to)
    typer.echo(f"wrote {len(written)} tables to {to}: {', '.join(p.stem for p in written)}")
