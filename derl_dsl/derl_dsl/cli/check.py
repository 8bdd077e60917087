"""`derl-dsl check`: what is wrong with a reward, before a run finds out."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any

import typer
from derl_grammar.diagnostics import render
from derl_grammar.limits import LIMITS

from derl_dsl.checker import Checked, OutcomeError, check_source
from derl_dsl.cli.inputs import Columns, Expression, Outcome, Suite, fail, read_scope, read_sources


class Format(StrEnum):
    """How findings are listed."""

    text = "text"
    json = "json"


def check_command(
    files: Annotated[
        list[str] | None, typer.Argument(help="Reward files; - reads from stdin.")
    ] = None,
    expression: Expression = None,
    suite: Suite = None,
    column: Columns = None,
    outcome: Outcome = None,
    lines: Annotated[
        bool, typer.Option("--lines", help="Each line is a program of its own.")
    ] = False,
    limits: Annotated[
        str, typer.Option(help="Size limits: default, or wide for long files.")
    ] = "default",
    format: Annotated[Format, typer.Option("--format", help="text or json.")] = Format.text,
) -> None:
    """Check rewards: syntax, names, types, and proofs that they are finite, bounded, not constant.

    Exits 0 when no error was found, 1 when one was, 2 when an input could not be read.
    """
    if limits not in LIMITS:
        fail(f"unknown limits {limits!r}; one of {', '.join(LIMITS)}")
    scope = read_scope(suite, column, outcome)
    sources = read_sources(files or [], expression, lines)
    try:
        found = [check_source(source, scope, LIMITS[limits]) for source in sources]
    except OutcomeError as error:
        fail(str(error))
    if format is Format.json:
        typer.echo(json.dumps({"files": [_record(c) for c in found]}, ensure_ascii=False))
    else:
        _print(found)
    raise typer.Exit(0 if all(c.ok for c in found) else 1)


def _record(checked: Checked) -> dict[str, Any]:
    certificate = checked.certificate
    return {
        "path": checked.source.path,
        "ok": checked.ok,
        "diagnostics": [d.to_json() for d in checked.diagnostics],
        "certificate": certificate.to_json() if certificate is not None else None,
    }


def _print(found: list[Checked]) -> None:
    for checked in found:
        if checked.diagnostics:
            typer.echo(render(checked.diagnostics, checked.source) + "\n")
        if checked.ok and len(found) == 1:
            typer.echo(f"{checked.source.path}: ok, {_summary(checked)}")
    errors = sum(d.severity == "error" for c in found for d in c.diagnostics)
    warnings = sum(d.severity == "warning" for c in found for d in c.diagnostics)
    if len(found) > 1 or errors:
        good = sum(c.ok for c in found)
        typer.echo(
            f"{_count(len(found), 'program')} checked: {good} ok, "
            f"{_count(errors, 'error')}, {_count(warnings, 'warning')}"
        )


def _summary(checked: Checked) -> str:
    certificate = checked.certificate
    assert certificate is not None
    told = {True: "never falls", False: "can fall", None: "not known to fall or rise"}
    said = [f"finite, between {certificate.lo:.6g} and {certificate.hi:.6g}"]
    if checked.outcome is not None:
        said.append(f"{told[certificate.outcome_monotone]} when the outcome rises")
    if certificate.margin is not None:
        said.append(f"margin between right and wrong {certificate.margin:.6g}")
    if certificate.vetoes:
        said.append(f"vetoed by {', '.join(certificate.vetoes)}")
    return "; ".join(said)


def _count(count: int, word: str) -> str:
    return f"{count} {word}" + ("" if count == 1 else "s")
