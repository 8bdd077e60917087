"""What a run shows: bars and a live table on a terminal, the same facts as plain lines elsewhere.

Everything shown is read back from the run store. Importing this loads Rich and not torch.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich import box
from rich.console import Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from derl_dsl.tools.console import Console
from derl_trainers.runs.executors import Event
from derl_trainers.runs.store import FILE, StepRow, Store
from derl_trainers.runs.store.comparison import BEST, comparison, parts
from derl_trainers.settings.run import RunConfig

WIDTH = 100
_FORMULA = 44
_COLOURS = {
    "failed": "red", "trained": "green", "reused": "cyan", "checked": "dim", "faulted": "yellow",
}  # fmt: skip


class View:
    """The screen of one run; `quiet` shows errors and the final table alone."""

    def __init__(self, console: Console, quiet: bool = False) -> None:
        self.console = console
        self.quiet = quiet
        self.live: Live | None = None
        self.rows: list[StepRow] = []
        self.labels: dict[int, str] = {}
        self.bars: dict[str | int, TaskID] = {}
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.completed:>4.0f}/{task.total:.0f}"),
            TimeElapsedColumn(),
            TextColumn("[dim]rest"),
            TimeRemainingColumn(compact=True),
            TextColumn("[dim]{task.fields[note]}"),
            console=console,
            # An outer step lasts minutes: the rest is told by all that is known of the last hours.
            speed_estimate_period=4 * 3600,
        )
        self.steps = 0
        self.outer: TaskID | None = None
        self.begun = (0, 0.0)

    def __enter__(self) -> Self:
        if self.console.is_terminal and not self.quiet:
            self.live = Live(
                self._frame(), console=self.console, refresh_per_second=4, transient=True
            )
            self.live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.live is not None:
            self.live.stop()
            self.live = None

    def say(self, line: RenderableType = "") -> None:
        """One line above the bars."""
        if not self.quiet:
            self.console.print(line, soft_wrap=True, highlight=False)

    # A run's course, in order.

    def begin(
        self, config: RunConfig, run_dir: Path, store: Store, changed: Sequence[str] = ()
    ) -> None:
        """The run begins, or goes on; `changed` says in what else than before."""
        self.steps = config.meta.steps
        where = escape(str(run_dir / FILE))
        self.say(f"[bold]meta-train {config.name}[/]  seed {config.seed}, store {where}")
        self.say(
            f"  {config.meta.steps} outer steps x {config.meta.formulas} formulas by "
            f"{config.proposer.kind} over {config.suite}; an inner run is {config.inner.steps} "
            f"GRPO steps of {config.inner.prompts * config.inner.num_generations} completions"
            + (f", raced at {', '.join(map(str, config.meta.race))}" if config.meta.race else "")
        )
        self.rows = store.steps()
        done = store.rows("SELECT COUNT(*) AS n FROM jobs WHERE status = 'done'")[0]["n"]
        if done:
            self.say(f"  goes on: {done} jobs and {len(self.rows)} outer steps are in the store")
        for line in changed:
            self.say(Text(f"  not as it was begun: {line}", "yellow"))

    def warm(self, cold_start: Mapping[str, int] | None, found: dict[str, Any]) -> None:
        """Both warm starts are done; `cold_start` is what its cold start came to, if it had one."""
        cold = ""
        if cold_start is not None:
            cold = f"; meta-optimizer: {cold_start['steps']} cold-start steps"
            if cold_start["too_long"]:
                of = cold_start["formulas"] + cold_start["too_long"]
                cold += (
                    f", {cold_start['too_long']} of {of} formulas left out, longer than "
                    "[meta] max_tokens"
                )
        start = f"pass@1 {found['pass_at_1']:.3f} on {found['problems']} validation problems"
        self.say(Text(f"  start policy: {start}{cold}"))

    def baselines(self, store: Store) -> None:
        """The baselines have their validation scores."""
        rows = store.rows("SELECT label, formula, pass_at_1 FROM jobs WHERE kind = 'baseline'")
        self.say("\n[bold]Baselines[/]  validation pass@1")
        for row in rows:
            score = "broke" if row["pass_at_1"] is None else f"{row['pass_at_1']:.3f}"
            line = f"       {score:>6}  {short(row['formula']):<{_FORMULA}}  "
            self.say(Text.assemble(line, (row["label"], "dim")))
        self.begun = (len(self.rows), time.monotonic())
        if self.live is not None:
            self.outer = self.progress.add_task(
                "[bold]outer steps[/]", total=self.steps, completed=len(self.rows), note=""
            )

    def proposed(self, step: int, store: Store) -> None:
        """The meta-optimizer wrote a group, and the checker read it."""
        counts = store.rows(
            "SELECT COUNT(*) AS n, SUM(status != 'failed') AS valid FROM proposals WHERE step = ?",
            (step,),
        )[0]
        self.note_outer(f"{counts['valid']} of {counts['n']} pass the checker")

    def stepped(self, step: int, store: Store) -> None:
        """A group has its meta-rewards."""
        self.rows = store.steps()
        row = self.rows[-1]
        mean = "-" if row.mean_reward is None else f"{row.mean_reward:.3f}"
        self.say(
            f"\n[bold]Outer step {step}[/]  {row.share_valid:.0%} valid, mean meta-reward {mean}"
            f"{self._rest(len(self.rows))}"
        )
        for line in proposal_lines(store, step):
            self.say(line)
        if self.outer is not None:
            self.progress.update(self.outer, completed=step, note="")
        self._refresh()

    def searched(self, store: Store) -> None:
        """The search is over: what the meta-optimizer writes now, and wrote before."""
        if self.outer is not None:
            self.progress.remove_task(self.outer)
            self.outer = None
        probes = store.rows("SELECT * FROM probes ORDER BY step")
        if probes:
            self.say("\n[bold]What it learnt[/]  formulas sampled before and after, checked only")
        for row in probes:
            when = {-1: "untrained", 0: "before"}.get(row["step"], f"after step {row['step']}")
            shares = [row[name] / row["formulas"] for name in ("valid", "monotone")]
            self.say(
                f"  {when:<13} {shares[0]:4.0%} pass the checker, {shares[1]:4.0%} never punish "
                f"being right, {row['distinct_keys']} distinct of {row['formulas']}"
            )

    def confirmed(self, store: Store) -> None:
        """The best formulas were trained on further seeds."""
        rows = store.confirmed()
        if rows:
            self.say("\n[bold]Confirmation[/]  validation pass@1 of the best, mean over seeds")
        for row in rows:
            line = f"       {row.mean:>6.3f}  {short(row.formula):<{_FORMULA}}  "
            self.say(Text.assemble(line, (_each(row.scores), "dim")))

    def final(self, config: RunConfig, rewards: int) -> None:
        """The final comparison begins."""
        self.say(
            f"\n[bold]Final comparison[/]  {rewards} rewards x {config.final.seeds} seeds on the "
            "test problems"
        )

    def finish(self, store: Store) -> None:
        """The run is over: its tables."""
        self.say()
        self.say(steps_table(self.rows))
        self.console.print()
        for table in comparison_tables(store):
            self.console.print(table)
        for line in (*race_lines(store), *fault_lines(store)):
            self.console.print(Text(line))
        where = escape(str(store.path.parent))
        self.say(f"\n[dim]{timing_line(store)}[/]\n[dim]all of it: derl-dsl runs show {where}[/]")

    # Bars.

    def queued(self, job: int, label: str) -> None:
        """A job waits for a worker; `label` names its bar."""
        self.labels[job] = label

    def event(self, event: Event) -> None:
        """News of a job."""
        if event.kind in ("done", "failed", "lost"):
            self.drop(event.job)
            if event.kind != "done":
                reason = Text(event.error.splitlines()[0])
                self.say(Text.assemble("  ", (self.labels[event.job], "bold"), ": ", reason))
        else:
            self.bar(event.job, event.step, event.total, event.metrics, self.labels[event.job])

    def bar(
        self,
        name: str | int,
        step: int,
        total: int,
        metrics: dict[str, float],
        label: str | None = None,
    ) -> None:
        """Move a bar, which appears with its first news."""
        if self.live is None:
            return
        note = "  ".join(f"{key} {value:.3g}" for key, value in metrics.items())
        if name not in self.bars:
            text = escape(f"{short(label or str(name), 34):<34}")
            self.bars[name] = self.progress.add_task(text, total=total or 1, note="")
        self.progress.update(self.bars[name], completed=step, total=total or 1)
        if note:
            self.progress.update(self.bars[name], note=note)

    def drop(self, name: str | int) -> None:
        """Remove a bar."""
        if name in self.bars:
            self.progress.remove_task(self.bars.pop(name))

    def note_outer(self, note: str) -> None:
        """A word beside the bar of the outer steps."""
        if self.outer is not None:
            self.progress.update(self.outer, note=note)

    def _rest(self, done: int) -> str:
        """How long the search will take yet, by the outer steps since it began or went on."""
        first, begun = self.begun
        if done <= first or done >= self.steps:
            return ""
        minutes = (time.monotonic() - begun) / (done - first) * (self.steps - done) / 60
        told = "less than a minute" if minutes < 1 else f"about {minutes:.0f} min"
        return f", {told} of the search left"

    def _frame(self) -> RenderableType:
        parts: list[RenderableType] = [Text()]
        if self.rows:
            parts += [steps_table(self.rows), Text()]
        return Group(*parts, self.progress)

    def _refresh(self) -> None:
        if self.live is not None:
            self.live.update(self._frame())


def short(text: str, width: int = _FORMULA) -> str:
    """A text on one line, cut to a width."""
    text = " ".join(text.split()) or "(empty)"
    return text if len(text) <= width else text[: width - 1] + "…"


def plain_table(title: str) -> Table:
    """An empty table in the style of all here."""
    return Table(
        title=title, title_justify="left", title_style="bold", header_style="dim",
        box=box.SIMPLE_HEAD, show_edge=False, width=WIDTH, padding=(0, 1), pad_edge=False,
    )  # fmt: skip


def proposal_lines(store: Store, step: int) -> Iterable[Text]:
    """One line a formula of a step: number, meta-reward, text, and how it came to its score."""
    rows = store.rows(
        "SELECT p.*, j.seconds, j.error, j.kind AS job_kind, j.label AS job_label,"
        " j.result -> '$.below' AS below,"
        " (SELECT 'step ' || q.step || ' #' || (q.idx + 1) FROM proposals AS q"
        "  WHERE q.job = p.job AND q.status = 'trained') AS origin"
        " FROM proposals AS p LEFT JOIN jobs AS j ON j.id = p.job WHERE p.step = ? ORDER BY idx",
        (step,),
    )
    for row in rows:
        reward = row["meta_reward"]
        shown = "-" if reward is None else f"{reward:.3f}"
        colour = _COLOURS[row["status"]]
        yield Text.assemble(
            f"  #{row['idx'] + 1:<3}", (f"{shown:>7}", colour),
            f"  {short(row['formula']):<{_FORMULA}}  ", (_how(row), "dim"),
        )  # fmt: skip


def _how(row: dict[str, Any]) -> str:
    width = WIDTH - _FORMULA - 16
    match row["status"]:
        case "failed":
            errors = [d for d in json.loads(row["diagnostics"]) if d["severity"] == "error"]
            return short(f"{row['stage']}: {errors[0]['message']}", width)
        case "trained" if row["below"] is not None:
            bar, took = json.loads(row["below"]), f"{row['seconds']:.0f} s"
            return f"ended at step {bar['step']}, below {bar['least']:.3f}, {took}"
        case "trained":
            return f"trained, {row['seconds']:.0f} s"
        case "reused":
            origin = row["origin"] or f"baseline {row['job_label']}"
            return short(f"same reward as {origin}: served", width)
        case "faulted":
            return short(f"run broke: {(row['error'] or '').splitlines()[0]}", width)
    return str(row["status"])


def steps_table(rows: list[StepRow]) -> Table:
    """The table of the outer steps."""
    table = plain_table("Outer steps")
    for name in ("step", "valid", "failed", "trained", "repeats", "mean", "best"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("best formula", no_wrap=True, overflow="ellipsis", ratio=1)
    for row in rows:
        mean = "-" if row.mean_reward is None else f"{row.mean_reward:.3f}"
        best = "-" if row.best_reward is None else f"{row.best_reward:.3f}"
        formula = Text(short(row.best_formula or "-", 60))
        table.add_row(
            str(row.step), f"{row.share_valid:.0%}", str(row.failed), str(row.trained),
            str(row.reused), mean, best, formula,
        )  # fmt: skip
    return table


def comparison_tables(store: Store) -> list[Table]:
    """The table of the final comparison, and one of each part that is scored apart."""
    return [_comparison(store, part) for part in (None, *parts(store))]


def _comparison(store: Store, part: str | None) -> Table:
    rows = comparison(store, part)
    seeds = max((len(row.scores) for row in rows), default=0)
    on = f"on {part}" if part is not None else f"on {_problems(store)} problems"
    table = plain_table(f"Test pass@1 {on}, {seeds} seeds, 95 % t-intervals")
    table.add_column("reward", no_wrap=True)
    table.add_column("formula", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column("pass@1", justify="right", no_wrap=True)
    table.add_column("each seed", justify="right", no_wrap=True)
    table.add_column("vs outcome only", justify="right", no_wrap=True)
    for row in rows:
        mean = f"{row.mean:.3f}" + ("" if row.half is None else f" ± {row.half:.3f}")
        each = _each(row.scores) if row.half is not None else ""
        versus = ""
        if row.difference is not None:
            versus = f"{row.difference:+.3f} ± {row.difference_half:.3f}"
        formula = Text(short(row.formula or "(not trained)", 60))
        style = "bold green" if row.label == BEST else ""
        table.add_row(Text(row.label), formula, mean, each, versus, style=style)
    return table


def _each(scores: tuple[float, ...]) -> str:
    if len(scores) > 5:
        return f"{min(scores):.2f} to {max(scores):.2f}"
    return " ".join(f"{s:.2f}".removeprefix("0") for s in scores)


def _problems(store: Store) -> int:
    rows = store.rows(
        "SELECT json_extract(result, '$.problems') AS n FROM jobs"
        " WHERE kind = 'final' AND status = 'done' AND n IS NOT NULL LIMIT 1"
    )
    return int(rows[0]["n"]) if rows else 0


def race_lines(store: Store) -> list[str]:
    """What racing spared the search; nothing where it ended no run."""
    raced = store.raced()
    if not raced["ended"]:
        return []
    return [
        "",
        f"Racing ended {raced['ended']} of {raced['runs']} runs of the search early: "
        f"{raced['saved']:,} inner steps not taken",
    ]


def fault_lines(store: Store) -> list[str]:
    """What went wrong in the inputs of rewards, over the whole run; none when nothing did."""
    found = [f"  {total}" for total in store.faults()]
    return ["", "Faults", *found] if found else []


def timing_line(store: Store) -> str:
    """The time of each phase, in words."""
    phases = store.rows("SELECT name, seconds FROM phases WHERE seconds IS NOT NULL")
    total = sum(p["seconds"] for p in phases)
    parts = ", ".join(f"{p['name']} {p['seconds']:.0f} s" for p in phases)
    return f"{total / 60:.1f} min: {parts}"


def runs_table(
    runs: list[tuple[Path, dict[str, Any], list[StepRow], dict[str, Any] | None]],
) -> Table:
    """The table of `derl-dsl runs`."""
    table = plain_table("Runs")
    for name in ("run", "status", "steps", "best"):
        table.add_column(name, no_wrap=True)
    table.add_column("best formula", no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column("started", no_wrap=True)
    for folder, run, steps, best in runs:
        score = "-" if best is None else f"{best['pass_at_1']:.3f}"
        wanted = json.loads(run["config"])["meta"]["steps"]
        formula = Text(short(best["formula"], 60) if best else "-")
        started = time.strftime("%Y-%m-%d %H:%M", time.localtime(run["started"]))
        table.add_row(
            Text(folder.name), Text(run["status"]), f"{len(steps)}/{wanted}", score, formula,
            started,
        )  # fmt: skip
    return table


def show_run(console: Console, store: Store) -> None:
    """Everything a run proposed, and its tables."""
    view = View(console)
    run = store.run()
    view.say(f"[bold]{escape(run['name'])}[/]  seed {run['seed']}, {escape(run['status'])}")
    if run["error"]:
        view.say(Text(f"  {run['error']}"))
    view.baselines(store)
    view.rows = store.steps()
    for row in view.rows:
        view.say(f"\n[bold]Outer step {row.step}[/]  {row.share_valid:.0%} valid")
        for line in proposal_lines(store, row.step):
            view.say(line)
    view.searched(store)
    view.confirmed(store)
    view.finish(store)
