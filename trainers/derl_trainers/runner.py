"""The runner: jobs go to the store, then to the executor; their news to the store, then shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from derl_trainers.executor import Event, Executor
from derl_trainers.jobs import Job
from derl_trainers.store import Store
from derl_trainers.ui import View


class JobFailed(RuntimeError):
    """A job that the run cannot do without broke; the message says which and why."""


class Runner:
    """Owns the store, the executor and the view of one run; one thread, one writer."""

    def __init__(self, store: Store, executor: Executor, view: View) -> None:
        self.store = store
        self.executor = executor
        self.view = view
        self.results: dict[int, dict[str, Any]] = {}
        self.errors: dict[int, str] = {}

    def submit(
        self,
        kind: str,
        label: str,
        seed: int,
        job: Job,
        formula: str | None = None,
        key: str | None = None,
    ) -> int:
        """Queue a job; returns its id in the store."""
        name = self.store.add_job(kind, label, seed, formula, key)
        self.view.queued(name, formula or label)
        self.executor.submit(name, job)
        return name

    def pump(self) -> None:
        """Take in the news there are, without waiting."""
        self.executor.poll(self._on_event, block=False)

    def wait(self, names: Iterable[int]) -> None:
        """Wait until all these jobs are done or broken."""
        pending = set(names)
        while not pending <= self.results.keys() | self.errors.keys():
            self.executor.poll(self._on_event, block=True)

    def result(self, name: int) -> dict[str, Any]:
        """Wait for one job; raises JobFailed when it broke."""
        self.wait([name])
        if name in self.errors:
            label = self.store.rows("SELECT label FROM jobs WHERE id = ?", (name,))[0]["label"]
            raise JobFailed(f"{label}: {self.errors[name].splitlines()[0]}")
        return self.results[name]

    def _on_event(self, event: Event) -> None:
        if event.kind == "started":
            self.store.start_job(event.job, event.worker)
        elif event.kind == "done":
            score = event.result.get("pass_at_1")
            self.store.finish_job(event.job, score, event.seconds, event.result)
            self.results[event.job] = event.result
        elif event.kind == "failed":
            self.store.fail_job(event.job, event.error)
            self.errors[event.job] = event.error
        self.view.event(event)
