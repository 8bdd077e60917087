"""`derl-dsl why`: how the reward of one row came about."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from derl_dsl.cli.inputs import (
    AsFormat,
    Columns,
    Expression,
    Format,
    OneReward,
    Suite,
    fail,
    one_source,
    read_settings,
    show_json,
    show_no_logs,
)
from derl_dsl.score.reward import RewardError
from derl_dsl.tools.evaluate.evaluation import Question, compile_for
from derl_dsl.tools.why import Why, why
from derl_grammar.diagnostics import render
from derl_runtime.data import DataError, rollouts_of
from derl_runtime.reading import ColumnError

_WIDTH = 400


def why_command(
    data: Annotated[Path, typer.Option(help="Rows: .jsonl or .parquet.")],
    row: Annotated[int, typer.Option(help="The row to explain, counted from 0.")],
    reward: OneReward = None,
    expression: Expression = None,
    suite: Suite = None,
    column: Columns = None,
    format: AsFormat = Format.text,
) -> None:
    """Say of one row which answer each verdict took from where, how gold was read, what decided.

    Without a suite that knows the verdict, `math` is taken.

    Exits 0 when every verdict says right, 1 when one says wrong or the reward has errors, 2 when an
    input could not be read.
    """
    show_no_logs()
    source = one_source(reward, expression)
    settings = read_settings(source, suite, column)
    try:
        rows = rollouts_of([str(data)], logs=True, strict=True)
        question = Question(source.text, settings.suite or "math", settings.columns)
        compiled = compile_for(question, rows)
        if not 0 <= row < rows.rows:
            fail(f"row {row} of {rows.rows} rows; they count from 0")
        one = {name: [value] for name, value in rows.some([row])[row].items()}
        found = replace(why(compiled, one, 0), row=row)
    except RewardError as error:
        typer.echo(render(error.diagnostics, source), err=True)
        raise typer.Exit(1) from None
    except ColumnError as error:
        fail(f"{data}: {error}")
    except (DataError, ValueError) as error:
        fail(str(error))
    if format is Format.json:
        show_json("why", found.to_json())
    else:
        _print(found, str(data))
    raise typer.Exit(0 if found.right else 1)


def _print(found: Why, data: str) -> None:
    typer.echo(f"row {found.row} of {data}: reward {_shown(found.reward)}")
    for name, value in {**found.inputs, **found.parts}.items():
        typer.echo(f"  {name} = {_shown(value)}")
    for reason in found.reasons:
        where = "" if reason.step is None else f", step {reason.step}"
        typer.echo(f"\n{reason.name}{where}")
        for label, words in reason.lines:
            typer.echo(f"  {label:<11} {_short(words)}")
    for fault in found.faults:
        typer.echo(f"fault: {fault}")


def _shown(value: float | None) -> str:
    return "not applicable" if value is None else f"{value:.6g}"


def _short(text: str) -> str:
    """A text on one line, its middle left out when it is long."""
    line = text.replace("\n", "\\n")
    half = _WIDTH // 2
    return line if len(line) <= _WIDTH else f"{line[:half]} … {line[-half:]}"
