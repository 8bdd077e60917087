"""The runner: jobs go to the store, then to the executor; their news to the store, then shown.

A job that the store has as done already, from before a run was killed, is not computed again; with
a memo, neither is one that another run of the same comparison has computed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from derl_trainers.runs.executors import Event, Executor
from derl_trainers.runs.jobs import Job
from derl_trainers.runs.memo import Memo
from derl_trainers.runs.store import Store
from derl_trainers.runs.view import View

# What a score does not depend on, or what the store has in columns of their own. The budget of all
# runs follows from the config and the outcome's own run, which is measured before there is a cap.
_APART = ("formula", "seed", "save_to", "policy_path", "out_dir", "budget")


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
        self.digests: dict[int, str] = {}

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
        if known is not None:
            self.results[known["id"]] = json.loads(known["result"])
            return int(known["id"])
        name = self.store.add_job(kind, label, seed, formula, key, context)
        if self.memo is not None and key is not None:
            self.digests[name] = f"{context}/{key}/{seed}"
            found = self.memo.get(self.digests[name])
            if found is not None:
                result, seconds = found
                self.store.finish_job(name, result["pass_at_1"], seconds, result)
                self.results[name] = result
                return name
        self.view.queued(name, formula or label)
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

    def result(self, name: int) -> dict[str, Any]:
        """Wait for one job; raises JobFailed when it broke."""
        self.wait([name])
        if name in self.errors:
            label = self.store.job(name)["label"]
            raise JobFailed(f"{label}: {self.errors[name].splitlines()[0]}")
        return self.results[name]

    def score(self, name: int, broken: float | None = None) -> float:
        """The validation score of one job; `broken`, where given, for one that broke."""
        self.wait([name])
        if broken is not None and name in self.errors:
            return broken
        return float(self.result(name)["pass_at_1"])

    def _recall(self, name: int) -> None:
        """The result of a job that was done before this process began."""
        if name not in self.results and name not in self.errors:
            row = self.store.job(name)
            if row["status"] == "done":
                self.results[name] = json.loads(row["result"])

    def _on_event(self, event: Event) -> None:
        if event.kind == "started":
            self.store.start_job(event.job, event.worker)
        elif event.kind == "lost":
            self.store.note_job(event.job, event.error)
        elif event.kind == "done":
            score = event.result.get("pass_at_1")
            self.store.finish_job(event.job, score, event.seconds, event.result)
            self.results[event.job] = event.result
            if self.memo is not None and event.job in self.digests:
                self.memo.put(self.digests[event.job], event.result, event.seconds)
        elif event.kind == "failed":
            self.store.fail_job(event.job, event.error)
            self.errors[event.job] = event.error
        self.view.event(event)


def digest(job: Job) -> str:
    """What a job's result depends on besides formula and seed; the same wherever its files lie."""
    values = {k: v for k, v in asdict(job).items() if k not in _APART}  # type: ignore[call-overload]
    # The last folder names a policy by content or by the run that trained it.
    values["start"] = Path(getattr(job, "policy_path", "")).name
    text = json.dumps([type(job).__name__, values], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:24]
