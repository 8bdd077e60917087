"""`derl-dsl attack`: completions that are wrong and paid like right ones."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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
    read_text,
    replace_file,
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
from derl_dsl.tools.testing.cases import TestFile, TestFileError, read_tests
from derl_grammar.limits import WIDE
from derl_runtime.data import Rollouts
from derl_runtime.faults import capped

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

    Exits 0 when nothing was found, 1 when something was, the reward tells nothing right from
    anything wrong, or it has errors, 2 when an input could not be read.
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
        _write(Path(source.path), found.hits, compiled.certificate.lo)
    finish(rows, 1 if found.hits or not found.told else 0)


def _kept(rows: Rollouts) -> dict[str, Any]:
    """The rows to take problems from: all, or whole groups of them."""
    group = likely_group(rows) if rows.rows > _MOST_ROWS else None
    return some_groups(rows, None if group is None else rows.keys(group).codes(), _MOST_ROWS)


def _print(found: Attack) -> None:
    console = Console(highlight=False, markup=False, soft_wrap=True)
    with console.capture() as shown:
        if found.hits:
            table = Table("family", "problems", "paid", "above right", "above wrong", "with",
                          "completion")  # fmt: skip
            count = Counter(hit.family for hit in found.hits)
            best = {hit.family: hit for hit in reversed(found.hits)}
            for family in dict.fromkeys(hit.family for hit in found.hits):
                hit = best[family]
                added = ", ".join(hit.decorations) or "nothing added"
                table.add_row(
                    family, str(count[family]), f"{hit.reward:.4g}", f"{hit.above_right:+.4g}",
                    f"{hit.above_wrong:+.4g}", capped(added, 40), capped(hit.completion, 60),
                )  # fmt: skip
            console.print(table, soft_wrap=False)
        board = Table("lazy strategy", "earns", "right answers earn")
        for row in found.scoreboard:
            board.add_row(row.strategy, f"{row.mean:.4g}", f"{row.right:.4g}")
        console.print(board, soft_wrap=False)
    typer.echo(shown.get(), nl=False)
    for line in _told(found):
        typer.echo(line)


def _told(found: Attack) -> Iterator[str]:
    """What follows the tables, a sentence each."""
    tried = f"{found.tried:,} texts tried"
    count = len(found.hits)
    if not found.told:
        yield f"in none of {found.problems} problems is a right answer paid more than a wrong one"
    elif count:
        paid = "1 wrong completion is" if count == 1 else f"{count} wrong completions are"
        yield f"{paid} paid like right ones, the best of each family shown; {tried}"
    else:
        yield f"nothing found; {tried}"
    if 0 < found.told < found.problems:
        yield (
            f"{found.problems - found.told} of {found.problems} problems say nothing: there the "
            "reward pays an honest right answer no more than an honest wrong one"
        )
    if found.held:
        yield f"not attacked, for no text here changes them: {', '.join(found.held)}"


def _write(path: Path, hits: Sequence[Hit], lowest: float) -> None:
    """Cases that fail until the reward is fixed: the hit is to be paid less than a right answer."""
    file = path.with_name(f"{path.name.removesuffix('.derl')}.test.derl")
    before = read_text(str(file)) if file.exists() else ""
    known = [case.rows[0] for case in _tests(file, before).cases]
    rows = [({"completion": h.completion, "answer": h.problem.gold, **h.rows[0]}, h) for h in hits]
    cases = [
        _case(hit, row, lowest)
        for row, hit in rows
        if not any(all(old.get(n) == v for n, v in row.items()) for old in known)
    ]
    text = "\n".join([before, *cases] if before else cases)
    _tests(file, text)
    if cases:
        replace_file(str(file), text)
    typer.echo(f"wrote {len(cases)} cases to {file}")


def _case(hit: Hit, row: Mapping[str, Any], lowest: float) -> str:
    """The case of a hit; those it was compared with stand beside it, and may be paid anything."""
    least = hit.reward - hit.above_right
    most = f"{{ max = {least - 1e-6 * max(1.0, abs(least))!r} }}"
    head = f"[[case]]\nname = {_toml(f'attack: {hit.family}, {hit.problem.gold}')}\n"
    fellows = hit.rows[1:]
    if not fellows:
        return f"{head}row = {_toml(row)}\nreward = {most}\n"
    rows = ",\n  ".join(map(_toml, [row, *fellows]))
    paid = ", ".join([most, *[f"{{ min = {lowest!r} }}"] * len(fellows)])
    return f"{head}rows = [\n  {rows},\n]\nreward = [{paid}]\n"


def _tests(file: Path, text: str) -> TestFile:
    """What a test file holds; a mistake in it ends the command before anything is written."""
    try:
        return read_tests(str(file), text)
    except TestFileError as error:
        fail(str(error))


def _toml(value: Any) -> str:
    """A value as TOML writes it; texts are as in JSON but for what JSON leaves raw."""
    if isinstance(value, Mapping):
        known = [
            (k if k.isidentifier() and k.isascii() else _toml(str(k)), v) for k, v in value.items()
        ]
        inner = (f"{k} = {_toml(v)}" for k, v in known if v is not None)
        return f"{{ {', '.join(inner)} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    return json.dumps(str(value), ensure_ascii=True).replace("\\/", "/").replace("\x7f", "\\u007f")
