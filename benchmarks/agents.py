"""What `make agents` found: the final comparison of each search on games, level by level.

    python -m benchmarks.agents --policies    # the start policies of the small configs, cached
    python -m benchmarks.agents RUN...        # results/trainers/agents.json and a table of the runs

The figures are of a policy with 0.4M parameters on generated games: none compares to those of
models of 1.5B parameters on the official ones.
"""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from pathlib import Path
from typing import Any

from derl_trainers.policy.start import start_policy
from derl_trainers.runs.store import Store
from derl_trainers.runs.store.comparison import ComparisonRow, comparison, parts
from derl_trainers.settings.run import load_config

RESULTS = Path(__file__).parent / "results" / "trainers" / "agents.json"
CONFIGS = ("alfworld", "sokoban", "scienceworld")


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
            "levels": {
                name: [_row(row) for row in comparison(store, part)]
                for name, part in (levels or {games["levels"][0]: None}).items()
            },
        }


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
    parser.add_argument("runs", nargs="*", type=Path)
    parser.add_argument("--policies", action="store_true")
    parser.add_argument("--cache", type=Path, default=Path(".benchmarks/agents"))
    options = parser.parse_args()
    if options.policies:
        for name in CONFIGS:
            config = load_config(name)
            print(start_policy(config.task, config.policy, options.cache, config.seed))
    if options.runs:
        runs = [found(run) for run in options.runs]
        RESULTS.write_text(json.dumps(runs, indent=1) + "\n", encoding="utf-8")
        print(table(runs))


if __name__ == "__main__":
    main()
