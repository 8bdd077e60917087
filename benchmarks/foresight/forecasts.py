"""`forecast` against the first 50 steps of real GRPO runs.

    python -m benchmarks.foresight.forecasts       # after benchmarks.foresight.runs

From rollouts of the start policy, many a prompt, the share of dead groups is forecast for each
reward; the run then says what it was, step by step, at each pace of training. The gain forecast is
how far the advantage goes with the outcome within the groups of the start policy; what it is ranked
against is the rise of the share of right answers from the first ten steps to the last ten.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

import derl_dsl
from benchmarks.foresight.rewards import SUITE
from benchmarks.foresight.runs import INNER, PACES, START, WHERE
from derl_dsl.score.reward import columns_of
from derl_dsl.tools.evaluate.summary import group_codes
from derl_dsl.tools.forecast import forecast
from derl_runtime.data import read_logs
from derl_trainers.inner.rollouts import FOLDER

STEPS = 50


def finished(where: Path, pace: str) -> list[Path]:
    """The folders of finished runs at a pace."""
    return sorted(path.parent for path in where.glob(f"{pace}/*/run.json"))


def of_run(folder: Path, start: dict[str, list[Any]]) -> dict[str, Any]:
    """What was forecast of a run, and what it did."""
    run = json.loads((folder / "run.json").read_text("utf-8"))
    reward = derl_dsl.compile(run["text"], suite=SUITE)
    size = LOGGED if reward.uses_groups else None
    groups = np.asarray(group_codes(start["prompt"]))
    scores = reward.score({n: start[n] for n in columns_of(reward)}, group_size=size)
    right = scores.inputs[str(reward.outcome)]
    found = forecast(
        scores.values, groups, {}, {"right": right}, None, (INNER.num_generations,),
        INNER.num_generations,
    )  # fmt: skip
    rows = read_logs(folder / FOLDER)
    steps, answered = np.asarray(rows["step"]), np.asarray(rows["right"], dtype=float)
    seen = np.array([answered[steps == s].mean() for s in range(1, STEPS + 1)])
    dead = run["dead"][:STEPS]
    return {
        "run": folder.name, "forecast": found.dead[0].share, "first 5": float(np.mean(dead[:5])),
        "first 50": float(np.mean(dead)), "drift": found.drift[0].correlation,
        "gain": float(seen[-10:].mean() - seen[:10].mean()),
    }  # fmt: skip


LOGGED = 16


def ranked(values: np.ndarray) -> np.ndarray:
    """Mean ranks."""
    return np.array([(values < v).sum() + ((values == v).sum() - 1) / 2 for v in values])


def correlation(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """Spearman's rank correlation and its 95 % interval, by 2,000 draws of the runs."""
    rng = np.random.default_rng(0)

    def rho(k: np.ndarray) -> float:
        a, b = ranked(x[k]), ranked(y[k])
        return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else 0.0

    drawn = [rho(rng.integers(0, len(x), len(x))) for _ in range(2000)]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return rho(np.arange(len(x))), float(low), float(high)


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Errors and rank correlation over the runs of a pace."""
    table = {k: np.array([row[k] for row in rows]) for k in rows[0] if k != "run"}
    return {
        "runs": len(rows),
        "mean error, first 5 steps": float(np.abs(table["forecast"] - table["first 5"]).mean()),
        "mean error, first 50 steps": float(np.abs(table["forecast"] - table["first 50"]).mean()),
        "rank correlation with the gain": correlation(table["drift"], table["gain"]),
        "rows": rows,
    }


def main() -> None:
    """Measure and write the record."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--runs", type=Path, default=WHERE)
    options.add_argument(
        "--to", type=Path, default=Path("benchmarks/results/foresight/forecast.json")
    )
    given = options.parse_args()
    start = read_logs(given.runs / START)
    record = {}
    for pace in PACES:
        rows = [of_run(folder, start) for folder in finished(given.runs, pace)]
        if rows:
            record[pace] = summary(rows)
    given.to.parent.mkdir(parents=True, exist_ok=True)
    given.to.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
