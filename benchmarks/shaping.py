"""Whether shaping matters on the task of `derl-dsl meta-train demo`: rewards x policies x seeds.

    python -m benchmarks.shaping --workers 16 --policies 4 --seeds 2
    python -m benchmarks.shaping --reward g1 --reward "g1 - g2" --set inner.steps=12

No search takes place: each reward trains copies of the start policy of each policy seed, as an
inner run of the search does but without the cap, and is scored on the validation problems.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

from derl_trainers.estimates import interval
from derl_trainers.runs.executors import Event, Workers
from derl_trainers.runs.jobs import Job, Policy, PolicyJob, ScoreJob, inner_job
from derl_trainers.settings.run import RunConfig, load_config
from derl_trainers.settings.train import parse_set

REWARDS = (
    "g1",
    "(g1 + g2 + g3 + g4) / 4",
    "g1 + g2",
    "g1 + g3",
    "g1 + g4",
    "g1 - g2",
    "g1 + g3 - g2",
    "g1 + g3 + g4 - g2",
    "2 * g1 + 0.5 * g3",
    "g4 - g2",
    "g3 - g2",
    "g1 * g3",
)


def compute(workers: Workers, jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """The results of the jobs, in their order; RuntimeError for one that breaks."""
    results: dict[int, dict[str, Any]] = {}

    def listen(event: Event) -> None:
        if event.kind == "failed":
            raise RuntimeError(f"job {jobs[event.job]} broke: {event.error}")
        if event.kind == "done":
            results[event.job] = {**event.result, "job_seconds": event.seconds}

    for name, job in enumerate(jobs):
        workers.submit(name, job)
    while len(results) < len(jobs):
        workers.poll(listen, block=True)
    return [results[name] for name in range(len(jobs))]


def study(
    config: RunConfig, rewards: Sequence[str], policies: Sequence[int], seeds: Sequence[int],
    workers: Workers, folder: Path,
) -> dict[str, Any]:  # fmt: skip
    """Scores and seconds of every run, and the start policies' scores."""
    built = compute(
        workers, [PolicyJob(config.task, config.policy, str(folder), p) for p in policies]
    )
    starts_from = [
        Policy(str(folder / str(found["folder"])), str(found["identity"])) for found in built
    ]
    starts = compute(
        workers, [ScoreJob(config.suite, config.training, p, "search") for p in starts_from]
    )
    # Rewards vary fastest, so that a study cut short has some of each.
    grid = list(product(starts_from, seeds, rewards))
    runs = compute(
        workers,
        [inner_job(config, (), policy, reward, seed, "search") for policy, seed, reward in grid],
    )
    scores: dict[str, list[float]] = defaultdict(list)
    tokens: dict[str, list[int]] = defaultdict(list)
    for (_, _, reward), run in zip(grid, runs, strict=True):
        scores[reward].append(run["pass_at_1"])
        tokens[reward].append(run["tokens"])
    seconds = [run["seconds"] for run in runs]
    return {
        "start": [found["pass_at_1"] for found in starts],
        "warm_start_seconds": [found["job_seconds"] for found in built],
        "inner_seconds": sum(seconds) / len(seconds),
        "generate_share": sum(r["generate_seconds"] for r in runs) / sum(seconds),
        "scores": dict(scores),
        "tokens": {reward: sum(each) / len(each) for reward, each in tokens.items()},
    }


def show(found: dict[str, Any]) -> None:
    """The table, best mean first."""
    start = " ".join(f"{s:.3f}" for s in found["start"])
    print(f"start pass@1 {start}; an inner run {found['inner_seconds']:.1f} s, "
          f"sampling {found['generate_share']:.0%} of it; "
          f"warm start {max(found['warm_start_seconds']):.0f} s")  # fmt: skip
    rows = sorted(found["scores"].items(), key=lambda row: -sum(row[1]))
    for reward, scores in rows:
        each = " ".join(f"{s:.2f}".lstrip("0") for s in scores)
        mean, half = interval(scores) if len(scores) > 1 else (scores[0], float("nan"))
        length = f"{found['tokens'][reward]:,.0f} tokens"
        print(f"{reward:<28} {mean:.3f} ± {half:.3f}   {each}   {length}")


def main() -> None:
    """Run the study that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default="demo", help="a built-in config or a file")
    parser.add_argument("--set", action="append", default=[], help="section.key=value")
    parser.add_argument("--reward", action="append", help="in place of the usual rewards")
    parser.add_argument("--policies", type=int, default=1, help="start policies (seeds 0, 1, …)")
    parser.add_argument("--seeds", type=int, default=3, help="inner seeds for each of them")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder of start policies, to use again")
    parser.add_argument("--json", type=Path, help="where the figures go")
    given = parser.parse_args()
    config = load_config(given.config, dict(map(parse_set, given.set)))
    workers = Workers(given.workers)
    began = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            found = study(
                config, given.reward or REWARDS, range(given.policies), range(given.seeds),
                workers, given.keep or Path(scratch),
            )  # fmt: skip
    finally:
        workers.close()
    show(found)
    print(f"{time.perf_counter() - began:.0f} s")
    if given.json is not None:
        given.json.write_text(json.dumps({"config": config.to_json(), **found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
