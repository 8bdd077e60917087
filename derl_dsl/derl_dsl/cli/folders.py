"""Many files at once: folders with all below them, shared out over processes, or watched."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NoReturn

import typer

from derl_dsl.cli.checking import Finding, Flags, More, check_file
from derl_dsl.tools.files import TESTS, rewards_below
from derl_dsl.tools.project import ProjectError, find_project
from derl_grammar.spans import Source

# From so many files on, starting processes costs less than they save.
_MANY = 150
# Seconds between two looks at the files.
_PAUSE = 0.3

# When a file was written, and its size; None while it is not there.
_Stamp = tuple[int, int] | None


def expand(names: Sequence[str]) -> Iterator[str | Finding]:
    """The files that are named or lie below named folders, each once; tests are no rewards."""
    seen: set[str] = set()
    for name in names:
        if name == "-" or not os.path.isdir(name):
            files: list[str] = [] if name.endswith(TESTS) else [name]
        else:
            try:
                files = [str(path) for path in rewards_below(Path(name))]
            except OSError as error:
                yield Finding(Source("", name), f"cannot read {name}: {error.strerror}")
                continue
        yield from (file for file in files if file not in seen)
        seen.update(files)


def check_files(flags: Flags, files: Sequence[str], more: More | None = None) -> list[Finding]:
    """What is found in each file, in their order; many are shared out over processes.

    `more` adds diagnostics to a checked program, in this process.
    """
    cores = os.cpu_count() or 1
    if len(files) < _MANY or cores == 1 or more:
        return [found for file in files for found in check_file(flags, file, more)]
    # No thread has started and no package of numbers is loaded: a copy of this process will do.
    method = "fork" if sys.platform == "linux" else "spawn"
    pool = ProcessPoolExecutor(
        cores, multiprocessing.get_context(method), signal.signal, (signal.SIGINT, signal.SIG_IGN)
    )
    try:
        checked = pool.map(partial(check_file, flags), files, chunksize=16)
        return [found for many in checked for found in many]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def watch(flags: Flags, names: Sequence[str], show: Callable[[list[Finding]], None]) -> NoReturn:
    """Check the files of `names`, and those that change or come, again and again.

    A change of their pyproject.toml checks all of them again. Never returns.
    """
    stamps: dict[str, _Stamp] = {}
    known: dict[str, list[Finding]] = {}
    while True:
        files = [file for file in expand(names) if isinstance(file, str)]
        seen = {file: _stamp(file) for file in files}
        projects = {f"{at}": _stamp(at) for at in {_project_of(file) for file in files} if at}
        whole = not stamps or any(stamps.get(at) != stamp for at, stamp in projects.items())
        changed = [file for file in files if whole or stamps.get(file) != seen[file]]
        gone = known.keys() - seen.keys()
        if changed or gone or not stamps:
            known = {file: known.get(file, []) for file in files}
            known.update((file, check_file(flags, file)) for file in changed)
            typer.echo(f"--- {time.strftime('%H:%M:%S')}, Ctrl-C ends")
            show([finding for file in files for finding in known[file]])
        stamps = {**projects, **seen}
        time.sleep(_PAUSE)


def _stamp(file: str | Path) -> _Stamp:
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _project_of(file: str) -> Path | None:
    """The pyproject.toml that a file's settings come from; one with mistakes is the nearest."""
    folder = Path(file).absolute().parent
    try:
        project = find_project(folder)
    except ProjectError:
        files = [at / "pyproject.toml" for at in (folder, *folder.parents)]
        return next((file for file in files if file.exists()), None)
    return project.path if project else None
