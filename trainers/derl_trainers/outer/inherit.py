"""What a new run takes over from a finished one: its trained meta-optimizer, its best formulas."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

from derl_trainers.runs.store import Store
from derl_trainers.runs.store.queries import StoreError

TRAINED = Path("meta") / "trained"
ORIGIN = "origin.json"  # beside a trained model: which one it was, relative to the run's folder
BEST = 8  # formulas that are taken over


def inherited(run: Path, formulas: int = BEST) -> list[str]:
    """The settings of a run that begins where `run` ended, each as `section.key=value`.

    Raises StoreError for a run without a trained meta-optimizer.
    """
    model = trained_model(run)
    return [
        f"meta.origin={json.dumps(str(model))}",
        f"meta.given={json.dumps(best(run, formulas))}",
    ]


def best(run: Path, count: int) -> list[str]:
    """The best different rewards of a run, the best first; the confirmed one leads.

    Raises StoreError when there is no run, or none of its formulas could be used.
    """
    with closing(Store.open(run)) as store:
        first = store.best()
        ranked = store.rows(
            "SELECT formula, key, MAX(pass_at_1) AS score FROM leaderboard GROUP BY key"
            " ORDER BY score DESC, MIN(step), MIN(idx)"
        )
    if first is None:
        raise StoreError(f"{run}: no formula of this run could be used")
    rest = [row["formula"] for row in ranked if row["key"] != first["key"]]
    return [first["formula"], *rest][:count]


def trained_model(run: Path) -> Path:
    """The folder of a run's trained meta-optimizer; StoreError where it has none."""
    with closing(Store.open(run)):  # a folder that is no run is told as such
        pass
    path = run / TRAINED
    if not (path / "config.json").is_file():
        raise StoreError(f"{run}: no trained meta-optimizer here: the proposer grpo leaves one")
    return path.absolute()


def cold_model(run: Path) -> Path:
    """The folder of the model that a run's meta-optimizer was before it was trained."""
    record = trained_model(run) / ORIGIN
    name = json.loads(record.read_text("utf-8"))["cold_started"] if record.is_file() else ""
    path = (run / name).resolve()
    if not name or not (path / "config.json").is_file():
        raise StoreError(f"{run}: the model that its meta-optimizer was trained from is gone")
    return path
