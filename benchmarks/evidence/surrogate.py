"""A search on a surrogate: the real outer loop, a landscape in place of inner runs.

Cold start, sampling, checker, equal rewards, meta-rewards, outer GRPO and confirmation are those of
`meta-train`; only the executor differs: it answers an inner run with a draw from the landscape.
"""

from __future__ import annotations

import shutil
import time
from collections import deque
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from benchmarks.evidence.landscape import Floats, Landscape
from derl_trainers.outer.confirm import confirm
from derl_trainers.outer.judge import apart
from derl_trainers.outer.meta import search, warm_start
from derl_trainers.outer.run import Run
from derl_trainers.runs.executors import Event
from derl_trainers.runs.executors.base import Listener
from derl_trainers.runs.jobs import InnerJob, Job, PolicyJob
from derl_trainers.runs.runner import Runner
from derl_trainers.runs.store import Store
from derl_trainers.runs.versions import versions
from derl_trainers.runs.view import View
from derl_trainers.settings.run import RunConfig

Account = dict[str, Any]
_EVERY = 8  # proposals between points of a curve
_APART = 10_000  # between the seeds that one answer is the mean of


@dataclass(frozen=True, slots=True)
class Answer:
    """How an inner run is answered: with noise or without, by the mean of how many seeds."""

    noise: bool = True
    seeds: int = 1

    def of(self, landscape: Landscape, formula: str, seed: int) -> float:
        """The score that the search is told."""
        if not self.noise:
            return landscape.value(formula)
        draws = [landscape.draw(formula, seed + _APART * k) for k in range(self.seeds)]
        return sum(draws) / len(draws)


PLAIN = Answer()


class Surrogate:
    """An executor that trains nothing: start policies are names, inner runs are answered."""

    def __init__(self, landscape: Landscape, answer: Answer) -> None:
        self.landscape, self.answer = landscape, answer
        self.waiting: deque[tuple[int, Job]] = deque()

    def submit(self, name: int, job: Job) -> None:
        """Queue a job."""
        self.waiting.append((name, job))

    def poll(self, listener: Listener, block: bool) -> None:
        """Answer all that wait."""
        while self.waiting:
            name, job = self.waiting.popleft()
            listener(Event(name, "started", 0))
            listener(Event(name, "done", 0, result=self._result(job)))

    def close(self) -> None:
        """Forget what is queued."""
        self.waiting.clear()

    def _result(self, job: Job) -> dict[str, Any]:
        if isinstance(job, PolicyJob):
            identity = f"surrogate/{self.landscape.start}"
            return {"folder": None, "model": identity, "identity": identity}
        if isinstance(job, InnerJob):
            score = self.answer.of(self.landscape, job.formula, job.seed)
            return {"pass_at_1": score, "tokens": 0, "steps": 1, "problems": 0}
        return {"pass_at_1": 0.0, "problems": 0}


def run_search(
    config: RunConfig, landscape: Landscape, answer: Answer, folder: Path, home: Path
) -> Account:
    """A whole search and its confirmation in `folder`, which is removed; what it came to.

    Cold starts are kept in `home`.
    """
    began = time.perf_counter()
    torch.set_num_threads(1)
    shutil.rmtree(folder, ignore_errors=True)  # one that was killed: seconds, done again
    found = versions()
    store = Store.create(folder, config.name, config.seed, config.to_json(), found)
    executor, view = Surrogate(landscape, answer), View(Console(quiet=True), True)
    with closing(store), closing(executor), store.running(), view:
        view.begin(config, folder, store)
        runner = Runner(store, executor, view)
        run = Run(config, (), folder.absolute(), home.absolute(), runner)
        start, cold = warm_start(run)
        search(run, start, cold)
        confirm(run, start)
        result = _account(store, landscape, answer, config)
    shutil.rmtree(folder)
    return {**result, "seconds": time.perf_counter() - began}


@dataclass(frozen=True, slots=True)
class Point:
    """Where a search stands after so many proposals and inner `runs`, those of a confirmation not
    counted: the score without noise of what would be the best if it ended here and confirmed."""

    proposals: int
    runs: int
    chosen: float | None


@dataclass(frozen=True, slots=True)
class Step:
    """A group: the share that is `valid`, `distinct` rewards and `new` ones, mean scores of the
    valid ones as `told` and as `value` without noise, how much of the squared spread of what is
    heard lies `among` valid formulas, and how much of that is `noise`."""

    valid: float
    distinct: int
    new: int
    told: float | None
    value: float | None
    among: float
    noise: float


def _account(store: Store, landscape: Landscape, answer: Answer, config: RunConfig) -> Account:
    """What a search came to, from its store."""
    rows = store.rows(
        "SELECT step, formula, key, meta_reward, job FROM proposals WHERE step > 0"
        " ORDER BY step, idx"
    )
    jobs = {row["id"] for row in store.rows("SELECT id FROM jobs WHERE kind = 'baseline'")}
    seed, leader = store.run()["seed"], store.best()
    told: dict[str, float] = {}
    texts: dict[str, str] = {}
    curve = []
    for count, row in enumerate(rows, start=1):
        if row["key"] is not None:
            jobs.add(row["job"])
            text = texts.setdefault(row["key"], row["formula"])
            told[text] = row["meta_reward"]
        if count % _EVERY == 0 or count == len(rows):
            chosen = confirmed(told, landscape, answer, seed, config.final.confirm)
            curve.append(Point(count, answer.seeds * len(jobs), chosen))
    steps, seen = [], set[str]()
    for _, group in groupby(rows, key=lambda row: row["step"]):
        steps.append(_step(list(group), seen, landscape, config.meta.rewards == "apart"))
    return {
        "proposals": len(rows),
        "runs": curve[-1].runs,
        "formula": leader["formula"] if leader else None,
        "value": landscape.value(leader["formula"]) if leader else None,
        "valid": sum(row["key"] is not None for row in rows) / len(rows),
        "distinct": len(texts),
        "curve": [asdict(point) for point in curve],
        "steps": [asdict(step) for step in steps],
    }


def _step(
    group: list[dict[str, Any]], seen: set[str], landscape: Landscape, separate: bool
) -> Step:
    valid = [row for row in group if row["key"] is not None]
    keys = {row["key"] for row in valid}
    new = len(keys - seen)
    seen |= keys
    rewards = [row["meta_reward"] for row in group]
    heard = np.array(apart(rewards) if separate else rewards)
    told = np.array([row["meta_reward"] for row in valid])
    values = np.array([landscape.value(row["formula"]) for row in valid])
    of_valid = heard[[row["key"] is not None for row in group]]
    whole, among = _squares(heard), _squares(of_valid)
    luck = _squares(told - values) / (_squares(told) or 1.0)
    return Step(
        len(valid) / len(group), len(keys), new, _mean(told), _mean(values),
        among / whole if whole else 0.0, min(1.0, luck),
    )  # fmt: skip


def _squares(values: Floats) -> float:
    return float(((values - values.mean()) ** 2).sum()) if len(values) else 0.0


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if len(values) else None


def confirmed(
    told: Mapping[str, float], landscape: Landscape, answer: Answer, seed: int, runs: int
) -> float | None:
    """The score without noise of the first to lead by the mean of `runs` seeds, as in `confirm`."""
    means, sure = dict(told), set[str]()
    while means and (leader := max(means, key=means.__getitem__)) not in sure:
        further = [answer.of(landscape, leader, seed + k) for k in range(1, runs)]
        means[leader] = (means[leader] + sum(further)) / runs
        sure.add(leader)
    return landscape.value(leader) if means else None
