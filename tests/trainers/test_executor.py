"""Executors, with real processes: order, errors, a killed worker, and a quick end."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from derl_trainers.config import ExecutorSection
from derl_trainers.executor import Event, Executor, Workers, make_executor


@dataclass(frozen=True)
class Square:
    number: int

    def run(self, progress: Callable[[int, int, dict[str, float]], None]) -> dict[str, Any]:
        progress(1, 2, {"x": 1.0})
        progress(2, 2, {"x": 2.0})
        return {"square": self.number**2, "pid": os.getpid()}


@dataclass(frozen=True)
class Broken:
    def run(self, progress: object) -> dict[str, Any]:
        raise ValueError("no such thing")


@dataclass(frozen=True)
class Sleep:
    seconds: float

    def run(self, progress: object) -> dict[str, Any]:
        time.sleep(self.seconds)
        return {"pid": os.getpid()}


def collect(executor: Executor, jobs: int) -> list[Event]:
    events: list[Event] = []
    end = time.monotonic() + 60
    while sum(e.kind in ("done", "failed") for e in events) < jobs:
        assert time.monotonic() < end
        executor.poll(events.append, block=True)
    return events


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    executor = Workers(2)
    yield executor
    executor.close()


@pytest.mark.parametrize("kind", ["workers", "inprocess"])
def test_jobs_report_their_course_and_their_errors(kind: str, workers: Workers) -> None:
    executor = workers if kind == "workers" else make_executor(ExecutorSection(kind=kind))
    for name in range(3):
        executor.submit(name, Square(name))
    executor.submit(3, Broken())
    events = collect(executor, 4)
    for name in range(3):
        mine = [e for e in events if e.job == name]
        assert [mine[0].kind, mine[-1].kind] == ["started", "done"]
        assert mine[-1].result["square"] == name**2
        assert [(e.step, e.total) for e in mine if e.kind == "progress"][-1] == (2, 2)
    (failed,) = [e for e in events if e.kind == "failed"]
    assert failed.job == 3
    assert failed.error.splitlines()[0] == "ValueError: no such thing"
    pids = {e.result["pid"] for e in events if e.kind == "done"}
    assert (os.getpid() in pids) is (kind == "inprocess")


def test_a_killed_worker_fails_its_job_alone(workers: Workers) -> None:
    workers.submit(1, Sleep(30))
    workers.submit(2, Sleep(0.2))
    workers.submit(3, Square(3))
    events: list[Event] = []
    while not any(e.kind == "started" and e.job == 1 for e in events):
        workers.poll(events.append, block=True)
    victim = next(e.worker for e in events if e.kind == "started" and e.job == 1)
    os.kill(victim, signal.SIGKILL)
    left = 3 - sum(e.kind in ("done", "failed") for e in events)
    events += collect(workers, left)
    ends = {e.job: e for e in events if e.kind in ("done", "failed")}
    assert ends[1].error == f"worker {victim} died: killed by SIGKILL"
    assert ends[3].result["square"] == 9
    assert ends[2].kind == "done"
    # Its place is taken: both run side by side.
    workers.submit(4, Sleep(0.5))
    workers.submit(5, Sleep(0.5))
    again = collect(workers, 2)
    assert len({e.result["pid"] for e in again if e.kind == "done"}) == 2


def test_a_worker_that_dies_idle_is_replaced(workers: Workers) -> None:
    for worker in workers.workers:
        assert worker.process.pid is not None
        os.kill(worker.process.pid, signal.SIGKILL)
        worker.process.join()
    workers.submit(1, Square(4))
    assert collect(workers, 1)[-1].result["square"] == 16


def test_close_ends_busy_workers_at_once() -> None:
    executor = Workers(1)
    executor.submit(1, Sleep(60))
    events: list[Event] = []
    while not events:
        executor.poll(events.append, block=True)
    start = time.monotonic()
    executor.close()
    assert time.monotonic() - start < 5
    assert all(not w.process.is_alive() for w in executor.workers)
