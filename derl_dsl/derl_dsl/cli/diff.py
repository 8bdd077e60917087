"""`derl-dsl diff`: whether two rewards rank alike, by proof or by a counterexample."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from derl_dsl.cli.inputs import (
    AsFormat,
    Columns,
    Format,
    Suite,
    fail,
    read_settings,
    read_sources,
    show_json,
    show_no_logs,
)
from derl_dsl.cli.rows import GroupColumn, MaybeData, finish, mistakes, open_rows, show_errors
from derl_dsl.score.reward import Reward, RewardError, compile
from derl_dsl.tools.audit.context import likely_group
from derl_dsl.tools.diff import Difference, Group, OnData, diff, on_data
from derl_dsl.tools.evaluate.evaluation import Evaluation, Question, evaluate, group_of
from derl_grammar.limits import WIDE
from derl_grammar.spans import Source
from derl_runtime.data import Rollouts
from derl_runtime.reading import ColumnError

_SAID = {
    "same": "same: equal up to a*R + b, a > 0, so group-normalised training cannot tell them apart",
    "same order": "same ranking in every group, proven on all input values; rewards differ in size",
    "different": "different: they rank this group differently",
    "undecided": "not decided: no proof, and no difference found",
}


def diff_command(
    rewards: Annotated[list[str] | None, typer.Argument(help="Two reward files.")] = None,
    expression: Annotated[
        list[str] | None, typer.Option("--expression", "-e", help="A reward as text.")
    ] = None,
    suite: Suite = None,
    column: Columns = None,
    data: MaybeData = None,
    group: GroupColumn = None,
    format: AsFormat = Format.text,
) -> None:
    """Say whether two rewards rank the rollouts of every group alike, and show where they do not.

    Exits 0 when the ranking is the same, 1 when it differs, is not decided, or a reward has errors,
    2 when an input could not be read.
    """
    show_no_logs()
    sources = read_sources(rewards or [], None) if rewards else []
    sources += [Source(text, f"<expression {k}>") for k, text in enumerate(expression or [], 1)]
    if len(sources) != 2:
        fail("name two rewards: files, or -e TEXT for each")
    a, b = (_compile(source, suite, column, format) for source in sources)
    found = diff(a, b)
    rows = None if data is None else open_rows(data)
    with mistakes(rows, sources, format):
        seen = None if rows is None else _on_data(sources, suite, column, rows, group)
    if format is Format.json:
        record = {"a": sources[0].path, "b": sources[1].path, **asdict(found)}
        show_json("diff", {**record, "data": None if seen is None else asdict(seen)})
    else:
        _print(found, seen, sources)
    same = found.verdict in ("same", "same order") and not (seen and seen.reordered)
    finish(rows, 0 if same else 1)


def _compile(source: Source, suite: Any, column: Any, format: Format) -> Reward:
    found = read_settings(source, suite, column)
    try:
        return compile(source.text, found.suite, found.columns, found.outcome, limits=WIDE)
    except RewardError as error:
        show_errors(error, source, format)
        raise typer.Exit(1) from None
    except ValueError as error:
        fail(f"{source.path}: {error}")


def _on_data(
    sources: list[Source], suite: Any, column: Any, rows: Rollouts, group: str | None
) -> OnData:
    name = group or likely_group(rows)
    if name is None:
        raise ColumnError("no column names the groups; say which with --group")
    found: list[Evaluation] = []
    for source in sources:
        given = read_settings(source, suite, column)
        question = Question(source.text, given.suite, given.columns, None, name)
        found.append(evaluate(question, rows))
    first, second = ({c.name: c.values for c in e.components} for e in found)
    shared = {n: (first[n], second[n]) for n in first if n in second and n != "reward"}
    return on_data(first["reward"], second["reward"], group_of(rows, name), shared)


def _print(found: Difference, seen: OnData | None, sources: list[Source]) -> None:
    a, b = sources
    typer.echo(f"A  {a.path}\nB  {b.path}\n")
    typer.echo(_SAID[found.verdict], nl=not found.groups)
    if found.verdict == "undecided":
        typer.echo(f" in {found.groups:,} random groups")
    elif found.groups:
        typer.echo(f" ({found.groups:,} pairs)")
    if found.group is not None:
        typer.echo(_table(found.group))
    if seen is not None:
        typer.echo(
            f"\non the data: {seen.reordered} of {seen.groups} groups ranked differently, "
            f"{seen.flipped} of {seen.rollouts} advantages change their sign"
        )
        if seen.alone:
            typer.echo(f"  {seen.alone} groups hold one rollout: there nothing is ranked")
        for name, share in sorted(seen.parts.items(), key=lambda item: -item[1]):
            typer.echo(f"  {name} differs in {share:.0%} of the rows")
        if seen.rows:
            typer.echo(f"  first rows of such groups: {', '.join(map(str, seen.rows))}")


def _table(group: Group) -> str:
    names = [*group.rollouts[0], "A", "B"]
    columns = [[row[name] for row in group.rollouts] for name in group.rollouts[0]]
    columns += [list(group.a), list(group.b)]
    shown = [[_shown(v) for v in column] for column in columns]
    wide = max(len(cell) for row in shown for cell in row)
    head = max(map(len, names))
    lines = ["\n  " + " " * head + "".join(f"  {f'#{k + 1}':>{wide}}" for k in range(len(group.a)))]
    for name, cells in zip(names, shown, strict=True):
        lines.append(f"  {name:{head}}" + "".join(f"  {cell:>{wide}}" for cell in cells))
    return "\n".join(lines)


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(f'{v:g}' for v in value)}]"
    return "n/a" if value != value else f"{value:.6g}"
