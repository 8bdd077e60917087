"""`derl-dsl forecast`: dead groups, what carries the gradient, what will grow; before training."""

from __future__ import annotations

from collections.abc import Iterator
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
    Suite,
    show_json,
)
from derl_dsl.cli.rows import Data, GroupColumn, RightOutcome, asked, finish, outcome_reward
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
    outcome: RightOutcome = None,
    group: GroupColumn = None,
    group_size: Annotated[
        int, typer.Option("--group-size", min=2, help="Rollouts a prompt in training.")
    ] = 8,
    most_dead: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Exit 1 above this share, else above 0.999; the smallest size within is said.",
        ),
    ] = None,
    format: AsFormat = Format.text,
) -> None:
    """Forecast from logged rollouts what a reward gives GRPO to learn from.

    Exits 0, 1 when more groups than --most-dead train nothing or the reward has errors, 2 when an
    input could not be read.
    """
    with asked(data, format, reward, expression, suite, column, None) as (source, given, rows):
        compiled = compile(source.text, given.suite, given.columns, given.outcome, limits=WIDE)
        name = group or likely_group(rows)
        if name is None:
            raise ColumnError("no column names the groups; say which with --group")
        judge = outcome_reward(compiled, given, outcome, rows)
        found = _forecast(compiled, judge, rows, name, group_size)
    if format is Format.json:
        show_json("forecast", asdict(found))
    else:
        _print(found, compiled, judge, 0.5 if most_dead is None else most_dead)
    at = next((d for d in found.dead if d.size == group_size), None)
    most = 0.999 if most_dead is None else most_dead
    finish(rows, 0 if at is None or at.share <= most else 1)


def _forecast(
    reward: Reward, judge: Reward | None, rows: Rollouts, group: str, size: int
) -> Forecast:
    terms, _ = terms_of(reward)
    scorer = with_terms(reward, terms)
    codes = group_of(rows, group)
    logged = _Logged(rows, group)
    both = [scorer, *([] if judge is None else [judge])]
    scores, *told = score_rollouts(both, rows, [codes] * len(both), logged.names, logged.add)
    parts = {t.name: t.weight * scores.parts[f"~{k}"].whole() for k, t in enumerate(terms)}
    outcome = told[0].values if told else scores.inputs.get(reward.outcome or "")
    right = None if outcome is None else outcome.whole()
    sizes = sorted({*SIZES, size})
    if reward.uses_groups:  # its values are of the groups that were logged, and of no others
        sizes, right = sorted(set(np.bincount(codes).tolist()) - {1}), None
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
            if len(np.unique(values[~np.isnan(values)])) > 1:
                length = name == "completion" and self._texts
                found["length of the completion" if length else name] = values
        return found


def _print(found: Forecast, reward: Reward, judge: Reward | None, most: float) -> None:
    lost = f"; {found.unpaid} others have no reward and are left out" if found.unpaid else ""
    typer.echo(f"{found.rollouts} rollouts of {found.prompts} prompts{lost}\n")
    if found.single:
        why = "each prompt has one rollout" if found.rollouts else "no rollout has a reward"
        typer.echo(f"{why}: dead groups, gradient and drift cannot be known")
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
    for line in _told(found, reward, judge, most):
        typer.echo(line)


def _told(found: Forecast, reward: Reward, judge: Reward | None, most: float) -> Iterator[str]:
    """What follows the tables, a sentence each."""
    if reward.uses_groups:
        yield "the reward has group functions: other sizes, and what comes later, are not known"
    elif judge is None and reward.outcome is None:
        yield "no outcome is known: name it with --outcome to see what more right answers change"
    for rate, share in found.later:
        once = f"dead groups once {rate:.0%} of the answers are right"
        if share is not None:
            yield f"{once}: at most {share:.1%}"
        else:
            yield f"{once}: not known, of too many prompts no right rollout was logged"
    least = smallest(found.dead, most)
    none = "none of these" if least is None else least
    yield f"smallest size with at most {most:.0%} of the groups dead: {none}"
