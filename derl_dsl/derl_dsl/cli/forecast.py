"""`derl-dsl forecast`: dead groups, what carries the gradient, what will grow; before training."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import numpy as np
import typer
from rich.table import Table

from derl_dsl.adapters.terms import terms_of, with_terms
from derl_dsl.cli.inputs import (
    AsFormat,
    Columns,
    Expression,
    Format,
    OneReward,
    Outcome,
    Suite,
    show_json,
)
from derl_dsl.cli.rows import Data, GroupColumn, asked, finish
from derl_dsl.score.reward import Reward, compile
from derl_dsl.tools.audit.context import likely_group
from derl_dsl.tools.console import Console
from derl_dsl.tools.evaluate.evaluation import group_of
from derl_dsl.tools.evaluate.kept import Kept
from derl_dsl.tools.evaluate.scoring import score_rollouts
from derl_dsl.tools.forecast import SIZES, Forecast, forecast, smallest
from derl_grammar.limits import WIDE
from derl_grammar.types import Bool, Number, Text
from derl_runtime.data import Part, Rollouts, listed
from derl_runtime.reading import ColumnError


def forecast_command(
    data: Data,
    reward: OneReward = None,
    expression: Expression = None,
    suite: Suite = None,
    column: Columns = None,
    outcome: Outcome = None,
    group: GroupColumn = None,
    group_size: Annotated[
        int, typer.Option("--group-size", min=2, help="Rollouts a prompt in training.")
    ] = 8,
    most_dead: Annotated[
        float, typer.Option("--most-dead", min=0, max=1, help="Exit 1 above this share.")
    ] = 0.999,
    format: AsFormat = Format.text,
) -> None:
    """Forecast from logged rollouts what a reward gives GRPO to learn from.

    Exits 0, 1 when more groups than --most-dead train nothing or the reward has errors, 2 when an
    input could not be read.
    """
    with asked(data, format, reward, expression, suite, column, outcome) as (source, given, rows):
        compiled = compile(source.text, given.suite, given.columns, given.outcome, limits=WIDE)
        name = group or likely_group(rows)
        if name is None:
            raise ColumnError("no column names the groups; say which with --group")
        found = _forecast(compiled, rows, name, group_size)
    if format is Format.json:
        show_json("forecast", asdict(found))
    else:
        _print(found, compiled, most_dead)
    at = next((d for d in found.dead if d.size == group_size), None)
    finish(rows, 1 if at is not None and at.share > most_dead else 0)


def _forecast(reward: Reward, rows: Rollouts, group: str, size: int) -> Forecast:
    terms, _ = terms_of(reward)
    scorer = with_terms(reward, terms)
    codes = group_of(rows, group)
    logged = _Logged(rows, group)
    (scores,) = score_rollouts([scorer], rows, [codes], logged.names, logged.add)
    parts = {t.name: t.weight * scores.parts[f"~{k}"].whole() for k, t in enumerate(terms)}
    outcome = scores.inputs.get(reward.outcome or "")
    right = None if outcome is None else outcome.whole()
    sizes = sorted({*SIZES, size})
    if reward.uses_groups:  # its values are of the groups that were logged, and of no others
        sizes = sorted(set(np.bincount(codes).tolist()) - {1})
    values = scores.values.whole()
    return forecast(values, codes, parts, logged.varying(), right, sizes, size)


class _Logged:
    """What may drift: the completion's length, and logged numbers that vary."""

    def __init__(self, rows: Rollouts, group: str) -> None:
        rows.look(rows.names)
        kinds = {name: rows.type_of(name) for name in rows.names}
        numbers = [n for n, k in kinds.items() if isinstance(k, Number | Bool) and n != group]
        self._texts = kinds.get("completion") == Text()
        self.names = [*(["completion"] if self._texts else []), *numbers]
        self._kept = {name: Kept() for name in self.names}

    def add(self, part: Part) -> None:
        """The values of more rows."""
        for name, kept in self._kept.items():
            values = listed(part.columns[name])
            if name == "completion" and self._texts:
                values = [None if v is None else len(v) for v in values]
            kept.add(np.array([np.nan if v is None else float(v) for v in values]))

    def varying(self) -> dict[str, np.ndarray]:
        """The columns with two different values, (B,) each."""
        found = {}
        for name, kept in self._kept.items():
            values = kept.whole()
            length = name == "completion" and self._texts
            if length and not np.isnan(values).any():
                found["length of the completion"] = values
            elif not length and len(np.unique(values)) > 1:
                found[name] = values
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
