"""`derl-dsl transfer`: what a finished search is worth on another task or policy."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from rich.table import Table

from derl_dsl.tools.console import Console
from derl_trainers.cli.compare import News, signed
from derl_trainers.cli.shared import (
    RUNS,
    check_extras,
    check_task,
    ended_as_by_ctrl_c,
    fail,
    run_folder,
)
from derl_trainers.outer.compare import check_same, estimate, outcome, run_all
from derl_trainers.outer.inherit import BEST, best
from derl_trainers.outer.transfer import ARMS, Reached, arms, reached, write_config
from derl_trainers.reading import ConfigError
from derl_trainers.runs.store import StoreError
from derl_trainers.runs.view import WIDTH, plain_table
from derl_trainers.settings.run import load_config
from derl_trainers.settings.train import parse_set


def transfer_command(
    run: Annotated[Path, typer.Argument(help="A finished run of meta-train, by folder or name.")],
    task: Annotated[
        str | None, typer.Option(help="The target's task; else that of the run.")
    ] = None,
    policy: Annotated[
        str | None, typer.Option(help="The target's policy; else that of the run.")
    ] = None,
    config: Annotated[
        str | None, typer.Option(help="A config of the target, instead of the run's own settings.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Start policies.")] = 4,
    first_seed: Annotated[int, typer.Option(min=0, help="Seed of the first one.")] = 0,
    formulas: Annotated[
        int, typer.Option(min=1, help="Formulas of the run that are tried.")
    ] = BEST,
    to: Annotated[
        Path | None, typer.Option("--dir", help="Folder; one that exists is gone on with.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any setting of the target: section.key=value."),
    ] = None,
) -> None:
    """Pay for a level on a new target: trained meta-optimizer, cold-started one, old formulas.

    The level is the target's score of the run's best formula. Nothing is trained but policies.
    """
    named = {"task.name": task, "policy.model": policy}
    flags = [f"{key}={value}" for key, value in named.items() if value is not None]
    flags += set_ or []
    source = run_folder(run)
    folder = to or RUNS / f"transfer-{source.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    try:
        todo = arms(source, folder, range(first_seed, first_seed + seeds), formulas)
        target = config or write_config(source, folder)
        settings = load_config(target, dict(map(parse_set, flags)))
        check_same(todo, target, flags)
    except (ConfigError, StoreError) as error:
        fail(str(error))
    check_extras("transfer")
    check_task(settings)
    console = Console(markup=True, width=None if sys.stdout.isatty() else WIDTH)
    console.print(f"[bold]transfer of {source.name}[/]  {seeds} start policies in {folder}",
                  highlight=False)  # fmt: skip
    try:
        with ended_as_by_ctrl_c(), News(console, settings.meta.steps) as news:
            run_all(todo, target, flags, 1, news)
    except KeyboardInterrupt:
        typer.echo(f"derl-dsl: interrupted; go on with it: --dir {folder}", err=True)
        raise typer.Exit(130) from None
    done = [(search, outcome(search)) for search in todo]
    found = [(s.folder.name.rpartition("-")[0], o) for s, o in done if o is not None]
    rows = reached(found, best(source, 1)[0])
    if not rows:
        fail(f"no start policy has all arms; see {todo[0].log}")
    console.print()
    console.print(transfer_table(rows))
    if len(found) < len(todo):
        raise typer.Exit(1)


def transfer_table(rows: Sequence[Reached]) -> Table:
    """What each arm paid for the level, and its best score on the way."""
    policies = len({row.seed for row in rows})
    level = sum(row.level for row in rows) / len(rows)
    table = plain_table(
        f"Paid until the best score reached that of the run's best formula ({level:.3f}), "
        f"{policies} start policies, 95 % t-intervals"
    )
    table.add_column("proposer", no_wrap=True, ratio=1)
    for name in ("reached", "runs", "tokens", "seconds", "area", "vs cold", "valid"):
        table.add_column(name, justify="right", no_wrap=True)
    base = {row.seed: row for row in rows if row.arm == "cold"}
    for arm in ARMS:
        own = [row for row in rows if row.arm == arm]
        paid = [row.paid for row in own if row.paid is not None]
        versus = None
        if arm != "cold":
            versus = estimate([row.area - base[row.seed].area for row in own])
        costs = (
            (f"{median(p.runs for p in paid):.0f}", f"{median(p.tokens for p in paid):,.0f}",
             f"{median(p.seconds for p in paid):,.0f}") if paid else ("-", "-", "-")
        )  # fmt: skip
        table.add_row(
            arm, f"{len(paid)} of {len(own)}", *costs,
            f"{sum(row.area for row in own) / len(own):.3f}", signed(versus),
            f"{sum(row.valid for row in own) / len(own):.0%}",
        )  # fmt: skip
    return table
