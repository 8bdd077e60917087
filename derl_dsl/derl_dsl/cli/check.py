"""`derl-dsl check`: what is wrong with a reward, before a run finds out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from derl_dsl.checker import OutcomeError, check_source
from derl_dsl.cli.formats import Format, github, sarif
from derl_dsl.cli.inputs import (
    Columns,
    Expression,
    Outcome,
    Suite,
    by_line,
    fail,
    read_settings,
    read_sources,
    say,
)
from derl_dsl.prove.checked import Checked
from derl_dsl.tools.project import Settings
from derl_grammar.diagnostics import render
from derl_grammar.spans import Source


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
    data: Annotated[
        Path | None, typer.Option(help="Also check that these rows have what the rewards need.")
    ] = None,
    limits: Annotated[
        str | None, typer.Option(help="Size limits: default, or wide for long files.")
    ] = None,
    format: Annotated[
        Format, typer.Option("--format", help="text, json, github or sarif.")
    ] = Format.text,
) -> None:
    """Check rewards: syntax, names, types, and proofs that they are finite, bounded, not constant.

    Exits 0 when no error was found, 1 when one was, 2 when an input could not be read.
    """
    found = []
    for whole in read_sources(files or [], expression):
        settings = read_settings(whole, suite, column, outcome, limits)
        found += [_checked(source, settings) for source in (by_line(whole) if lines else [whole])]
    if data is not None:
        found = _on_data(found, data)
    _show(found, format)
    raise typer.Exit(0 if all(c.ok for c in found) else 1)


def _checked(source: Source, settings: Settings) -> Checked:
    try:
        checked = check_source(source, settings.scope(), settings.sizes)
    except OutcomeError as error:
        fail(f"{source.path}: {error}")
    return replace(checked, diagnostics=settings.shown(checked.diagnostics))


def _on_data(found: list[Checked], data: Path) -> list[Checked]:
    """The programs with what the rows of a data file lack added to their diagnostics."""
    from derl_dsl.tools.audit.faults import check_data
    from derl_runtime.data import DataError, read_logs
    from derl_runtime.reading import ColumnError

    try:
        rows = read_logs(data, say)
        return [check_data(checked, rows) for checked in found]
    except DataError as error:
        fail(str(error))
    except ColumnError as error:
        fail(f"{data}: {error}")


def _show(found: list[Checked], format: Format) -> None:
    findings = [(c.source, c.diagnostics) for c in found]
    match format:
        case Format.text:
            _print(found)
        case Format.json:
            typer.echo(json.dumps({"files": [_record(c) for c in found]}, ensure_ascii=False))
        case Format.github:
            typer.echo(github(findings), nl=any(diagnostics for _, diagnostics in findings))
        case Format.sarif:
            typer.echo(json.dumps(sarif(findings), ensure_ascii=False, indent=2))


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
