"""`derl-dsl report`: one run as an HTML page."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Annotated

import typer

from derl_trainers.cli.shared import fail, run_folder
from derl_trainers.report import write_report
from derl_trainers.runs.store import FILE, StoreError


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
    folder = run_folder(run)
    try:
        typer.echo(f"wrote {write_report(folder, output)}")
    except StoreError as error:
        fail(str(error))
    except sqlite3.Error as error:
        fail(f"{folder / FILE}: cannot be read: {error}")
