"""A run or a comparison to read: one HTML page, and a run's tables as Parquet files."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from derl_runtime.files import write_whole
from derl_trainers.outer.compare import RESULT, read_result
from derl_trainers.report.export import export
from derl_trainers.report.facts import read_facts
from derl_trainers.report.page import page
from derl_trainers.report.searches import links, searches_page
from derl_trainers.runs.store import Store, StoreError

__all__ = ["export", "write_report"]


def write_report(run: Path, to: Path | None = None) -> Path:
    """Write the page of a run, finished or not; returns the file, `report.html` in its folder.

    A folder of `derl-dsl compare` has a page, too. The page needs nothing else: no other file, no
    network. Raises StoreError when there is no run, or the file cannot be written.
    """
    text = _comparison(run) if (run / RESULT).exists() else _run(run)
    path = run / "report.html" if to is None else to
    try:
        write_whole(path, text)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}") from None
    return path


def _run(run: Path) -> str:
    with closing(Store.open(run)) as store:
        return page(read_facts(store))


def _comparison(folder: Path) -> str:
    found = read_result(folder)
    return searches_page(folder.absolute().name, found, links(folder, found))
