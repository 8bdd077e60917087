"""DERL-pop: the policy that the best formula of a step leaves is what the next step starts from."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from derl_trainers.outer.run import Run
from derl_trainers.runs.jobs import InnerJob, Policy, digest

_FOLDER = "population"


def start_of(run: Run, step: int, start: Policy) -> Policy:
    """The policy that inner runs of a step start from."""
    return left_by(run, step - 1) or start


def left_by(run: Run, step: int) -> Policy | None:
    """The policy left by the best formula of the last step that trained one, up to `step`.

    None unless inner runs start from each other (`start = "best"`).
    """
    if run.config.meta.start != "best":
        return None
    rows = run.store.rows(
        "SELECT p.step, j.key, j.seed, j.context FROM proposals AS p JOIN jobs AS j ON j.id = p.job"
        " WHERE p.step <= ? AND p.status = 'trained' AND j.kind = 'search' AND j.status = 'done'"
        " ORDER BY p.step DESC, p.meta_reward DESC, p.id LIMIT 1",
        (step,),
    )
    return _policy(run, rows[0]) if rows else None


def kept_at(run: Run, step: int, key: str, job: InnerJob) -> str | None:
    """Where the policy of a run of this step is kept, None where none is."""
    if run.config.meta.start != "best":
        return None
    return str(_place(run, step, key, job.seed, digest(job)))


def prune(run: Run, step: int) -> None:
    """Remove what a step left, but for the policy that the next one starts from."""
    best = left_by(run, step)
    for folder in (run.folder / _FOLDER).glob(f"step-{step}-*"):
        if best is None or str(folder) != best.path:
            shutil.rmtree(folder)


def _policy(run: Run, row: dict[str, Any]) -> Policy:
    """The policy of a job: how it came to be holds all that came before."""
    place = _place(run, row["step"], row["key"], row["seed"], row["context"])
    return Policy(str(place), f"{row['context']}/{row['key']}/{row['seed']}")


def _place(run: Run, step: int, key: str, seed: int, context: str) -> Path:
    return run.folder / _FOLDER / f"step-{step}-{key[-12:]}-{context[:8]}-{seed}"
