"""`derl-dsl export`: a reward as a file that a trainer calls."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from derl_dsl.adapters.export import Export, export, problems, settings
from derl_dsl.adapters.made_for import compared, installed
from derl_dsl.adapters.outputs import unfit
from derl_dsl.adapters.rows import POLICIES
from derl_dsl.adapters.targets import TARGETS, Target
from derl_dsl.cli.inputs import (
    Columns,
    Expression,
    OneReward,
    Outcome,
    Suite,
    fail,
    one_source,
    read_settings,
    say,
)
from derl_dsl.cli.terminal import echo_data
from derl_dsl.score.reward import RewardError, compile
from derl_dsl.tools.console import Console
from derl_grammar.diagnostics import render
from derl_grammar.limits import WIDE
from derl_grammar.near import nearest
from derl_runtime.files import write_whole

# A fault that scores less stands alone in its batch.
_FAR = -1000


def export_command(
    target: Annotated[
        str, typer.Option("--for", help="The trainer; `list` shows them all with what they carry.")
    ],
    reward: OneReward = None,
    expression: Expression = None,
    suite: Suite = None,
    column: Columns = None,
    outcome: Outcome = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write; default: print it.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="The reward's name there; default: the file's.")
    ] = None,
    on_fault: Annotated[
        str | None,
        typer.Option(
            "--on-fault",
            help="What a fault becomes: skip (None), raise, or lowest (of the proven range); "
            "default: what keeps a run honest there.",
        ),
    ] = None,
) -> None:
    """Write a reward as a file for a trainer, and print the settings that make it use the file.

    The file holds the reward's text, its key and certificate, and needs the package derl-dsl.

    Exits 1 when the reward has errors or the trainer cannot score with it, 2 when an input could
    not be read or the file not be written.
    """
    if target == "list":
        _list()
        return
    if target not in TARGETS:
        near = nearest(target, TARGETS)
        hint = f"; did you mean {near}?" if near else "."
        fail(f"unknown trainer {target!r}{hint} One of: {', '.join(TARGETS)}")
    trainer = TARGETS[target]
    source = one_source(reward, expression)
    found = read_settings(source, suite, column, outcome)
    if on_fault is not None and on_fault not in trainer.policies:
        known = "" if on_fault in POLICIES else f"{on_fault!r} is no policy; "
        fail(f"{known}{trainer.title} can do with a fault: {', '.join(trainer.policies)}")
    policy = next((p for p in trainer.policies if p == on_fault), None)
    stem = "reward" if reward in (None, "-") else source.path
    what = Export(
        stem, found.suite, dict(found.columns or {}), found.outcome, name, on_fault=policy
    )
    try:
        compiled = compile(source.text, found.suite, found.columns, found.outcome, limits=WIDE)
    except RewardError as error:
        typer.echo(render(error.diagnostics, source), err=True)
        raise typer.Exit(1) from None
    except ValueError as error:
        fail(f"{source.path}: {error}")
    refused = problems(compiled, trainer, source.path)
    if refused:
        typer.echo(render(refused, source), err=True)
        raise typer.Exit(1)
    try:
        text = export(compiled, trainer, what)
    except ValueError as error:
        fail(f"{source.path}: {error}")
    _warn_of_version(trainer)
    low = compiled.certificate.lo
    if (policy or trainer.policies[0]) == "lowest" and low < _FAR:
        say(f"a fault will score {low:g}: hold the reward with max(…), or use --on-fault raise")
    if output is None:
        echo_data(text)
        return
    try:
        why = unfit(output, trainer)
        if why is not None:
            shown = str(output) if str(output).isprintable() else ascii(str(output))
            fail(f"cannot write {shown}: {why}")
        write_whole(output, text)
    except OSError as error:
        fail(f"cannot write {output}: {error.strerror}")
    typer.echo(f"wrote {output} for {trainer.title} {trainer.version}; set there:\n")
    for line in settings(compiled, trainer, what, os.path.abspath(output)).splitlines():
        typer.echo(f"    {line}")
    if "@MODULE@" in trainer.settings:
        typer.echo(f"\nIt is imported by name: {output.absolute().parent} belongs on PYTHONPATH.")


def _warn_of_version(target: Target) -> None:
    """Say that the trainer that is here is not the one whose settings are printed."""
    than = compared(target.package, target.version)
    if than is None:
        return
    here = f"{target.package} {installed(target.package)} is here"
    told = f"pip install '{target.package}=={target.version}.*'"
    if than == "newer":
        told = "its log must name this file, or it trains on another reward"
    say(f"{here}, {than} than {target.title} {target.version}, whose settings these are: {told}")


def _list() -> None:
    """The trainers and what each of them carries."""
    table = Table("--for", "trainer", "version", "groups", "progress", "skip", "a fault")
    for target in TARGETS.values():
        carries = (target.groups, target.progress, target.skips)
        marks = ["yes" if c else "–" for c in carries]
        table.add_row(target.name, target.title, target.version, *marks, target.policies[0])
    Console().print(table)
