"""The runner: jobs go to the store, then to the executor; their news to the store, then shown.

A job that the store has as done already, from before a run was killed, is not computed again; with
a memo, neither is one that another run of the same comparison has computed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from derl_trainers.inner.race import Bar, holds
from derl_trainers.runs.executors import Event, Executor
from derl_trainers.runs.jobs import Job, digest
from derl_trainers.runs.memo import Memo
from derl_trainers.runs.store import Store
from derl_trainers.runs.view import View

_ALIKE = 3  # failures in a row that are no accident


class JobFailed(RuntimeError):
    """A job that the run cannot do without broke; the message says which and why."""


class Runner:
    """Owns the store, the executor and the view of one run; one thread, one writer."""

    def __init__(
        self, store: Store, executor: Executor, view: View, memo: Memo | None = None
    ) -> None:
        self.store = store
        self.executor = executor
        self.view = view
        self.memo = memo
        self.results: dict[int, dict[str, Any]] = {}
        self.errors: dict[int, str] = {}
        self.shared: dict[int, tuple[str, tuple[Bar, ...]]] = {}  # known by what in the memo
        self.alike = 0  # failures in a row that say the same as `last`
        self.last = ""

    def _compare_error(self, event: Event) -> None:
        """Count failures in a row that say the same, but for numbers such as a process id."""
        said = event.error.splitlines()[0]
        same = re.sub(r"\d+", "", said) == re.sub(r"\d+", "", self.last)
        self.alike = self.alike + 1 if same and event.cause == "machine" else 1
        self.last = said

    def submit(
        self,
        kind: str,
        label: str,
        seed: int,
        job: Job,
        formula: str | None = None,
        key: str | None = None,
    ) -> int:
        """Queue a job, unless its result is known; returns its id in the store."""
        context = digest(job)
        known = self.store.find_job(kind, label, seed, formula, context)
        # A policy that is to be kept is no part of a result: it has to be there.
        keep = getattr(job, "save_to", None)
        if known is not None and (keep is None or Path(keep).exists()):
            self.results[known["id"]] = json.loads(known["result"])
            return int(known["id"])
        name = self.store.add_job(kind, label, seed, formula, key, context)
        if self.memo is not None and key is not None:
            self.shared[name] = f"{context}/{key}/{seed}", getattr(job, "race", ())
            found = self._served(*self.shared[name]) if keep is None else None
            if found is not None:
                result, seconds = found
                self.store.finish_job(name, result["pass_at_1"], seconds, result)
                self.results[name] = result
                return name
        self.view.queued(name, formula or label)
        self.executor.submit(name, job)
        return name

    def _served(self, word: str, race: tuple[Bar, ...]) -> tuple[dict[str, Any], float] | None:
        """What another run computed; of one that was raced, what these bars would have given."""
        assert self.memo is not None
        found = self.memo.get(word + _raced(race))
        return found if found is None or not race or holds(found[0], race) else None

    def _share(self, event: Event) -> None:
        """Keep a result for other runs; what was raced to its end is what it is without a race."""
        if self.memo is None or event.job not in self.shared:
            return
        word, race = self.shared[event.job]
        for name in {word + _raced(race), *([word] if "below" not in event.result else [])}:
            self.memo.put(name, event.result, event.seconds)

    def again(self, kind: str, label: str, seed: int, job: Job) -> int:
        """Queue a job that was done once and whose files are gone."""
        name = self.store.add_job(kind, label, seed, None, None, digest(job))
        self.view.queued(name, label)
        self.executor.submit(name, job)
        return name

    def pump(self) -> None:
        """Take in the news there are, without waiting."""
        self.executor.poll(self._on_event, block=False)

    def wait(self, names: Iterable[int]) -> None:
        """Wait until all these jobs are done or broken."""
        pending = set(names)
        for name in pending:
            self._recall(name)
        while not pending <= self.results.keys() | self.errors.keys():
            self.executor.poll(self._on_event, block=True)
            if self.alike >= _ALIKE:  # two may come at once
                self.alike = 0  # who goes on all the same counts anew
                raise JobFailed(f"{_ALIKE} runs in a row failed alike: {self.last}")

    def result(self, name: int) -> dict[str, Any]:
        """Wait for one job; raises JobFailed when it broke."""
        self.wait([name])
        if name in self.errors:
            label = self.store.job(name)["label"]
            raise JobFailed(f"{label}: {self.errors[name].splitlines()[0]}")
        return self.results[name]

    def score(self, name: int) -> float:
        """The validation score of one job."""
        return float(self.result(name)["pass_at_1"])

    def failed_itself(self, name: int) -> bool:
        """Whether a job broke through its reward and not through the machine."""
        return bool(self.store.job(name)["cause"] == "reward")

    def _recall(self, name: int) -> None:
        """What came of a job that ended before this process began."""
        if name not in self.results and name not in self.errors:
            row = self.store.job(name)
            if row["status"] == "done":
                self.results[name] = json.loads(row["result"])
            elif row["status"] == "failed":
                self.errors[name] = row["error"]

    def _on_event(self, event: Event) -> None:
        if event.kind == "started":
            self.store.start_job(event.job, event.worker)
        elif event.kind == "lost":
            self.store.note_job(event.job, event.error)
        elif event.kind == "done":
            score = event.result.get("pass_at_1")
            self.store.finish_job(event.job, score, event.seconds, event.result)
            self.results[event.job] = event.result
            self.alike = 0
            self._share(event)
        elif event.kind == "failed":
            self.store.fail_job(event.job, event.error, event.cause)
            self.errors[event.job] = event.error
            self._compare_error(event)
        self.view.event(event)


def _raced(race: tuple[Bar, ...]) -> str:
    """The steps at which a run was validated, as a part of its name in the memo."""
    return "".join(f"/{bar.step}" for bar in race)
