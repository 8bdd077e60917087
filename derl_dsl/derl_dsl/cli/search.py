"""`derl-dsl search`: rewards found on logged rollouts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from derl_dsl.cli.inputs import (
    AsFormat,
    Columns,
    Format,
    Suite,
    fail,
    read_settings,
    say,
    show_json,
)
from derl_dsl.cli.rows import Data, LikelyGroup, RightOutcome, finish, mistakes, open_rows
from derl_dsl.tools.audit.context import likely_group
from derl_dsl.tools.console import Console
from derl_dsl.tools.evaluate.evaluation import Question, group_of
from derl_dsl.tools.evaluate.sampling import neighbours, some_groups
from derl_dsl.tools.search.problem import NO_GROUPS
from derl_dsl.tools.search.report import render
from derl_dsl.tools.search.rewards import write
from derl_dsl.tools.search.run import Search, Settings, search, to_json
from derl_grammar.spans import Source
from derl_runtime.data import Rollouts
from derl_runtime.reading import ColumnError

_BUDGET = 1_000_000


def search_command(
    data: Data,
    outcome: RightOutcome = None,
    suite: Suite = None,
    column: Columns = None,
    group: LikelyGroup = None,
    group_size: Annotated[
        int | None, typer.Option(min=2, help="Groups are so many neighbouring rows.")
    ] = None,
    budget: Annotated[
        int | None, typer.Option(min=1, help="Programs to screen.  [default: 1000000]")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=0, help="Search for so long instead, to whole rounds.")
    ] = None,
    size: Annotated[
        int, typer.Option(min=1, max=60, help="The most names, numbers and operations of a term.")
    ] = 20,
    seed: Annotated[int, typer.Option(help="The same seed finds the same rewards.")] = 0,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; they change no result.  [default: cores]")
    ] = None,
    most_rows: Annotated[
        int, typer.Option(min=100, help="Of more rows, so many in whole groups are searched on.")
    ] = 30_000,
    top: Annotated[int, typer.Option(min=1, help="The most rewards to give.")] = 12,
    out: Annotated[Path, typer.Option(help="Folder for the rewards.")] = Path("search"),
    format: AsFormat = Format.text,
) -> None:
    """Search for terms that sharpen the outcome: tries many programs on logged rollouts.

    A term is kept if no other is better at once in putting right before wrong within groups, in
    telling rollouts apart where the outcome is the same, and in size. Rewards add a term to the
    outcome, small enough that no wrong rollout outscores a right one, and are written as files.
    Without --suite and --column, all inputs that the data's columns allow are tried.

    Exits 0, 2 when the data does not fit, or an input, or a row of it, could not be read.
    """
    if budget is not None and seconds is not None:
        fail("give either --budget or --seconds")
    if group is not None and group_size is not None:
        fail("give either --group or --group-size")
    if budget is None and seconds is None:
        budget = _BUDGET
    settings = Settings(budget, seconds, size, seed, workers or _cores())
    source = Source("", "<search>")
    given = read_settings(source, suite, column, outcome)
    rows = open_rows(data)
    with mistakes(rows, [source], format):
        if group is None and group_size is None:
            group = likely_group(rows)
        kept = _kept(rows, group, group_size, most_rows)
        question = Question("", given.suite, given.columns, given.outcome, group)
        with _progress(settings) as told:
            found = search(question, kept, settings, group_size, top, told)
    paths = _written(found, out, Path(rows.name).name)
    if format is Format.json:
        show_json("search", {"data": rows.name, "read": rows.rows, **to_json(found, paths)})
    else:
        typer.echo(render(found, rows.name, paths), nl=False)
    finish(rows, 0)


def _kept(rows: Rollouts, group: str | None, group_size: int | None, most: int) -> dict[str, Any]:
    """The rows to search on: all, or whole groups of them."""
    if rows.rows <= most:
        return some_groups(rows, None, most)
    if group_size is not None:
        kept = some_groups(rows, neighbours(rows, group_size), most)
    elif group is not None:
        kept = some_groups(rows, group_of(rows, group), most)
    else:
        raise ColumnError(NO_GROUPS)
    count = len(next(iter(kept.values())))
    say(f"{count:,} of {rows.rows:,} rows, in whole groups, are searched on (--most-rows)")
    return kept


def _written(found: Search, out: Path, data: str) -> Sequence[Path]:
    try:
        return write(found.composed.found, out, data, found.problem)
    except OSError as error:
        fail(f"cannot write {error.filename or out}: {error.strerror}")


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def _progress(settings: Settings) -> Iterator[Callable[[int], None]]:
    """A bar on the terminal, and what moves it; until something does, kernels are compiled."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("rest"),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("compiling, once for this machine", total=settings.budget)

        def told(screened: int) -> None:
            bar.update(task, description="programs")
            bar.advance(task, screened)

        yield told
