"""`derl-dsl audit`: what a reward pays for on logged rollouts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from derl_dsl.cli.eval import Format, show_errors
from derl_dsl.cli.inputs import (
    Columns,
    Expression,
    Suite,
    fail,
    read_settings,
    read_sources,
    say,
    show_no_logs,
)
from derl_dsl.score.reward import RewardError
from derl_dsl.tools.audit.html import page
from derl_dsl.tools.audit.run import audit, to_json
from derl_dsl.tools.audit.text import render
from derl_dsl.tools.evaluate.evaluation import Question
from derl_runtime.data import DataError, read_logs
from derl_runtime.reading import ColumnError


def audit_command(
    data: Annotated[Path, typer.Option(help="Logged rollouts: .jsonl or .parquet.")],
    reward: Annotated[str | None, typer.Argument(help="Reward file; - reads from stdin.")] = None,
    expression: Expression = None,
    suite: Suite = None,
    column: Columns = None,
    outcome: Annotated[
        str | None,
        typer.Option(help="Column or expression that says a rollout was right; else the suite's."),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(help="Column that names the group (the prompt) of a row; else a likely one."),
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write a page with plots and pairs to read.")
    ] = None,
    format: Annotated[Format, typer.Option("--format", help="text or json.")] = Format.text,
    backend: Annotated[str, typer.Option(help="auto, vm, native, torch or reference.")] = "auto",
) -> None:
    """Audit a reward on logged rollouts: does it pay for being right, or for something else?

    Each finding has a verdict (ok, look, bad), its figure, the limit and rows to look at.

    Exits 0 when nothing is bad, 1 when something is or the reward has errors, 2 when an input
    could not be read.
    """
    show_no_logs()
    if (reward is None) == (expression is None):
        fail("give the reward either as a file or with -e TEXT")
    (source,) = read_sources([] if reward is None else [reward], expression)
    settings = read_settings(source, suite, column, outcome)
    try:
        rows = read_logs(data, say)
        question = Question(
            source.text, settings.suite, settings.columns, settings.outcome, group, backend
        )
        found = audit(question, rows)
    except RewardError as error:
        show_errors(error, source, format)
        raise typer.Exit(1) from None
    except ColumnError as error:
        fail(f"{data}: {error}")
    except (DataError, ValueError) as error:
        fail(str(error))
    if html is not None:
        _write(html, page(found, source.path, str(data)))
    if format is Format.json:
        record = {"path": source.path, "data": str(data), **to_json(found)}
        typer.echo(json.dumps(record, ensure_ascii=False))
    else:
        typer.echo(render(found, str(data)), nl=False)
        if html is not None:
            typer.echo(f"wrote {html}")
    raise typer.Exit(0 if found.ok else 1)


def _write(path: Path, text: str) -> None:
    try:
        # A lone surrogate in a completion has no UTF-8: it is written as a question mark.
        path.write_bytes(text.encode("utf-8", errors="replace"))
    except OSError as error:
        fail(f"cannot write {path}: {error.strerror}")
