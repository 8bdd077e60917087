"""The trainers' commands of `derl-dsl`. Torch is imported by what needs it."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from derl_trainers.cli.compare import compare_command
from derl_trainers.cli.meta_train import meta_train_command
from derl_trainers.cli.shared import RUNS, fail, run_folder
from derl_trainers.cli.train import train_command


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("train")(train_command)
    app.command("meta-train")(meta_train_command)
    app.command("compare")(compare_command)
    app.command("runs")(runs_command)
    app.command("report")(report_command)


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
    from rich.console import Console

    from derl_trainers.runs.store import StoreError
    from derl_trainers.runs.view import WIDTH

    console = Console(width=None if sys.stdout.isatty() else WIDTH)
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


def _list(console: Any, directory: Path) -> None:
    from derl_trainers.runs.store import FILE, Store
    from derl_trainers.runs.view import runs_table

    folders = sorted(p.parent for p in directory.glob(f"*/{FILE}"))
    if not folders:
        fail(f"{directory}: no runs here; start one with `derl-dsl meta-train`")
    rows = []
    for folder in folders:
        with closing(Store.open(folder)) as store:
            rows.append((folder, store.run(), store.steps(), store.best()))
    console.print(runs_table(rows))


def _show(console: Any, run: Path) -> None:
    from derl_trainers.runs.store import Store
    from derl_trainers.runs.view import show_run

    with closing(Store.open(run_folder(run))) as store:
        show_run(console, store)


def _export(run: Path, to: Path) -> None:
    from derl_trainers.report import export

    written = export(run_folder(run), to)
    typer.echo(f"wrote {len(written)} tables to {to}: {', '.join(p.stem for p in written)}")


def report_command(
    run: Annotated[
        Path, typer.Argument(help="The run or comparison: its folder, or its name under runs/.")
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The page; report.html in the run's folder by default."
        ),
    ] = None,
) -> None:
    """Write one run as an HTML page: curves, every formula, baselines, cost; nothing else needed.

    A run that goes on, failed or was killed has a page too, which says so; and so has a folder of
    `derl-dsl compare`, with its searches side by side.
    """
    import sqlite3

    from derl_trainers.report import write_report
    from derl_trainers.runs.store import FILE, StoreError

    folder = run_folder(run)
    try:
        typer.echo(f"wrote {write_report(folder, output)}")
    except StoreError as error:
        fail(str(error))
    except sqlite3.Error as error:
        fail(f"{folder / FILE}: cannot be read: {error}")
