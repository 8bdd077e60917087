"""`derl-dsl eval`: what a reward says about the rows of a data file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from derl_dsl.cli.inputs import AsFormat, Columns, Expression, Format, OneReward, Suite, show_json
from derl_dsl.cli.rows import Backend, Data, GroupColumn, asked, finish
from derl_dsl.tools.console import Console
from derl_dsl.tools.evaluate.evaluation import (
    Component,
    Evaluation,
    Question,
    evaluate,
    scores_table,
    to_json,
)
from derl_dsl.tools.evaluate.summary import Agreement, Histogram
from derl_runtime.data import write_batches

_NARROWEST = 12
_SHOWN_ROWS = 10
_BLOCKS, _ASCII = " ▁▂▃▄▅▆▇█", " .:-=+*#@"


def eval_command(
    data: Data,
    reward: OneReward = None,
    expression: Expression = None,
    suite: Suite = None,
    column: Columns = None,
    outcome: Annotated[
        str | None, typer.Option(help="Column or expression to compare the reward with.")
    ] = None,
    group: GroupColumn = None,
    output: Annotated[
        Path | None, typer.Option(help="Write the scores of each row: .jsonl or .parquet.")
    ] = None,
    format: AsFormat = Format.text,
    backend: Backend = "auto",
) -> None:
    """Score the rows of a data file and summarise each input, named part and the reward.

    n/a is the share of rows that have no score, flat the share of groups with equal scores.

    Exits 0, 1 when the reward has errors, 2 when an input, or a row of it, could not be read: all
    other rows are scored.
    """
    given = asked(data, format, reward, expression, suite, column, outcome)
    with given as (source, settings, rows):
        question = Question(source.text, settings.suite, settings.columns, outcome, group, backend)
        evaluation = evaluate(question, rows)
        if output is not None:
            write_batches(output, scores_table(evaluation, rows))
    if format is Format.json:
        record = {**to_json(evaluation), "output": None if output is None else str(output)}
        show_json("eval", record)
    else:
        _print_text(evaluation, rows.name, output)
    finish(rows, 0)


def _print_text(evaluation: Evaluation, data: str, output: Path | None) -> None:
    console = Console(highlight=False, markup=False, soft_wrap=True)
    with console.capture() as shown:
        _print_all(console, evaluation, data, output)
    # Not printed directly: echo copes with what the terminal's encoding lacks.
    typer.echo(shown.get(), nl=False)


def _print_all(console: Console, evaluation: Evaluation, data: str, output: Path | None) -> None:
    grouped = ""
    if evaluation.groups is not None:
        grouped = f", {_count(evaluation.groups, 'group')} by {evaluation.question.group}"
    console.print(f"{_count(evaluation.rows, 'row')} of {data}{grouped}\n")
    console.print(_table(evaluation, console), soft_wrap=False)
    if evaluation.groups is not None:
        console.print("flat: share of groups whose scores are all equal")
    console.print()
    if evaluation.agreement is not None:
        _print_agreement(console, str(evaluation.question.outcome), evaluation.agreement)
    for fault in evaluation.faults:
        console.print(f"fault: {fault}")
    if not evaluation.faults:
        console.print("no faults")
    if output is not None:
        console.print(f"wrote {output}")


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _table(evaluation: Evaluation, console: Console) -> Table:
    grouped = evaluation.groups is not None
    heads = ["mean", "std", "min", "max", "n/a", *(["flat"] if grouped else []), "histogram"]
    ramp = _ASCII if console.options.ascii_only else _BLOCKS
    rows = [_cells(component, grouped, ramp) for component in evaluation.components]
    taken = sum(1 + max(map(len, cells)) for cells in zip(heads, *rows, strict=True))
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("component", no_wrap=True)
    for head in heads:
        left = head == "histogram"
        table.add_column(head, justify="left" if left else "right", no_wrap=True)
    for component, cells in zip(evaluation.components, rows, strict=True):
        name = _shortened(component.name, max(_NARROWEST, console.width - taken))
        style = {"input": "dim", "reward": "bold"}.get(component.kind, "")
        table.add_row(*(Text(cell, style=style) for cell in (name, *cells)))
    return table


def _cells(component: Component, grouped: bool, ramp: str) -> list[str]:
    s = component.summary
    shares = [s.not_applicable, s.zero_variance_groups] if grouped else [s.not_applicable]
    numbers = [_number(x) for x in (s.mean, s.std, s.min, s.max)]
    return [*numbers, *map(_share, shares), _bars(s.histogram, ramp)]


def _shortened(name: str, width: int) -> str:
    return name if len(name) <= width else name[: width - 2] + ".."


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
        listed = ", ".join(map(str, others[:_SHOWN_ROWS]))
        more = ", ..." if len(others) > _SHOWN_ROWS else ""
        where = f" (row {listed}{more}, counted from 0)" if len(others) else ""
        share = _exact_share(found.agreement)
        console.print(f"agreement with {name}: {share} of {found.rows:,} rows")
        console.print(f"disagreements: {len(others):,}{where}")
    if found.correlation is not None:
        console.print(f"correlation with {name}: {found.correlation:.3f}")
    if found.ranking is not None:
        console.print(
            f"a right row outscores a wrong one in {found.ranking:.2%} of pairs (ties half)"
        )


def _exact_share(value: float) -> str:
    """A share that is not rounded up to 100 %."""
    return f"{int(value * 10_000) / 100:.2f}%"
