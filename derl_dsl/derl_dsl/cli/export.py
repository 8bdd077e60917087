"""`derl-dsl export`: a reward as a file that another framework calls."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from derl_dsl.cli.inputs import (
    Columns,
    Expression,
    Outcome,
    Suite,
    fail,
    read_settings,
    read_sources,
)
from derl_grammar.diagnostics import render


class Framework(StrEnum):
    """Who is to call the file."""

    verl = "verl"


def export_command(
    target: Annotated[Framework, typer.Option("--for", help="verl.")],
    reward: Annotated[str | None, typer.Argument(help="Reward file; - reads from stdin.")] = None,
    expression: Expression = None,
    suite: Suite = None,
    column: Columns = None,
    outcome: Outcome = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write; default: print it.")
    ] = None,
) -> None:
    """Write a reward as a file for verl: `custom_reward_function.path`, name `compute_score`.

    TRL and verifiers take a reward as it is: derl_dsl.adapters.trl, derl_dsl.adapters.verifiers.

    Exits 1 when the reward has errors or the framework cannot score with it, 2 when an input could
    not be read or the file not be written.
    """
    from derl_dsl.adapters.verl import export, problems
    from derl_dsl.score.reward import RewardError, compile
    from derl_grammar.limits import WIDE

    if (reward is None) == (expression is None):
        fail("give the reward either as a file or with -e TEXT")
    (source,) = read_sources([] if reward is None else [reward], expression)
    settings = read_settings(source, suite, column, outcome)
    given = (settings.suite, settings.columns, settings.outcome)
    try:
        compiled = compile(source.text, *given, limits=WIDE)
    except RewardError as error:
        typer.echo(render(error.diagnostics, source), err=True)
        raise typer.Exit(1) from None
    except ValueError as error:
        fail(f"{source.path}: {error}")
    found = problems(compiled, source.path)
    if found:
        typer.echo(render(found, source), err=True)
        raise typer.Exit(1)
    text = export(compiled, source.path, *given)
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"cannot write {output}: {error.strerror}")
    typer.echo(f"wrote {output}: custom_reward_function.name=compute_score")
