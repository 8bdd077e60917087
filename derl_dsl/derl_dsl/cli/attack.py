"""`derl-dsl attack`: completions that are wrong and paid like right ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from derl_dsl.cli.inputs import (
    AsFormat,
    Columns,
    Expression,
    Format,
    OneReward,
    Outcome,
    Suite,
    fail,
    one_source,
    read_settings,
    show_json,
    show_no_logs,
)
from derl_dsl.cli.rows import MaybeData, finish, mistakes, open_rows
from derl_dsl.score.reward import compile
from derl_dsl.tools.attack import Attack, Hit, attack
from derl_dsl.tools.attack.logged import logged_problems
from derl_dsl.tools.audit.context import likely_group
from derl_dsl.tools.console import Console
from derl_dsl.tools.evaluate.sampling import some_groups
from derl_grammar.limits import WIDE
from derl_runtime.data import Rollouts
from derl_runtime.faults import capped
from derl_runtime.files import write_whole

_SHOWN = 12
_MOST_ROWS = 30_000


def attack_command(
    reward: OneReward = None,
    expression: Expression = None,
    suite: Suite = None,
    column: Columns = None,
    outcome: Outcome = None,
    data: MaybeData = None,
    write: Annotated[
        bool, typer.Option("--write", help="Add the hits as cases to name.test.derl.")
    ] = False,
    format: AsFormat = Format.text,
) -> None:
    """Search for wrong completions that a reward pays like right ones.

    Without data the problems are built in: numbers, a fraction, a choice, a name; with data they
    are those of its rows (of more than 30,000, so many in whole groups).

    Exits 0 when nothing was found, 1 when something was or the reward has errors, 2 when an input
    could not be read.
    """
    show_no_logs()
    source = one_source(reward, expression)
    if write and (reward is None or reward == "-"):
        fail("--write needs a reward file: its cases go beside it")
    given = read_settings(source, suite, column, outcome)
    rows = None if data is None else open_rows(data)
    with mistakes(rows, [source], format):
        compiled = compile(source.text, given.suite, given.columns, given.outcome, limits=WIDE)
        found = attack(compiled, () if rows is None else logged_problems(compiled, _kept(rows)))
    if format is Format.json:
        show_json("attack", asdict(found))
    else:
        _print(found)
    if write and found.hits:
        _write(Path(source.path), found.hits)
    finish(rows, 1 if found.hits else 0)


def _kept(rows: Rollouts) -> dict[str, Any]:
    """The rows to take problems from: all, or whole groups of them."""
    group = likely_group(rows) if rows.rows > _MOST_ROWS else None
    return some_groups(rows, None if group is None else rows.keys(group).codes(), _MOST_ROWS)


def _print(found: Attack) -> None:
    console = Console(highlight=False, markup=False, soft_wrap=True)
    with console.capture() as shown:
        if found.hits:
            table = Table("family", "paid", "above right", "with", "completion")
            for hit in found.hits[:_SHOWN]:
                added = ", ".join(hit.decorations) or "nothing added"
                table.add_row(
                    hit.family, f"{hit.reward:.4g}", f"{hit.above_right:+.4g}", capped(added, 40),
                    capped(hit.completion, 60),
                )  # fmt: skip
            console.print(table, soft_wrap=False)
        board = Table("lazy strategy", "earns", "right answers earn")
        for row in found.scoreboard:
            board.add_row(row.strategy, f"{row.mean:.4g}", f"{row.right:.4g}")
        console.print(board, soft_wrap=False)
    typer.echo(shown.get(), nl=False)
    more = f" ({_SHOWN} shown)" if len(found.hits) > _SHOWN else ""
    said = f"{len(found.hits)} wrong completions are paid like right ones{more}"
    typer.echo(f"{said if found.hits else 'nothing found'}; {found.tried:,} texts tried")
    if found.told < found.problems:
        typer.echo(
            f"{found.problems - found.told} of {found.problems} problems say nothing: there the "
            "reward pays an honest right answer no more than an honest wrong one"
        )


def _write(path: Path, hits: Sequence[Hit]) -> None:
    """Cases that fail until the reward is fixed: the hit is to be paid less than a right answer."""
    file = path.with_name(f"{path.name.removesuffix('.derl')}.test.derl")
    before = file.read_text("utf-8") if file.exists() else ""
    cases = []
    for hit in hits:
        row = {"completion": hit.completion, "answer": hit.problem.gold}
        least = hit.reward - hit.above_right
        text = ", ".join(f"{name} = {_toml(value)}" for name, value in row.items())
        name = f"attack: {hit.family}, {hit.problem.gold}"
        case = f"[[case]]\nname = {_toml(name)}\nrow = {{ {text} }}\n"
        case += f"reward = {{ max = {least - 1e-6 * max(1.0, abs(least))!r} }}\n"
        if _toml(hit.completion) not in before:
            cases.append(case)
    try:
        write_whole(file, "\n".join([before, *cases] if before else cases))
    except OSError as error:
        fail(f"cannot write {file}: {error.strerror}")
    typer.echo(f"wrote {len(cases)} cases to {file}")


def _toml(value: Any) -> str:
    """A text as TOML writes it, which is as JSON does but for what JSON leaves raw."""
    return json.dumps(str(value), ensure_ascii=True).replace("\\/", "/").replace("\x7f", "\\u007f")
