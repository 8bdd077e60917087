"""How the commands over rows begin and end: the reward, its settings, the data, what went wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, NamedTuple, NoReturn

import pyarrow as pa
import typer
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from derl_dsl.cli.inputs import (
    Format,
    fail,
    one_source,
    read_settings,
    say,
    show_json,
    show_no_logs,
)
from derl_dsl.score.judging import judge_of
from derl_dsl.score.reward import Reward, RewardError, columns_of
from derl_dsl.tools.console import Console
from derl_dsl.tools.evaluate.evaluation import Question, outcome_for
from derl_dsl.tools.project import Settings
from derl_grammar.diagnostics import render
from derl_grammar.spans import Source
from derl_runtime.data import DataError, Rollouts, rollouts_of
from derl_runtime.reading import ColumnError

DATA = (
    "Rows: a file (.jsonl, .json, .csv, .parquet, .arrow; also .gz, .zst), a folder, a pattern "
    "in quotes, - for standard input; again for more."
)
Data = Annotated[list[str], typer.Option("--data", help=DATA)]
MaybeData = Annotated[list[str] | None, typer.Option("--data", help=DATA)]


# Bytes of rows that, held whole, are worth a word.
_LARGE = 200_000_000

GroupColumn = Annotated[
    str | None, typer.Option(help="Column that names the group (the prompt) of a row.")
]
LikelyGroup = Annotated[
    str | None,
    typer.Option(help="Column that names the group (the prompt) of a row; else a likely one."),
]
RightOutcome = Annotated[
    str | None,
    typer.Option(help="Column or expression that says a rollout was right; else the suite's."),
]
Backend = Annotated[str, typer.Option(help="auto, vm, native, numba, torch or reference.")]


class Asked(NamedTuple):
    """What a command over rows is asked about."""

    source: Source
    settings: Settings
    rows: Rollouts


def open_rows(data: Sequence[str]) -> Rollouts:
    """The rows that a command is given; how far they are read is shown on a terminal."""
    # Arrow's own pool keeps what it has once had.
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        rows = rollouts_of(list(data), logs=True, said=say)
    except DataError as error:
        fail(str(error))
    console = Console(stderr=True)
    if console.is_terminal:
        rows.watch = _Bar(console, rows.size)
    return rows


def whole_rows(data: Sequence[str]) -> dict[str, list[Any]]:
    """All rows at once, for a command that cannot take them in parts; says so where they are many.

    Raises DataError for a row that cannot be read.
    """
    rows = rollouts_of(list(data), logs=True, strict=True, said=say)
    if rows.size > _LARGE:
        size = rows.size / 1e6
        say(f"{rows.name}: {size:,.0f} MB are held whole, in about {4 * size:,.0f} MB of memory")
    return rows.whole()


@contextmanager
def mistakes(rows: Rollouts | None, sources: Sequence[Source], format: Format) -> Iterator[None]:
    """What is wrong with a reward or with rows ends the command, in a message: 1 or 2."""
    try:
        yield
    except RewardError as error:
        source = next((s for s in sources if s.text == error.source.text), sources[0])
        show_errors(error, source, format)
        raise typer.Exit(1) from None
    except ColumnError as error:
        told_of_bad_rows(rows)
        named = error.missing is not None and rows is not None
        more = f"; --column NAME:{error.missing} says which of them it is" if named else ""
        fail(f"{sources[0].path if rows is None else rows.name}: {error}{more}")
    except (DataError, ValueError) as error:
        told_of_bad_rows(rows)
        fail(str(error))


@contextmanager
def asked(
    data: Sequence[str],
    format: Format,
    reward: str | None,
    expression: str | None,
    suite: str | None,
    column: list[str] | None,
    outcome: str | None,
) -> Iterator[Asked]:
    """A reward and the rows that a command is given; what is wrong with either ends it."""
    show_no_logs()
    source = one_source(reward, expression)
    settings = read_settings(source, suite, column, outcome)
    rows = open_rows(data)
    with mistakes(rows, [source], format):
        yield Asked(source, settings, rows)


def show_errors(error: RewardError, source: Source, format: Format) -> None:
    """List what is wrong with a reward, in the shape of `derl-dsl check`."""
    if format is Format.json:
        found = [d.to_json() for d in error.diagnostics]
        record = {"path": source.path, "ok": False, "diagnostics": found, "certificate": None}
        show_json("check", {"files": [record]})
    else:
        typer.echo(render(error.diagnostics, source), err=True)


def outcome_reward(
    reward: Reward, given: Settings, outcome: str | None, rows: Any
) -> Reward | None:
    """The program of the outcome: a column or an expression that is named, else what the suite says
    where the reward does not read it itself and the rows have what it takes; None: nobody knows.

    Raises ValueError for an outcome that cannot be used.
    """
    if outcome is None:
        judge = judge_of(reward)
        return judge if judge is not None and all(n in rows for n in columns_of(judge)) else None
    return outcome_for(Question("", given.suite, given.columns, outcome), rows)


def told_of_bad_rows(rows: Rollouts | None) -> bool:
    """Tell of the rows that could not be read and were left out; whether there were any."""
    if rows is None or not rows.bad_rows:
        return False
    for problem in rows.bad:
        say(str(problem))
    others = rows.bad_rows - len(rows.bad)
    more = f", {others} of which are not shown" if others else ""
    say(f"{rows.bad_rows} rows could not be read and are left out{more}")
    return True


def finish(rows: Rollouts | None, code: int) -> NoReturn:
    """End with a code; with 2 where rows could not be read, for the result lacks them."""
    raise typer.Exit(2 if told_of_bad_rows(rows) else code)


class _Bar:
    """How far a pass over the rows has come, at which rate, and how long it will take."""

    def __init__(self, console: Console, size: int) -> None:
        self._console, self._size = console, size
        self._shown: Progress | None = None
        self._task = TaskID(0)

    def begin(self, title: str) -> None:
        """A pass begins."""
        self._shown = Progress(
            TextColumn("{task.description}"), BarColumn(), DownloadColumn(),
            TransferSpeedColumn(), TimeRemainingColumn(), console=self._console, transient=True,
        )  # fmt: skip
        self._task = self._shown.add_task(title, total=self._size)
        self._shown.start()

    def reach(self, share: float) -> None:
        """This share of all bytes is done."""
        if self._shown is not None:
            self._shown.update(self._task, completed=int(share * self._size))

    def end(self) -> None:
        """The pass has ended."""
        if self._shown is not None:
            self._shown.stop()
            self._shown = None
