"""The trainers' commands of `derl-dsl`. Torch is imported by what needs it."""

from __future__ import annotations

import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from derl_trainers.train_command import train_command

RUNS = Path("runs")


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("train")(train_command)
    app.command("meta-train")(meta_train_command)
    app.command("runs")(runs_command)
    app.command("report")(report_command)


def fail(message: str) -> NoReturn:
    """One message on stderr and exit code 2."""
    typer.echo(f"derl-dsl: {message}", err=True)
    raise typer.Exit(2)


def meta_train_command(
    config: Annotated[
        str, typer.Argument(help="A config: demo, smollm2, or a TOML file (trainers/CONFIG.md).")
    ] = "demo",
    run_dir: Annotated[
        Path | None,
        typer.Option(help="Folder of this run, new or empty; runs/<name>-<time> by default."),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed, instead of the config's.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any setting: section.key=value, such as meta.steps=8."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Show the final table alone.")] = False,
) -> None:
    """Let a language model learn to write rewards that train a policy well."""
    from dataclasses import replace

    from derl_trainers.config import ConfigError, load_config, load_custom
    from derl_trainers.train_config import parse_set

    try:
        settings = load_config(config, dict(map(parse_set, set_ or [])))
        load_custom(settings)
    except ConfigError as error:
        fail(str(error))
    if seed is not None:
        settings = replace(settings, seed=seed)
    folder = run_dir or RUNS / f"{settings.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    _check_writable(folder)
    _check_extras()
    _check_task(settings)
    _run(settings, folder, quiet)


def _run(settings: Any, folder: Path, quiet: bool) -> None:
    import os

    from rich.console import Console

    from derl_trainers.config import wants_hub

    # Forked tokenizers have nothing to say about it.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if not wants_hub(settings):
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from derl_trainers.meta import meta_train
    from derl_trainers.models import ModelMissing
    from derl_trainers.runner import JobFailed
    from derl_trainers.settings import ConfigError
    from derl_trainers.store import StoreError
    from derl_trainers.ui import WIDTH, View

    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    try:
        meta_train(settings, folder, View(console, quiet))
    except (ConfigError, StoreError, JobFailed, ModelMissing) as error:
        fail(str(error))
    except KeyboardInterrupt:
        typer.echo(f"derl-dsl: interrupted; what was done is in {folder}", err=True)
        raise typer.Exit(130) from None


def _check_task(settings: Any) -> None:
    """Fail when the task's data cannot be used, before a run begins."""
    from derl_trainers.jobs import check_task
    from derl_trainers.settings import ConfigError

    try:
        check_task(settings)
    except ConfigError as error:
        fail(str(error))


def _check_writable(folder: Path) -> None:
    """Fail before the slow imports when the run folder cannot be made."""
    import os

    if folder.exists():
        if not folder.is_dir():
            fail(f"{folder}: the run folder is a file")
        if any(folder.iterdir()):
            fail(f"{folder}: the run folder is not empty; choose another with --run-dir")
    nearest = next(p for p in [folder, *folder.absolute().parents] if p.exists())
    if not nearest.is_dir():
        fail(f"{folder}: cannot write the run folder: {nearest} is a file")
    if not os.access(nearest, os.W_OK | os.X_OK):
        fail(f"{folder}: cannot write the run folder: no write access to {nearest}")


def _check_extras() -> None:
    """Fail when the training libraries are not installed."""
    from importlib.util import find_spec

    wanted = ("torch", "transformers", "trl", "datasets", "reasoning_gym", "tokenizers")
    missing = [name for name in wanted if find_spec(name) is None]
    if missing:
        fail(f"meta-train needs {', '.join(missing)}: pip install 'derl-dsl[train]'")


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

    from derl_trainers.store import StoreError
    from derl_trainers.ui import WIDTH

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
    from derl_trainers.store import FILE, Store
    from derl_trainers.ui import runs_table

    folders = sorted(p.parent for p in directory.glob(f"*/{FILE}"))
    if not folders:
        fail(f"{directory}: no runs here; start one with `derl-dsl meta-train`")
    rows = []
    for folder in folders:
        with closing(Store.open(folder)) as store:
            rows.append((folder, store.run(), store.steps(), store.best()))
    console.print(runs_table(rows))


def _show(console: Any, run: Path) -> None:
    from derl_trainers.store import Store
    from derl_trainers.ui import show_run

    with closing(Store.open(_folder(run))) as store:
        show_run(console, store)


def _folder(run: Path) -> Path:
    """The folder of a run that is named by it, or by its name under runs/."""
    return run if run.exists() else RUNS / run


def _export(run: Path, to: Path) -> None:
    from derl_trainers.report import export

    written = export(_folder(run), to)
    typer.echo(f"wrote {len(written)} tables to {to}: {', '.join(p.stem for p in written)}")


def report_command(
    run: Annotated[Path, typer.Argument(help="The run: its folder, or its name under runs/.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="The page; report.html in the run's folder by default."
        ),
    ] = None,
) -> None:
    """Write one run as an HTML page: curves, every formula, baselines, cost; nothing else needed.

    A run that goes on, failed or was killed has a page too, which says so.
    """
    import sqlite3

    from derl_trainers.report import write_report
    from derl_trainers.store import FILE, StoreError

    folder = _folder(run)
    try:
        typer.echo(f"wrote {write_report(folder, output)}")
    except StoreError as error:
        fail(str(error))
    except sqlite3.Error as error:
        fail(f"{folder / FILE}: cannot be read: {error}")
