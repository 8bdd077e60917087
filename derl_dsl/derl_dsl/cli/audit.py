"""`derl-dsl audit`: what a reward pays for on logged rollouts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from derl_dsl.cli.inputs import AsFormat, Columns, Expression, Format, OneReward, Suite, show_json
from derl_dsl.cli.rows import Backend, Data, LikelyGroup, RightOutcome, asked, finish
from derl_dsl.tools.audit.html import page
from derl_dsl.tools.audit.run import audit, to_json
from derl_dsl.tools.audit.text import render
from derl_dsl.tools.evaluate.evaluation import Question
from derl_runtime.data import replacing


def audit_command(
    data: Data,
    reward: OneReward = None,
    expression: Expression = None,
    suite: Suite = None,
    column: Columns = None,
    outcome: RightOutcome = None,
    group: LikelyGroup = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write a page with plots and pairs to read.")
    ] = None,
    format: AsFormat = Format.text,
    backend: Backend = "auto",
) -> None:
    """Audit a reward on logged rollouts: does it pay for being right, or for something else?

    Each finding has a verdict (ok, look, bad), its figure, the limit and rows to look at.

    Exits 0 when nothing is bad, 1 when something is or the reward has errors, 2 when an input, or a
    row of it, could not be read: all other rows are audited.
    """
    given = asked(data, format, reward, expression, suite, column, outcome)
    with given as (source, settings, rows):
        question = Question(
            source.text, settings.suite, settings.columns, settings.outcome, group, backend
        )
        found = audit(question, rows)
        if html is not None:
            _write(html, page(found, source.path, rows.name))
    if format is Format.json:
        show_json("audit", {"path": source.path, "data": rows.name, **to_json(found)})
    else:
        typer.echo(render(found, rows.name), nl=False)
        if html is not None:
            typer.echo(f"wrote {html}")
    finish(rows, 0 if found.ok else 1)


def _write(path: Path, text: str) -> None:
    with replacing(path) as unfinished:
        # A lone surrogate in a completion has no UTF-8: it is written as a question mark.
        unfinished.write_bytes(text.encode("utf-8", errors="replace"))
