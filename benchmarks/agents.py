"""What `make agents` found: the final comparison of each search on games, level by level.

    python -m benchmarks.agents --policies    # the start policies of the small configs, cached
    python -m benchmarks.agents RUN...        # into results/trainers/agents.json; a table of all
    python -m benchmarks.agents --share NAME  # what of an inner run of a config is the games' time
    python -m benchmarks.agents --steps       # ScienceWorld: steps a second, games in one process

The figures are of a policy with 0.4M parameters on generated games: none compares to those of
models of 1.5B parameters on the official ones.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import derl_dsl
from derl_trainers.inner.loop import train_inner
from derl_trainers.policy.start import start_policy
from derl_trainers.runs.store import Store
from derl_trainers.runs.store.comparison import ComparisonRow, comparison, parts
from derl_trainers.settings.run import load_config
from derl_trainers.tasks.environments.scienceworld.environment import ScienceWorld
from derl_trainers.tasks.environments.scienceworld.jvm import Machine, machine
from derl_trainers.tasks.load import load_task

RESULTS = Path(__file__).parent / "results" / "trainers" / "agents.json"
CONFIGS = ("alfworld", "sokoban", "scienceworld")
_TRAINED = "SELECT result FROM jobs WHERE status = 'done' AND formula != ''"
_PARTS = ("generate", "reward", "update")


def found(run: Path) -> dict[str, Any]:
    """What a finished run says: each reward's shares of games solved, by level."""
    with closing(Store.open(run)) as store:
        config = json.loads(store.run()["config"])
        task = config["task"]["name"]
        games = config["task"][task]
        # One level alone is no part of a whole.
        levels: dict[str, str | None] = {level: level for level in parts(store)}
        return {
            "run": run.name,
            "task": task,
            "games": games["test_size"],
            "steps": config["final"]["steps"] or config["inner"]["steps"],
            "environment_share": _share([json.loads(r["result"]) for r in store.rows(_TRAINED)]),
            "levels": {
                name: [_row(row) for row in comparison(store, part)]
                for name, part in (levels or {games["levels"][0]: None}).items()
            },
        }


def _share(results: list[dict[str, Any]]) -> float:
    """What of the training (sampling, reward, updates) was waiting for games."""
    whole = sum(result[f"{part}_seconds"] for result in results for part in _PARTS)
    return float(sum(result["environment_seconds"] for result in results) / whole)


def _place(run: dict[str, Any]) -> tuple[str, ...]:
    return (run["task"], *run["levels"])


def share(name: str, cache: Path, runs: int) -> None:
    """Train by the outcome alone, as a small config says, and tell the games' share of each run."""
    config = load_config(name)
    policy = start_policy(config.task, config.policy, cache, config.seed)
    task = load_task(config.task)
    reward = derl_dsl.compile("solved", suite="agent")
    for seed in range(runs):
        before = _java_seconds(machine())
        found = train_inner(reward, policy, task.train, task.validation, config.training, seed=seed)
        java = _java_seconds(machine()) - before
        print(
            f"run {seed}: {found.training_seconds:.1f} s of training, games "
            f"{found.environment_seconds:.1f} s ({_share([asdict(found)]):.3f}); whole run "
            f"{found.seconds:.1f} s, of Java's processor {java:.1f} s"
        )


def steps(seconds: float = 20.0) -> None:
    """How fast games of ScienceWorld start and go on in one process, commands drawn at random."""
    for listing in ("none", "possible"):
        process, rng, rates, starts = Machine(), random.Random(0), [0.0], [0.0]
        games = [ScienceWorld(listing, process) for _ in range(16)]
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            start = time.perf_counter()
            for k, game in enumerate(games):
                game.reset(f"find-non-living-thing/{k % 2}")
            begun = time.perf_counter()
            for _ in range(10):
                for game in games:
                    turn = game.step("look around")
                    if turn.commands:
                        game.step(rng.choice(turn.commands))
            rates.append(16 * (20 if listing == "possible" else 10) / (time.perf_counter() - begun))
            starts.append((begun - start) / 16)
        status = Path(f"/proc/{process.pid}/status").read_text()
        most = int(status.split("VmHWM:")[1].split()[0]) // 1024
        print(
            f"{listing}: {median(rates[len(rates) // 2 :]):.0f} steps/s, a game starts in "
            f"{1000 * median(starts[len(starts) // 2 :]):.1f} ms, process at most {most} MB"
        )
        process.close()


def _java_seconds(process: Machine) -> float:
    """Processor time of a Java process so far."""
    if process.pid is None:
        return 0.0
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _row(row: ComparisonRow) -> dict[str, Any]:
    return {"reward": row.label, "formula": row.formula, "solved": list(row.scores),
            "mean": row.mean, "half": row.half, "difference": row.difference,
            "difference_half": row.difference_half}  # fmt: skip


def table(runs: list[dict[str, Any]]) -> str:
    """Success by level and reward with 95 % t-intervals, and the differences to the outcome."""
    lines = ["| task, level | reward | solved | difference to outcome only |", "|---|---|---|---|"]
    for run in runs:
        for level, rows in run["levels"].items():
            for row in rows:
                cells = (
                    f"{run['task']} {level}",
                    _named(row),
                    _shown(row["mean"], row["half"]),
                    _shown(row["difference"], row["difference_half"], "+"),
                )
                lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _named(row: dict[str, Any]) -> str:
    return (
        f"{row['reward']}: `{row['formula']}`" if row["reward"] == "best formula" else row["reward"]
    )


def _shown(value: float | None, half: float | None, sign: str = "") -> str:
    if value is None:
        return ""
    return f"{value:{sign}.3f}" + ("" if half is None else f" ± {half:.3f}")


def main() -> None:
    """Build the start policies, or collect runs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folders", nargs="*", type=Path, metavar="RUN")
    parser.add_argument("--policies", action="store_true")
    parser.add_argument("--share", choices=CONFIGS, metavar="NAME")
    parser.add_argument("--repeats", type=int, default=3, help="of --share")
    parser.add_argument("--steps", action="store_true")
    parser.add_argument("--cache", type=Path, default=Path(".benchmarks/agents"))
    options = parser.parse_args()
    if options.policies:
        for name in CONFIGS:
            config = load_config(name)
            print(start_policy(config.task, config.policy, options.cache, config.seed))
    if options.share:
        share(options.share, options.cache, options.repeats)
    if options.steps:
        steps()
    if options.folders:
        # A run takes the place of the one before on the same levels.
        new = {_place(run): run for run in map(found, options.folders)}
        old = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else []
        kept = [new.pop(_place(run), run) for run in old]
        runs = [*kept, *new.values()]
        RESULTS.write_text(json.dumps(runs, indent=1) + "\n", encoding="utf-8")
        print(table(runs))


if __name__ == "__main__":
    main()
