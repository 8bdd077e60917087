"""`derl-dsl compare`: proposers on one budget, over seeds, and its tables."""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from derl_dsl.tools.console import Console
from derl_trainers.cli.shared import RUNS, check_extras, check_task, ended_as_by_ctrl_c, fail
from derl_trainers.outer.compare import (
    Outcome,
    Search,
    against,
    baseline_labels,
    by_proposer,
    check_same,
    estimate,
    is_variant,
    late,
    leads,
    outcome,
    paired,
    rise,
    run_all,
    searches,
    write_result,
)
from derl_trainers.outer.ledger import area
from derl_trainers.reading import ConfigError
from derl_trainers.runs.store import Store, StoreError
from derl_trainers.runs.store.comparison import BEST, OUTCOME_ONLY
from derl_trainers.runs.view import WIDTH, plain_table, short
from derl_trainers.settings.proposers import PROPOSERS
from derl_trainers.settings.run import load_config
from derl_trainers.settings.train import parse_set


def compare_command(
    config: Annotated[
        str, typer.Argument(help="A config of meta-train: a built-in name or a TOML file.")
    ] = "demo",
    proposers: Annotated[
        str,
        typer.Option(help="Proposers, with commas between them; frozen+masked decodes so."),
    ] = "grpo,frozen,evolution,graph-rl,graph-fit,prompted",
    seeds: Annotated[int, typer.Option(min=1, help="Searches of each proposer.")] = 4,
    first_seed: Annotated[int, typer.Option(min=0, help="Seed of the first search.")] = 0,
    parallel: Annotated[
        int, typer.Option(min=1, help="Searches at a time, each with its own workers.")
    ] = 1,
    to: Annotated[
        Path | None,
        typer.Option("--dir", help="Folder of the comparison; one that exists is gone on with."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any setting: section.key=value, such as meta.steps=8."),
    ] = None,
) -> None:
    """Compare what proposes rewards: trained, frozen, prompted, evolution, graph; with intervals.

    Every search has the same budget. Equal rewards are trained once for all of them.
    """
    wanted = [name.strip() for name in proposers.split(",") if name.strip()]
    unknown = [name for name in wanted if not is_variant(name)]
    if unknown or not wanted:
        kinds = ", ".join(PROPOSERS)
        fail(
            f"--proposers: unknown {', '.join(unknown) or 'nothing'}; there are {kinds}, and with "
            "masked decoding such as frozen+masked"
        )
    try:
        settings = load_config(config, dict(map(parse_set, set_ or [])))
    except ConfigError as error:
        fail(str(error))
    check_extras("compare")
    check_task(settings)
    folder = to or RUNS / f"compare-{settings.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    todo = searches(folder, wanted, range(first_seed, first_seed + seeds))
    try:
        check_same(todo, config, set_ or [])
    except StoreError as error:
        fail(str(error))
    console = Console(markup=True, width=None if sys.stdout.isatty() else WIDTH)
    console.print(
        f"[bold]compare {settings.name}[/]  {len(wanted)} proposers x {seeds} seeds in {folder}",
        highlight=False,
    )
    try:
        with ended_as_by_ctrl_c(), News(console, settings.meta.steps) as news:
            run_all(todo, config, set_ or [], parallel, news)
    except KeyboardInterrupt:
        typer.echo(f"derl-dsl: interrupted; go on with it: --dir {folder}", err=True)
        raise typer.Exit(130) from None
    found = [o for o in map(outcome, todo) if o is not None]
    if not found:
        fail(f"no search finished; see {todo[0].log}")
    path = write_result(folder, found)
    tables = (test_table(found), cost_table(found), search_table(found), learnt_table(found))
    for table in tables:
        console.print()
        console.print(table)
    said = f"figures: {path}; as a page: derl-dsl report {folder}"
    console.print(f"\n[dim]{said}[/]", highlight=False, soft_wrap=True)
    if len(found) < len(todo):
        raise typer.Exit(1)


class News:
    """What goes on: a bar for each search that runs, a line for each that ended."""

    def __init__(self, console: Console, steps: int) -> None:
        self.console = console
        self.steps = steps
        self.known: dict[Any, str] = {}
        self.bars: dict[Any, Any] = {}
        self.progress = Progress(
            TextColumn("{task.description:<24}"),
            BarColumn(bar_width=24),
            TextColumn("outer step {task.completed:.0f}/{task.total:.0f}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> News:
        self.progress.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.progress.stop()

    def __call__(self, states: Mapping[Search, str]) -> None:
        """All states as they are now."""
        for search, state in states.items():
            if state == "running":
                self._move(search)
            if self.known.get(search) == state or state in ("waiting", "running"):
                continue
            self.known[search] = state
            if search in self.bars:
                self.progress.remove_task(self.bars.pop(search))
            which = f"{len(self.known)}/{len(states)}  {search.proposer} seed {search.seed}"
            line = f"  {which}: {_ended(search, state)}"
            self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    def _move(self, search: Search) -> None:
        if not self.console.is_terminal:
            return
        if search not in self.bars:
            name = f"{search.proposer} seed {search.seed}"
            self.bars[search] = self.progress.add_task(name, total=self.steps)
        # It is just being made.
        with suppress(StoreError, sqlite3.Error), closing(Store.open(search.folder)) as store:
            self.progress.update(self.bars[search], completed=store.steps_scored())


def _ended(search: Search, state: str) -> str:
    if state == "failed":
        lines = search.log.read_text("utf-8", "replace").strip().splitlines()
        return f"failed: {lines[-1] if lines else 'no message'} ({search.log})"
    found = outcome(search)
    if found is None or found.best_formula is None:
        return "finished without a usable formula"
    return f"best {short(found.best_formula, 40)}, validation {found.validation:.3f}"


def test_table(found: Sequence[Outcome]) -> Table:
    """Test pass@1 of each proposer's best formulas, and of the baselines; one value a search."""
    groups = by_proposer(found)
    searches = max(map(len, groups.values()))
    table = plain_table(
        f"Test pass@1 of the best formula, {searches} searches each, 95 % t-intervals over them"
    )
    table.add_column("proposer or reward", no_wrap=True, ratio=1)
    for name in ("runs", "saved", "validation", "test pass@1", "vs outcome only", "vs mean"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, group in groups.items():
        scored = [o for o in group if BEST in o.test]
        runs = (str(sum(o.trained for o in group)), str(sum(o.reused for o in group)))
        validation = [o.validation for o in scored if o.validation is not None]
        if not scored:
            table.add_row(name, *runs, "-", "no usable formula", "", "")
            continue
        table.add_row(
            name, *runs, f"{sum(validation) / len(validation):.3f}",
            str(estimate([o.test[BEST] for o in scored])),
            signed(against(scored, OUTCOME_ONLY)), signed(against(scored, "mean of primitives")),
        )  # fmt: skip
    for label in baseline_labels(found):
        # The same runs whichever proposer's search they stand in.
        by_seed = {o.seed: o.test[label] for o in found if label in o.test}
        table.add_row(label, "", "", "", str(estimate(list(by_seed.values()))), "", "", style="dim")
    return table


def cost_table(found: Sequence[Outcome]) -> Table:
    """What searches cost, and how good they were on the way, at equal numbers of inner runs."""
    groups = by_proposer(found)
    runs = min(len(o.ledger) - 1 for o in found)
    table = plain_table(
        f"Cost: scores of others are charged in full; area: mean best score over {runs} inner runs"
    )
    table.add_column("proposer", no_wrap=True, ratio=1)
    for name in ("inner runs", "tokens", "seconds", "area", "runs to lead", "leads"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, group in groups.items():
        ends = [o.paid[-1] for o in group]
        areas = [area(o.paid, runs) for o in group] if runs else []
        lead = [led for o in group if (led := leads(o)) is not None]
        table.add_row(
            name, *(f"{sum(of) / len(ends):,.0f}" for of in (
                [p.runs for p in ends], [p.tokens for p in ends], [p.seconds for p in ends])),
            str(estimate(areas)) if areas else "-",
            f"{median(p.runs for p in lead):.0f}" if lead else "-",
            f"{len(lead)} of {len(group)}",
        )  # fmt: skip
    return table


def search_table(found: Sequence[Outcome]) -> Table:
    """How shares and meta-rewards move over the outer steps; their late levels less frozen's."""
    frozen = [o for o in found if o.proposer == "frozen"]
    table = plain_table(
        "Rise over the steps (least squares); vs frozen: second half of the steps; 95 % t-intervals"
    )
    table.add_column("proposer", no_wrap=True, ratio=1)
    for name in ("valid", "rise", "vs frozen", "meta-reward", "rise", "vs frozen"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, group in by_proposer(found).items():
        cells = []
        for of in ("valid", "rewards"):
            first = sum(getattr(o, of)[0] for o in group) / len(group)
            last = sum(getattr(o, of)[-1] for o in group) / len(group)

            def level(o: Outcome, of: str = of) -> float:
                return late(getattr(o, of))

            versus = paired(group, frozen, level) if name != "frozen" else None
            moved = estimate([rise(getattr(o, of)) for o in group])
            cells += [_span(first, last, of), _pm(moved), _pm(versus)]
        table.add_row(name, *cells)
    return table


def learnt_table(found: Sequence[Outcome]) -> Table:
    """What samples of the meta-optimizer pass, before and after a search."""
    table = plain_table(
        "What they learnt: formulas sampled before and after a search, checked only; 95 %"
    )
    table.add_column("proposer", no_wrap=True, ratio=1)
    for name in ("pass the checker", "rise", "never punish being right", "rise"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, group in by_proposer(found).items():
        cells = []
        for of in ("sampled", "monotone"):
            seen = [shares for o in group if len(shares := getattr(o, of)) > 1]
            if seen:
                first, last = (sum(shares[k] for shares in seen) / len(seen) for k in (0, -1))
                moved = estimate([shares[-1] - shares[0] for shares in seen])
                cells += [_span(first, last, "valid"), _pm(moved)]
        table.add_row(name, *(cells or "-"))
    return table


def _span(first: float, last: float, of: str) -> str:
    return f"{first:.0%}→{last:.0%}" if of == "valid" else f"{first:.2f}→{last:.2f}"


def signed(value: Any) -> str:
    """An estimate with its sign, nothing where there is none."""
    return "" if value is None else value.signed


def _pm(value: Any) -> str:
    if value is None:
        return ""
    return f"{value.mean:+.2f}" + ("" if value.half is None else f"±{value.half:.2f}")
