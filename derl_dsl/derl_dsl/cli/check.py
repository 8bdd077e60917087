"""`derl-dsl check`: what is wrong with a reward, before a run finds out."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Annotated

import typer

from derl_dsl.cli.budget import within
from derl_dsl.cli.checking import Finding, Flags, More, check_file, check_text
from derl_dsl.cli.formats import Format, github, github_problem, sarif
from derl_dsl.cli.inputs import Columns, Expression, Outcome, Suite, fail, say, show_json
from derl_dsl.cli.terminal import plain
from derl_grammar.diagnostics import render
from derl_grammar.spans import Source
from derl_primitives.costs import LONGEST

# So many files are checked before anything more is loaded.
_FEW = 100


def check_command(
    files: Annotated[
        list[str] | None,
        typer.Argument(help="Reward files, and folders with all below them; - reads from stdin."),
    ] = None,
    expression: Expression = None,
    suite: Suite = None,
    column: Columns = None,
    outcome: Outcome = None,
    lines: Annotated[
        bool, typer.Option("--lines", help="Each line is a program of its own.")
    ] = False,
    fix: Annotated[
        bool,
        typer.Option("--fix", help="Make the fixes that are proven to leave the reward as it is."),
    ] = False,
    watched: Annotated[
        bool, typer.Option("--watch", help="Check again whatever is saved, until Ctrl-C.")
    ] = False,
    data: Annotated[
        Path | None, typer.Option(help="Also check that these rows have what the rewards need.")
    ] = None,
    limits: Annotated[
        str | None, typer.Option(help="Size limits: default, or wide for long files.")
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="The most one rollout may be proven to take, such as 5ms.")
    ] = None,
    longest: Annotated[
        int, typer.Option(min=1, help="Characters of the longest text, for --budget.")
    ] = LONGEST,
    format: Annotated[
        Format, typer.Option("--format", help="text, json, github or sarif.")
    ] = Format.text,
) -> None:
    """Check rewards: syntax, names, types, and proofs that they are finite, bounded, not constant.

    Of a folder all .derl files are checked, but for tests and what .gitignore leaves out.

    Exits 0 when no error was found, 1 when one was, 2 when an input could not be read; the others
    are checked all the same.
    """
    names = files or []
    flags = Flags(suite, tuple(column or ()), outcome, limits, lines, fix)
    _refuse(names, expression, flags, watched, data, format)
    more = _more(data, budget, longest)
    found = _of_files(flags, names, watched, more)
    if expression is not None:
        found += check_text(flags, Source(expression, "<expression>"), more)
    _show(found, format)
    unread = any(one.problem is not None for one in found)
    raise typer.Exit(2 if unread else 0 if all(one.ok for one in found) else 1)


def _more(data: Path | None, budget: str | None, longest: int) -> More | None:
    """What else is asked of a program: to fit some rows, to keep to a time."""
    asked: list[More] = []
    if data is not None:
        from derl_dsl.cli.against import against

        asked.append(against(data))
    if budget is not None:
        asked.append(within(budget, longest))
    return (lambda checked: reduce(lambda one, more: more(one), asked, checked)) if asked else None


def _of_files(
    flags: Flags, names: Sequence[str], watched: bool, more: More | None
) -> list[Finding]:
    """What is found in files and folders; a few plain files need no help."""
    if not watched and not any(map(os.path.isdir, names)) and len(names) < _FEW:
        files = [name for name in dict.fromkeys(names) if not name.endswith(".test.derl")]
        return [found for name in files for found in check_file(flags, name, more)]
    from derl_dsl.cli.folders import check_files, expand, watch

    if watched:
        watch(flags, names, lambda found: _print(found, many=True))
    listed = list(expand(names))
    if names and not listed:
        fail(f"no reward below {', '.join(names)}; write one: derl-dsl new my_reward")
    unread = [one for one in listed if isinstance(one, Finding)]
    return unread + check_files(flags, [one for one in listed if isinstance(one, str)], more)


def _refuse(
    names: Sequence[str],
    expression: str | None,
    flags: Flags,
    watched: bool,
    data: Path | None,
    format: Format,
) -> None:
    """End the command when what it was given does not go together."""
    if names and all(name.endswith(".test.derl") for name in names):
        fail(f"{names[0]} holds tests, no reward; run them: derl-dsl test {names[0]}")
    if not names and expression is None:
        fail("name a reward file or folder, - for standard input, or give the text with -e")
    if flags.fix and (flags.lines or expression is not None or "-" in names):
        fail("--fix writes reward files: name files or folders, without -, -e and --lines")
    if watched and (flags.fix or data is not None or expression is not None or "-" in names):
        fail("--watch checks files and folders, without -, -e, --fix and --data")
    if watched and format is not Format.text:
        fail("--watch prints text: leave --format out")


def _show(found: list[Finding], format: Format) -> None:
    read = [one for one in found if one.problem is None]
    problems = [(one.source.path, one.problem) for one in found if one.problem is not None]
    findings = [(one.source, one.diagnostics) for one in read]
    if format is not Format.github:
        for _, problem in problems:
            say(problem)
    match format:
        case Format.text:
            _print(read, many=len(found) > 1)
        case Format.json:
            record: dict[str, object] = {"files": [one.to_json() for one in read]}
            if problems:
                record["unread"] = [{"path": path, "message": why} for path, why in problems]
            show_json("check", record)
        case Format.github:
            lines = [github_problem(path, why) for path, why in problems]
            text = "\n".join(filter(None, [*lines, github(findings)]))
            typer.echo(text, file=plain(sys.stdout), nl=bool(text))
        case Format.sarif:
            unread = [why for _, why in problems]
            typer.echo(json.dumps(sarif(findings, unread), ensure_ascii=False, indent=2))


def _print(found: list[Finding], many: bool) -> None:
    for one in found:
        for made in one.fixed:
            assert made.fix is not None
            place = f"{one.source.path}:{made.line}:{made.column}"
            typer.echo(f"{place}: fixed {made.code}: {made.fix.message or made.message}")
        if one.problem is not None:
            say(one.problem)
        if one.diagnostics:
            typer.echo(render(one.diagnostics, one.source) + "\n")
        if one.ok and not many:
            typer.echo(f"{one.source.path}: ok, {_summary(one)}")
    every = [d for one in found for d in one.diagnostics]
    errors = sum(d.severity == "error" for d in every)
    warnings = sum(d.severity == "warning" for d in every)
    fixed = sum(len(one.fixed) for one in found)
    if many or errors or fixed:
        good = sum(one.ok for one in found)
        counts = [f"{good} ok", _count(errors, "error"), _count(warnings, "warning")]
        counts += [f"{fixed} fixed"] if fixed else []
        typer.echo(f"{_count(len(found), 'program')} checked: {', '.join(counts)}")


def _summary(one: Finding) -> str:
    certificate = one.certificate
    assert certificate is not None
    told = {True: "never falls", False: "can fall", None: "not known to fall or rise"}
    said = [f"finite, between {certificate.lo:.6g} and {certificate.hi:.6g}"]
    if one.outcome:
        said.append(f"{told[certificate.outcome_monotone]} when the outcome rises")
    if certificate.margin is not None:
        said.append(f"margin between right and wrong {certificate.margin:.6g}")
    if certificate.vetoes:
        said.append(f"vetoed by {', '.join(certificate.vetoes)}")
    return "; ".join(said)


def _count(count: int, word: str) -> str:
    return f"{count} {word}" + ("" if count == 1 else "s")
