"""What the trainers' commands share."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import typer

from derl_trainers.reading import ConfigError
from derl_trainers.runs import jobs
from derl_trainers.runs.store import StoreError, check_empty

RUNS = Path("runs")


def fail(message: str) -> NoReturn:
    """One message on stderr and exit code 2."""
    typer.echo(f"derl-dsl: {message}", err=True)
    raise typer.Exit(2)


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# How safetensors and torch say that weights were not written whole: by errors of no such type.
_CUT = (*(f"(os error {number})" for number in _FULL), "inline_container.cc", "iostream error")


def no_room(folder: Path, error: Exception) -> str:
    """What to say of a run that its disk ended; any other error is raised again.

    >>> no_room(Path("runs/a"), sqlite3.OperationalError("database or disk is full"))
    'runs/a: cannot be written: database or disk is full; make room, or raise the limit'
    """
    if isinstance(error, OSError) and error.errno in _FULL:
        said = error.strerror
    elif isinstance(error, sqlite3.OperationalError):
        said = str(error)
    elif any(mark in str(error) for mark in _CUT):
        said = "no room for weights"
    else:
        raise error
    return f"{folder}: cannot be written: {said}; make room, or raise the limit"


@contextmanager
def ended_as_by_ctrl_c() -> Iterator[None]:
    """Within it SIGTERM, by which a cluster ends a job, does what Ctrl-C does."""

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def run_folder(run: Path) -> Path:
    """The folder of a run that is named by it, or by its name under runs/."""
    return run if run.exists() else RUNS / run


def check_writable(folder: Path) -> None:
    """Fail before the slow imports when the run folder cannot be made."""
    if folder.exists():
        if not folder.is_dir():
            fail(f"{folder}: the run folder is a file")
        try:
            check_empty(folder)
        except StoreError as error:
            fail(f"{error} with --run-dir, or go on with it: --resume {folder}")
    nearest = next(p for p in [folder, *folder.absolute().parents] if p.exists())
    if not nearest.is_dir():
        fail(f"{folder}: cannot write the run folder: {nearest} is a file")
    if not os.access(nearest, os.W_OK | os.X_OK):
        fail(f"{folder}: cannot write the run folder: no write access to {nearest}")


def check_extras(command: str) -> None:
    """Fail when the training libraries are not installed."""
    wanted = ("torch", "transformers", "trl", "datasets", "reasoning_gym", "tokenizers")
    missing = [name for name in wanted if find_spec(name) is None]
    if missing:
        fail(f"{command} needs {', '.join(missing)}: pip install 'derl-dsl[train]'")


def check_task(settings: Any) -> None:
    """Fail when the task's data cannot be used, before a run begins."""
    try:
        jobs.check_task(settings)
    except ConfigError as error:
        fail(str(error))
