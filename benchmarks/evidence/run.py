"""Runs the blocks of the evidence, in order, until the time is over; goes on where it was.

    python -m benchmarks.evidence.run --task arithmetic --hours 8
    python -m benchmarks.evidence.run --start 104 --start 105 --work other   # beside the first
    python -m benchmarks.evidence.run --arm grpo --arm frozen                # some arms of all
    python -m benchmarks.evidence.run --collect      # the stores as Parquet, nothing is run

Every block is a run folder with a store. Blocks of a task share start policies, cold starts and
scores, so what several ask for is trained once. A block that was collected complete is not run
again, wherever it ran. Processes beside each other take different start policies, each in a folder
of its own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from benchmarks.evidence.collect import RESULTS, best_formulas, collect, finished
from benchmarks.evidence.plan import (
    EVERY,
    FOUND,
    GRID,
    HERE,
    LATER,
    SIGNS,
    TASKS,
    Block,
    Row,
    at_rates,
    blocks,
    grid,
    signs,
    tuned,
    tuning,
)
from derl_trainers.outer.compare import SHARED, Search
from derl_trainers.outer.meta import MEMO, warm_start
from derl_trainers.outer.run import Run
from derl_trainers.runs.executors import make_executor
from derl_trainers.runs.jobs import Policy, ScoreJob
from derl_trainers.runs.memo import Memo
from derl_trainers.runs.runner import Runner
from derl_trainers.runs.store import FILE, Store
from derl_trainers.runs.versions import versions
from derl_trainers.runs.view import View
from derl_trainers.settings.run import RunConfig, load_config
from derl_trainers.tasks.load import Split

WORK = Path(".benchmarks/evidence")


def config_of(task: str) -> RunConfig:
    """The settings of a task's blocks."""
    return load_config(str(HERE / f"{task}.toml"), {})


def run_grid(
    block: Block,
    folder: Path,
    rows: Sequence[Row],
    tried: Sequence[Row] = (),
    config: RunConfig | None = None,
) -> None:
    """Train every row from the block's start policy: validated, and tested on the final seeds.

    Of `tried` all are validated and the best is tested, as the row `tuned`. A block that is
    complete is left as it is.
    """
    if Search(block.arm, block.seed, folder).status() == "finished":
        return
    config = config or config_of(block.task)
    # No proposer writes here, so no language model is taught.
    config = replace(config, seed=block.seed, proposer=replace(config.proposer, kind="evolution"))
    found = versions()
    begun = (folder / FILE).exists()
    store = (
        Store.resume(folder, found)
        if begun
        else Store.create(folder, block.name, block.seed, config.to_json(), found)
    )
    home = folder.parent / SHARED
    memo = Memo(home / MEMO, found)
    executor = make_executor(config.executor, small=config.policy.built)
    view = View(Console(quiet=True), True)
    with closing(store), closing(memo), closing(executor), store.running(), view:
        view.begin(config, folder, store, [])
        run = Run(
            config, (), folder.absolute(), home.absolute(), Runner(store, executor, view, memo)
        )
        start, _ = warm_start(run)
        score = ScoreJob(config.suite, config.training, start, "final")
        run.runner.result(run.runner.submit("final", "start policy, tested", config.seed, score))
        for row in rows:
            train_row(run, start, row)
        scores = [
            (score, row) for row in tried if (score := train_row(run, start, row)) is not None
        ]
        if scores:
            _, best = max(scores, key=lambda pair: pair[0])
            train_row(run, start, tuned(best))


def train_row(run: Run, start: Policy, row: Row) -> float | None:
    """The runs of one reward; its validation score where it has one."""
    config, key = run.config, run.judged(row.formula).key
    if key is None:
        return None  # constant, or what else no search would train
    inner, seeds = config.inner, range(config.final.seeds)
    runs: list[tuple[Split, int]] = [("search", config.seed)] if row.validated else []
    if row.tested:
        runs += [("final", 1000 + 100 * config.seed + i) for i in seeds]
    names = []
    for split, seed in runs:
        job = run.job(start, row.formula, seed, split, steps=row.times * inner.steps)
        changed = replace(
            job.training.inner,
            learning_rate=row.rate * inner.learning_rate,
            curve=inner.steps if row.times > 1 and split == "final" else inner.curve,
        )
        job = replace(job, training=replace(job.training, inner=changed))
        names.append(run.runner.submit(split, row.label, seed, job, row.formula, key))
    run.runner.wait(names)
    validated = row.validated and names[0] not in run.runner.errors
    return run.runner.score(names[0]) if validated else None


def run_search(block: Block, folder: Path, until: float, flags: Sequence[str] = ()) -> bool:
    """A whole `meta-train` of an arm, in a process that is ended when the time is over."""
    search = Search(block.arm, block.seed, folder)
    if search.status() == "finished":
        return True
    with search.log.open("ab") as log:
        command = search.command(str(HERE / f"{block.task}.toml"), flags)
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            return process.wait(max(0.0, until - time.time())) == 0
        except subprocess.TimeoutExpired:
            return False
        finally:
            process.terminate()
            process.wait()


def run_block(block: Block, work: Path, until: float) -> bool:
    """Run a block, or the rest of it; whether it is complete."""
    folder = work / block.task / block.name
    folder.parent.mkdir(parents=True, exist_ok=True)
    if block.arm not in (GRID, SIGNS, LATER):
        return run_search(block, folder, until)
    suite = config_of(block.task).suite
    if block.arm == GRID:
        run_grid(block, folder, grid(suite), tuning(suite))
    elif block.arm == SIGNS:
        run_grid(block, folder, signs(suite))
    else:
        formula = found(replace(block, arm="grpo"), work)
        if formula is None:
            return False
        run_grid(block, folder, (), at_rates(FOUND, formula))
    return True


def found(block: Block, work: Path) -> str | None:
    """The best formula of a search that is complete, here or among what was collected."""
    folder = work / block.task / block.name
    if Search(block.arm, block.seed, folder).status() == "finished":
        with closing(Store.open(folder)) as store:
            best = store.best()
        return best["formula"] if best else None
    return best_formulas(RESULTS).get((block.task, block.arm, block.seed))


def _run_all(
    tasks: Sequence[str], starts: Sequence[int], arms: Sequence[str], work: Path, until: float
) -> None:
    known = finished(RESULTS)
    for task in tasks:
        for block in blocks(task):
            if time.time() >= until:
                return
            asked = block.seed in (starts or (block.seed,)) and block.arm in (arms or (block.arm,))
            if not asked or (task, block.arm, block.seed) in known:
                continue
            began = time.time()
            done = run_block(block, work, until)
            state = "complete" if done else "not complete"
            print(f"{task} {block.name}: {state}, {time.time() - began:.0f} s", flush=True)


def main() -> None:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", choices=TASKS, action="append", help="all by default")
    parser.add_argument("--start", type=int, action="append", help="start policy; all by default")
    parser.add_argument("--arm", choices=EVERY, action="append", help="all by default")
    parser.add_argument("--hours", type=float, default=24.0, help="when to end")
    parser.add_argument("--work", type=Path, default=WORK, help="folder of the runs")
    parser.add_argument("--collect", action="store_true", help="write the Parquet files alone")
    given = parser.parse_args()
    until = time.time() + 3600 * given.hours
    if not given.collect:
        _run_all(given.task or TASKS, given.start or (), given.arm or (), given.work, until)
    for path in collect(given.work, RESULTS):
        print(path)


if __name__ == "__main__":
    sys.exit(main())
