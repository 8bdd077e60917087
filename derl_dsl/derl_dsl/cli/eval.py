"""`derl-dsl eval`: what a reward says about the rows of a data file."""

from __future__ import annotations

import json
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from derl_dsl.evaluation import Component, Evaluation
    from derl_dsl.reward import RewardError
    from derl_dsl.summary import Agreement, Histogram

_NAME_WIDTH = 25
_SHOWN_ROWS = 10
_BLOCKS, _ASCII = " ▁▂▃▄▅▆▇█", " .:-=+*#@"


class Format(str, Enum):
    """How the result is shown."""

    text = "text"
    json = "json"


def eval_command(
    reward: Annotated[
        Path | None, typer.Argument(help="File with the reward; - reads it from standard input.")
    ] = None,
    expression: Annotated[
        str | None, typer.Option("-e", "--expression", metavar="TEXT", help="The reward itself.")
    ] = None,
    data: Annotated[
        Path, typer.Option(help="Rows to score: .jsonl or .parquet.", show_default=False)
    ] = ...,  # type: ignore[assignment]
    suite: Annotated[str | None, typer.Option(help="Suite of primitives, or several: a+b.")] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME:TYPE", help="Type of a data column, read off the data if left out."
        ),
    ] = None,
    outcome: Annotated[
        str | None, typer.Option(help="Column or expression to compare the reward with.")
    ] = None,
    group: Annotated[
        str | None, typer.Option(help="Column that names the group (the prompt) of a row.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write the scores of each row: .jsonl or .parquet.")
    ] = None,
    format: Annotated[Format, typer.Option(help="How to show the result.")] = Format.text,
    backend: Annotated[str, typer.Option(help="auto, reference or numba.")] = "auto",
) -> None:
    """Score the rows of a data file and summarise each component.

    Shows mean, standard deviation, range and a histogram per input, named part and reward, the
    share of rows where it is not applicable and, with --group, the share of groups whose scores are
    all equal. Exit status: 0, 1 when the reward has errors, 2 when something cannot be read.
    """
    from derl_runtime.columns import ColumnError
    from derl_runtime.data import DataError, read_rows, write_rows

    from derl_dsl.evaluation import Question, evaluate, scores_table
    from derl_dsl.reward import RewardError

    text, path = _reward_text(reward, expression)
    columns = _columns(column or [])
    try:
        rows = read_rows(data)
        question = Question(text, suite, columns, outcome, group, backend)
        evaluation = evaluate(question, rows)
        if output is not None:
            write_rows(output, scores_table(evaluation, rows))
    except RewardError as error:
        _show_errors(error, path, format)
        raise typer.Exit(1) from None
    except ColumnError as error:
        _fail(f"{data}: {error}")
    except (DataError, ValueError) as error:
        _fail(str(error))
    if format is Format.json:
        _print_json(evaluation, output)
    else:
        _print_text(evaluation, data, output)


def _fail(message: str) -> NoReturn:
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(2)


def _reward_text(file: Path | None, expression: str | None) -> tuple[str, str]:
    """The reward's text and the name to report it under."""
    if (file is None) == (expression is None):
        _fail("give the reward either as a file or with -e TEXT")
    if expression is not None:
        return expression, "<text>"
    assert file is not None
    try:
        raw = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        text = raw.decode("utf-8-sig")
    except OSError as error:
        _fail(f"{file}: {(error.strerror or str(error)).lower()}")
    except UnicodeDecodeError:
        _fail(f"{file}: not UTF-8 text")
    return text, "<stdin>" if str(file) == "-" else str(file)


def _columns(declared: list[str]) -> dict[str, str]:
    columns = {}
    for item in declared:
        name, colon, kind = item.partition(":")
        if not colon or not name.strip() or not kind.strip():
            _fail(f"--column {item!r}: write NAME:TYPE, such as 'score:number[0, 1]'")
        columns[name.strip()] = kind.strip()
    return columns


def _show_errors(error: RewardError, path: str, format: Format) -> None:
    from derl_grammar.diagnostics import render
    from derl_grammar.spans import Source

    if format is Format.json:
        found = [d.to_json() for d in error.diagnostics]
        record = {"path": path, "ok": False, "diagnostics": found, "certificate": None}
        typer.echo(json.dumps({"files": [record]}, indent=2))
    else:
        source = Source(error.checked.source.text, path)
        typer.echo(render(error.diagnostics, source), err=True)


