"""Executors, with real processes: order, errors, a killed worker, and a quick end."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from derl_trainers.runs.executors import Event, Executor, Workers, make_executor
from derl_trainers.settings.run import ExecutorSection
from tests.trainers.toy_jobs import Broken, Sleep, Square, collect


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


def started(executor: Executor, job: int, events: list[Event], times: int = 1) -> int:
    """Wait until the job has started so often; the process id of its worker."""
    while True:
        found = [e.worker for e in events if e.kind == "started" and e.job == job]
        if len(found) == times:
            return found[-1]
        executor.poll(events.append, block=True)


def test_a_job_whose_worker_died_is_tried_again(workers: Workers, tmp_path: Path) -> None:
    workers.queue.retries = 1
    events: list[Event] = []
    try:
        workers.submit(1, Sleep(60, str(tmp_path / "mark")))
        workers.submit(2, Sleep(60))
        first, second = started(workers, 1, events), started(workers, 2, events)
        while not (tmp_path / "mark").exists():
            time.sleep(0.01)
        os.kill(first, signal.SIGKILL)
        os.kill(second, signal.SIGKILL)
        third = started(workers, 2, events, times=2)
        os.kill(third, signal.SIGKILL)
        events += collect(workers, 2 - sum(e.kind in ("done", "failed") for e in events))
    finally:
        workers.queue.retries = 0
    lost = {e.job: e.error for e in events if e.kind == "lost"}
    assert lost == {
        1: f"worker {first} died: killed by SIGKILL",
        2: f"worker {second} died: killed by SIGKILL",
    }
    ends = {e.job: e for e in events if e.kind in ("done", "failed")}
    assert ends[1].kind == "done"
    assert ends[2].error == f"worker {third} died: killed by SIGKILL; tried 2 times"


def test_a_killed_worker_fails_its_job_alone(workers: Workers) -> None:
    workers.submit(1, Sleep(30))
    workers.submit(2, Sleep(0.2))
    workers.submit(3, Square(3))
    events: list[Event] = []
    victim = started(workers, 1, events)
    os.kill(victim, signal.SIGKILL)
    events += collect(workers, 3 - sum(e.kind in ("done", "failed") for e in events))
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
