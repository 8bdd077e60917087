"""`derl-dsl forecast`: dead groups, what carries the gradient, what will grow; before training."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.table import Table

from derl_dsl.adapters.terms import terms_of, with_terms
from derl_dsl.cli.inputs import (
    Columns,
    Expression,
    Outcome,
    Suite,
    fail,
    read_settings,
    read_sources,
    say,
    show_no_logs,
)
from derl_dsl.cli.rows import Format, show_errors
from derl_dsl.score.reward import Reward, RewardError, columns_of, compile
from derl_dsl.tools.audit.context import likely_group
from derl_dsl.tools.console import Console
from derl_dsl.tools.evaluate.summary import group_codes
from derl_dsl.tools.forecast import SIZES, Forecast, forecast, smallest
from derl_grammar.limits import WIDE
from derl_runtime.data import DataError, read_logs
from derl_runtime.reading import ColumnError

Rows = dict[str, list[object]]


def forecast_command(
    data: Annotated[Path, typer.Option(help="Logged rollouts, several a prompt.")],
    reward: Annotated[str | None, typer.Argument(help="Reward file; - reads from stdin.")] = None,
    expression: Expression = None,
    suite: Suite = None,
    column: Columns = None,
    outcome: Outcome = None,
    group: Annotated[
        str | None, typer.Option(help="Column that names the group (the prompt) of a row.")
    ] = None,
    group_size: Annotated[
        int, typer.Option("--group-size", min=2, help="Rollouts a prompt in training.")
    ] = 8,
    most_dead: Annotated[
        float, typer.Option("--most-dead", min=0, max=1, help="Exit 1 above this share.")
    ] = 0.999,
    format: Annotated[Format, typer.Option("--format", help="text or json.")] = Format.text,
) -> None:
    """Forecast from logged rollouts what a reward gives GRPO to learn from.

    Exits 0, 1 when more groups than --most-dead train nothing or the reward has errors, 2 when an
    input could not be read.
    """
    show_no_logs()
    if (reward is None) == (expression is None):
        fail("give the reward either as a file or with -e TEXT")
    (source,) = read_sources([] if reward is None else [reward], expression)
    given = read_settings(source, suite, column, outcome)
    try:
        compiled = compile(source.text, given.suite, given.columns, given.outcome, limits=WIDE)
        rows = read_logs(data, say)
        name = group or likely_group(rows)
        if name is None:
            fail(f"{data}: no column names the groups; say which with --group")
        if name not in rows:
            fail(f"{data}: no column {name!r}; it has: {', '.join(rows)}")
        found = _forecast(compiled, rows, name, group_size)
    except RewardError as error:
        show_errors(error, source, format)
        raise typer.Exit(1) from None
    except ColumnError as error:
        fail(f"{data}: {error}")
    except (DataError, ValueError) as error:
        fail(str(error))
    if format is Format.json:
        typer.echo(json.dumps(asdict(found)))
    else:
        _print(found, compiled, most_dead)
    at = next((d for d in found.dead if d.size == group_size), None)
    raise typer.Exit(1 if at is not None and at.share > most_dead else 0)


def _forecast(reward: Reward, rows: Rows, group: str, size: int) -> Forecast:
    terms, _ = terms_of(reward)
    scorer = with_terms(reward, terms)
    needed = {n: rows[n] for n in columns_of(reward) if n in rows}
    scores = scorer.score({**needed, group: rows[group]}, group=group)
    parts = {t.name: t.weight * scores.parts[f"~{k}"] for k, t in enumerate(terms)}
    codes = np.asarray(group_codes(rows[group]))
    outcome = scores.inputs.get(reward.outcome or "")
    sizes = sorted({*SIZES, size})
    if reward.uses_groups:  # its values are of the groups that were logged, and of no others
        sizes = sorted(set(np.bincount(codes).tolist()) - {1})
    return forecast(scores.values, codes, parts, _columns(rows, group), outcome, sizes, size)


def _columns(rows: Rows, group: str) -> dict[str, np.ndarray]:
    """What may drift: the completion's length, and logged numbers that vary."""
    found = {}
    texts = rows.get("completion", ())
    if texts and all(isinstance(t, str) for t in texts):
        found["length of the completion"] = np.array([float(len(str(t))) for t in texts])
    for name, values in rows.items():
        plain = all(v is None or isinstance(v, (int, float)) for v in values)
        if name != group and plain and len(set(values)) > 1:
            found[name] = np.array([np.nan if v is None else float(v) for v in values])  # type: ignore[arg-type]
    return found


def _print(found: Forecast, reward: Reward, most: float) -> None:
    typer.echo(f"{found.rollouts} rollouts of {found.prompts} prompts\n")
    if found.single:
        typer.echo("each prompt has one rollout: dead groups, gradient and drift cannot be known")
        return
    console = Console(highlight=False, markup=False, soft_wrap=True)
    with console.capture() as shown:
        table = Table("rollouts a prompt", "dead groups", "95 % interval", "")
        for d in found.dead:
            note = "" if d.exact else "drawn again: fewer were logged"
            table.add_row(str(d.size), f"{d.share:.1%}", f"{d.low:.1%} to {d.high:.1%}", note)
        console.print(table, soft_wrap=False)
        table = Table("term", "share of the gradient", "cancels")
        for c in found.carried:
            table.add_row(c.term, f"{c.share:+.0%}", c.against or "")
        console.print(table, soft_wrap=False)
        table = Table("column", "will", "correlation", "95 % interval")
        for one in found.drift:
            moves = "grow" if one.low > 0 else "fall" if one.high < 0 else "not known"
            span = f"{one.low:+.2f} to {one.high:+.2f}"
            table.add_row(one.column, moves, f"{one.correlation:+.2f}", span)
        console.print(table, soft_wrap=False)
    typer.echo(shown.get(), nl=False)
    typer.echo(f"effective share of the rollouts: {found.effective:.0%}")
    if reward.uses_groups:
        typer.echo("the reward has group functions: other sizes than the logged are not known")
    for rate, share in found.later:
        typer.echo(f"dead groups once {rate:.0%} of the answers are right: at most {share:.1%}")
    least = smallest(found.dead, 0.5)
    if least is not None:
        typer.echo(f"smallest size with at most half of the groups dead: {least}")