def _print_json(evaluation: Evaluation, output: Path | None) -> None:
    from derl_dsl.evaluation import to_json

    record = {**to_json(evaluation), "output": None if output is None else str(output)}
    typer.echo(json.dumps(record, indent=2))


def _print_text(evaluation: Evaluation, data: Path, output: Path | None) -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False, soft_wrap=True)
    grouped = ""
    if evaluation.groups is not None:
        grouped = f", {evaluation.groups:,} groups by {evaluation.question.group}"
    console.print(f"{evaluation.rows:,} rows of {data}{grouped}\n")
    console.print(_table(evaluation, console), soft_wrap=False)
    if evaluation.agreement is not None:
        _print_agreement(console, str(evaluation.question.outcome), evaluation.agreement)
    for fault in evaluation.faults:
        console.print(f"fault: {fault}")
    if not evaluation.faults:
        console.print("no faults")
    if output is not None:
        console.print(f"wrote {output}")


def _table(evaluation: Evaluation, console: Console) -> Table:
    from rich.table import Table
    from rich.text import Text

    ascii_only = console.options.ascii_only
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("component", no_wrap=True)
    heads = ["mean", "std", "min", "max", "n/a"]
    for head in heads if evaluation.groups is None else [*heads, "flat"]:
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("histogram", no_wrap=True)
    for component in evaluation.components:
        style = {"input": "dim", "reward": "bold"}.get(component.kind, "")
        cells = _cells(component, evaluation.groups is not None, ascii_only)
        table.add_row(*(Text(cell, style=style) for cell in cells))
    if evaluation.groups is not None:
        table.caption = "flat: share of groups whose scores are all equal"
        table.caption_justify = "left"
    return table


def _cells(component: Component, grouped: bool, ascii_only: bool) -> list[str]:
    s = component.summary
    shares = [s.not_applicable, s.zero_variance_groups] if grouped else [s.not_applicable]
    return [
        _shortened(component.name, ascii_only),
        *(_number(x) for x in (s.mean, s.std, s.min, s.max)),
        *(_share(x) for x in shares),
        _bars(s.histogram, _ASCII if ascii_only else _BLOCKS),
    ]


def _shortened(name: str, ascii_only: bool) -> str:
    end = "..." if ascii_only else "…"
    return name if len(name) <= _NAME_WIDTH else name[: _NAME_WIDTH - len(end)] + end


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    shown = f"{value:.3f}" if 0.001 <= abs(value) < 1000 or value == 0 else f"{value:.3g}"
    return shown.rstrip("0").rstrip(".") if "." in shown and "e" not in shown else shown


def _share(value: float | None) -> str:
    """A share in percent; 0 % and 100 % mean none and all."""
    if value is None:
        return "-"
    if value in (0, 1):
        return f"{value:.0%}"
    return "<1%" if value < 0.005 else ">99%" if value > 0.995 else f"{value:.0%}"


def _bars(histogram: Histogram, ramp: str) -> str:
    """One character a bin, as high as its count; a bin that is not empty is never blank."""
    top = max(histogram.counts, default=0)
    steps = len(ramp) - 1
    return "".join(
        ramp[-(-count * steps // top)] if count else ramp[0] for count in histogram.counts
    )


def _print_agreement(console: Console, name: str, found: Agreement) -> None:
    if found.agreement is not None and found.disagreements is not None:
        others = found.disagreements
        rows = ", ".join(map(str, others[:_SHOWN_ROWS]))
        more = ", ..." if len(others) > _SHOWN_ROWS else ""
        where = f": {rows}{more}" if others else ""
        console.print(
            f"agrees with {name} on {_exact_share(found.agreement)} of {found.rows:,} rows; "
            f"differs on {len(others):,} (rows from 0{where})"
            if others
            else f"agrees with {name} on all {found.rows:,} rows"
        )
    if found.correlation is not None:
        console.print(f"correlation with {name}: {found.correlation:.3f}")
    if found.ranking is not None:
        console.print(
            f"a right row outscores a wrong one in {found.ranking:.2%} of pairs (ties half)"
        )


def _exact_share(value: float) -> str:
    """A share that is not rounded up to 100 %."""
    return f"{int(value * 10_000) / 100:.2f}%"
