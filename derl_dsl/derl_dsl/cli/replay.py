"""`derl-dsl replay`: the rollouts that a run stored, scored with other rewards."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.table import Table

from derl_dsl.cli.inputs import (
    AsFormat,
    Columns,
    Format,
    Suite,
    fail,
    read_settings,
    read_sources,
    say,
    show_json,
    show_no_logs,
)
from derl_dsl.cli.rows import GroupColumn, RightOutcome, outcome_reward, show_errors, whole_rows
from derl_dsl.score.reward import Reward, RewardError, compile
from derl_dsl.tools.audit.context import likely_group
from derl_dsl.tools.console import Console
from derl_dsl.tools.evaluate.evaluation import finite
from derl_dsl.tools.evaluate.scoring import read_by
from derl_dsl.tools.evaluate.summary import group_codes
from derl_dsl.tools.replay import Replay, Scored, page_of, replay, told
from derl_grammar.limits import WIDE
from derl_grammar.spans import Source
from derl_runtime.batch import Batch
from derl_runtime.data import DataError
from derl_runtime.files import write_whole
from derl_runtime.reading import ColumnError, Whole

_SHOWN = 12
# Where our own runs and TRL's have their rollouts.
_KEPT = ("rollouts", "completions")


def replay_command(
    run: Annotated[Path, typer.Option(help="Dumped rollouts with steps: a file, or a folder.")],
    rewards: Annotated[list[str] | None, typer.Argument(help="Reward files.")] = None,
    expression: Annotated[
        list[str] | None, typer.Option("--expression", "-e", help="A reward as text.")
    ] = None,
    suite: Suite = None,
    column: Columns = None,
    outcome: RightOutcome = None,
    group: GroupColumn = None,
    html: Annotated[
        Path | None,
        typer.Option(help="Write a page: curves, rollouts with what earned them marked."),
    ] = None,
    format: AsFormat = Format.text,
) -> None:
    """Score the stored rollouts of a run again and show each reward over the steps.

    Reads what TRL (log_completions) and verl (rollout_data_dir) dump, and what `train` keeps; of a
    run's folder its `rollouts` or `completions`. The rows of a run are held whole.

    Exits 0, 1 when a reward rises where the outcome does not or has errors, 2 when an input could
    not be read.
    """
    show_no_logs()
    sources = read_sources(rewards or [], None) if rewards else []
    sources += [Source(text, f"-e #{k}") for k, text in enumerate(expression or [], 1)]
    if not sources:
        fail("name reward files, or give rewards with -e TEXT")
    run = next((run / kept for kept in _KEPT if (run / kept).is_dir()), run)
    try:
        rows = whole_rows([str(run)])
        steps = _steps(run, rows)
        settings = (suite, column, outcome)
        found, scored, codes, right = _replay(sources, rows, steps, group, settings, format)
        if html is not None:
            _write(html, page_of(found, scored, rows, steps, codes, right, str(run)))
    except ColumnError as error:
        fail(f"{run}: {error}")
    except (DataError, ValueError) as error:
        fail(str(error))
    if format is Format.json:
        show_json("replay", finite(asdict(found)))
    else:
        _print(found)
    raise typer.Exit(1 if any(s is not None for s in found.onset.values()) else 0)


def _steps(run: Path, rows: dict[str, list[Any]]) -> list[int]:
    if "step" not in rows:
        fail(f"{run}: no column says the step; it has: {', '.join(rows)}")
    try:
        return [int(step) for step in rows["step"]]
    except (TypeError, ValueError):
        fail(f"{run}: the column 'step' holds what is no whole number")


def _replay(
    sources: list[Source], rows: dict[str, list[Any]], steps: list[int], group: str | None,
    settings: tuple[Any, Any, Any], format: Format,
) -> tuple[Replay, list[Scored], NDArray[np.int64], NDArray[np.float64] | None]:  # fmt: skip
    name = group or likely_group(rows) or ("prompt" if "prompt" in rows else None)
    if name is not None and name not in rows:
        raise ColumnError(f"the column {name!r} is missing; the data has: {', '.join(rows)}")
    keys = [f"{s}\0{k}" for s, k in zip(steps, rows[name] if name else steps, strict=True)]
    codes = np.asarray(group_codes(keys))
    rewards: list[Reward] = []
    judge: Reward | None = None
    suite, column, outcome = settings
    for source in sources:
        given = read_settings(source, suite, column)
        try:
            reward = compile(source.text, given.suite, given.columns, given.outcome, limits=WIDE)
        except RewardError as error:
            show_errors(error, source, format)
            raise typer.Exit(1) from None
        rewards.append(reward)
        # A reward that reads its outcome says it; else the first suite that knows one.
        judge = judge or outcome_reward(reward, given, outcome, rows)
    # One batch for all: a column is read once and a primitive computed once, whoever names it.
    needed = {n for reward in [*rewards, *([judge] if judge else [])] for n in read_by(reward)}
    batch = Batch({n: rows[n] for n in rows if n in needed}, len(keys), of=Whole(rows))
    order = np.argsort(codes, kind="stable")
    starts = np.append(np.flatnonzero(np.diff(codes[order], prepend=-1)), len(codes))
    scored: list[Scored] = []
    right = None
    for name, reward in zip(_names(sources), rewards, strict=True):
        scores = reward.score_batch(batch, starts, order)
        own = [fault for fault in scores.faults if reward.concerns(fault)]
        scored.append(Scored(name, reward, replace(scores, faults=own)))
        right = scores.inputs.get(reward.outcome or "") if right is None else right
    if judge is not None and (right is None or outcome is not None):
        right = judge.score_batch(batch, starts, order).values
    if right is not None and np.isnan(right).all():
        right = None
    values = {one.name: one.scores.values for one in scored}
    ends = {one.name: one.reward.certificate for one in scored}
    spreads = {name: c.hi - c.lo for name, c in ends.items() if np.isfinite(c.hi - c.lo)}
    return replay(values, steps, codes, right, spreads), scored, codes, right


def _names(sources: list[Source]) -> list[str]:
    """The rewards' paths; the same one twice is told apart."""
    paths = [source.path for source in sources]
    again = [paths[:k].count(path) + 1 for k, path in enumerate(paths)]
    return [path if k == 1 else f"{path} #{k}" for path, k in zip(paths, again, strict=True)]


def _write(path: Path, text: str) -> None:
    try:
        write_whole(path, text)
    except OSError as error:
        fail(f"cannot write {path}: {error.strerror}")
    say(f"wrote {path}")


def _print(found: Replay) -> None:
    console = Console(highlight=False, markup=False, soft_wrap=True)
    names = [c.name for c in found.curves]
    columns = [*found.curves, *([found.outcome] if found.outcome else [])]
    table = Table("step", *names, *(["outcome"] if found.outcome else []))
    stride = max(1, len(found.steps) // _SHOWN)
    for k in range(0, len(found.steps), stride):
        table.add_row(str(found.steps[k]), *(f"{c.means[k]:.4g}" for c in columns))
    with console.capture() as shown:
        console.print(table, soft_wrap=False)
    typer.echo(f"{found.rollouts} rollouts of {len(found.steps)} steps")
    typer.echo(shown.get(), nl=False)
    for line in told(found):
        typer.echo(line)
