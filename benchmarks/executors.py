"""What inner runs cost beyond generation and optimisation, and what more workers bring.

    python -m benchmarks.executors            # minutes; results/trainers/executors.json
    python -m benchmarks.executors --kind ray

Three figures, all of real inner runs of the built-in config `demo`:

- **start**: from `submit` to the first training step of a run in a warm worker, without what the
  run itself does by then (the first sampling). At most 1 s.
- **overhead**: the share of an inner run's wall time that is neither generation (sampling, greedy
  scoring) nor optimisation: loading, set-up, the reward, batching, logging. At most 5 %.
- **two workers**: how many times as fast they do one outer step's worth of inner runs as one
  worker does. At least 1.5 on two cores.

The load of the machine is in the record: figures of a busy one say little.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.run import RESULTS, machine
from derl_trainers.runs.executors import Event, Executor, make_executor
from derl_trainers.runs.jobs import InnerJob, Policy, PolicyJob, inner_job
from derl_trainers.settings.run import ExecutorSection, RunConfig, load_config

FORMULAS = (
    "g1", "g1 + 0.5 * g2", "g1 * g2", "g1 + 0.2 * g3", "0.6 * g1 + 0.4 * g4", "g2 + g3",
    "g1 if g2 > 0 else 0.1 * g4", "max(g1, 0.5 * g2)",
)  # fmt: skip
LIMITS = {"start": 1.0, "overhead": 0.05, "speedup": 1.5}


@dataclass(frozen=True, slots=True)
class Timed:
    """A run as its owner saw it: when it was submitted, when its first step was told, where."""

    submitted: float
    first_step: float
    worker: int
    result: dict[str, Any]


def run_all(executor: Executor, jobs: list[InnerJob]) -> list[Timed]:
    """Compute the jobs; raises RuntimeError for one that breaks."""
    submitted: dict[int, float] = {}
    first: dict[int, float] = {}
    done: dict[int, Event] = {}

    def listen(event: Event) -> None:
        if event.kind == "failed":
            raise RuntimeError(event.error)
        if event.kind == "progress":
            first.setdefault(event.job, time.perf_counter())
        if event.kind == "done":
            done[event.job] = event

    for name, job in enumerate(jobs):
        submitted[name] = time.perf_counter()
        executor.submit(name, job)
    while len(done) < len(jobs):
        executor.poll(listen, block=True)
    return [Timed(submitted[n], first[n], done[n].worker, done[n].result) for n in done]


def executor_of(kind: str, workers: int, trial: InnerJob) -> Executor:
    """An executor whose workers are warm: each has done a run."""
    made = make_executor(ExecutorSection(kind=kind, workers=workers))
    seen: set[int] = set()
    while len(seen) < workers:
        seen |= {timed.worker for timed in run_all(made, [trial] * workers)}
    return made


def start_cost(timed: Timed) -> float:
    """Seconds from `submit` to the first step that are the machinery's and not the run's.

    The first step is told when it is done, so its own share of the run is taken off: sampling,
    reward and updates, by the mean of the steps.
    """
    found = timed.result
    training = sum(found[f"{part}_seconds"] for part in ("generate", "reward", "update"))
    return timed.first_step - timed.submitted - training / found["steps"]


def overhead_share(result: dict[str, Any]) -> float:
    """The share of a run's wall time that is neither generation nor optimisation."""
    known = result["generate_seconds"] + result["update_seconds"] + result["eval_seconds"]
    return float(1 - known / result["seconds"])


def measure(
    kind: str, config: RunConfig, policy: Policy, rounds: int, steps: int
) -> dict[str, Any]:
    """The three figures of one kind of executor."""

    def job(steps: int) -> InnerJob:
        settings = replace(config, inner=replace(config.inner, steps=steps))
        return inner_job(settings, (), policy, FORMULAS[1], 0, "search")

    full, short, trial = job(config.inner.steps), job(steps), job(1)
    group = [replace(short, formula=formula) for formula in FORMULAS]
    walls: dict[int, list[float]] = {1: [], 2: []}
    alone: list[Timed] = []
    # One after the other: an executor on Ray joins the cluster that another has started.
    for workers, found in walls.items():
        executor = executor_of(kind, workers, trial)
        try:
            if workers == 1:
                alone = [run_all(executor, [replace(full, seed=n)])[0] for n in range(rounds)]
            for _ in range(rounds):
                begin = time.perf_counter()
                run_all(executor, group)
                found.append(time.perf_counter() - begin)
        finally:
            executor.close()
    parts = ("seconds", "generate_seconds", "update_seconds", "eval_seconds", "reward_seconds")
    return {
        "start": statistics.median(map(start_cost, alone)),
        "overhead": statistics.median(overhead_share(t.result) for t in alone),
        "speedup": statistics.median(walls[1]) / statistics.median(walls[2]),
        "group_seconds": {str(n): statistics.median(found) for n, found in walls.items()},
        "run": {part: statistics.median(t.result[part] for t in alone) for part in parts},
        "runs": len(FORMULAS),
        "steps": steps,
        "rounds": rounds,
    }


def shown(kind: str, found: dict[str, Any]) -> str:
    """The figures of one kind in three lines."""
    start, overhead, speedup = (found[name] for name in LIMITS)
    seconds = found["group_seconds"]
    return (
        f"{kind}\n"
        f"  start in a warm worker   {start:6.2f} s   (at most {LIMITS['start']:g} s)\n"
        f"  overhead of a run        {overhead:6.1%}   (at most {LIMITS['overhead']:.0%} of "
        f"{found['run']['seconds']:.1f} s)\n"
        f"  two workers              {speedup:6.2f} ×   (at least {LIMITS['speedup']:g}; "
        f"{seconds['1']:.1f} s, {seconds['2']:.1f} s)"
    )


def main() -> None:
    """Measure, print, and keep the record."""
    parser = argparse.ArgumentParser(description="What inner runs cost, and what workers bring.")
    parser.add_argument("--kind", choices=("workers", "ray"), action="append")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=6, help="of the runs that share workers")
    parser.add_argument("--quick", action="store_true", help="one round, two steps; no record")
    given = parser.parse_args()
    rounds, steps = (1, 2) if given.quick else (given.rounds, given.steps)
    config = load_config("demo")
    if given.quick:
        tiny = replace(config.policy.tiny, steps=20)
        policy = replace(config.policy, tiny=tiny)
        config = replace(config, policy=policy, inner=replace(config.inner, steps=3))
    record: dict[str, Any] = {"machine": machine(), "limits": LIMITS, "kinds": {}}
    with tempfile.TemporaryDirectory(prefix="derl-bench-") as folder:
        built = PolicyJob(config.task, config.policy, folder, 0).run(lambda *_: None)
        for kind in given.kind or ("workers", "ray"):
            start = Policy(str(Path(folder) / built["folder"]), built["identity"])
            record["kinds"][kind] = measure(kind, config, start, rounds, steps)
            print(shown(kind, record["kinds"][kind]), flush=True)
    record["load"] = round(os.getloadavg()[0], 1)
    if not given.quick:
        path = RESULTS / "trainers" / "executors.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
