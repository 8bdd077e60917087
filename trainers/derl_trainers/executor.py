"""Executors: where jobs are computed. In this process, or in local worker processes that stay warm.

Both take jobs with `submit` and report with `poll`, in one thread: whoever owns the run store is
the only one who writes it.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Literal, Protocol

from derl_trainers.config import ExecutorSection
from derl_trainers.jobs import Job

# One thread a process: two busy workers on two cores must not fight over them.
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
}
_PROGRESS_EVERY = 0.2  # seconds between progress events of one job
_GRACE = 5.0  # seconds a worker has to go when it is asked to


@dataclass(frozen=True, slots=True)
class Event:
    """News of a job: it started, moved on, is done (`result`) or broke (`error`).

    `worker` is the process id; `seconds` the job's run time so far. The error's first line says
    what happened, the rest where.
    """

    job: int
    kind: Literal["started", "progress", "done", "failed"]
    worker: int
    seconds: float = 0.0
    step: int = 0
    total: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)
    error: str = ""


Listener = Callable[[Event], None]


class Executor(Protocol):
    """Computes jobs; `close` ends whatever still runs."""

    def submit(self, name: int, job: Job) -> None:
        """Queue a job; its events carry `name`."""

    def poll(self, listener: Listener, block: bool) -> None:
        """Hand over the events there are; with `block`, wait for one if there is work at all."""

    def close(self) -> None:
        """Stop everything."""


class InProcess:
    """One job after the other, in this process; `poll` with `block` computes the next."""

    def __init__(self) -> None:
        self.queue: deque[tuple[int, Job]] = deque()

    def submit(self, name: int, job: Job) -> None:
        """Queue a job."""
        self.queue.append((name, job))

    def poll(self, listener: Listener, block: bool) -> None:
        """Compute the next job when `block` is set; nothing happens otherwise."""
        if block and self.queue:
            _compute(*self.queue.popleft(), listener)

    def close(self) -> None:
        """Forget what is queued."""
        self.queue.clear()


@dataclass(slots=True)
class _Worker:
    """A worker process as its owner sees it; `job` is what it computes now, since `since`."""

    process: BaseProcess
    pipe: Connection
    job: int | None = None
    since: float = 0.0


class Workers:
    """Local processes, started at once so that their imports overlap with the owner's."""

    def __init__(self, count: int) -> None:
        self.context = multiprocessing.get_context("spawn")
        self.queue: deque[tuple[int, Job]] = deque()
        self.workers = [self._start() for _ in range(count)]

    def _start(self) -> _Worker:
        ours, theirs = self.context.Pipe()
        process = self.context.Process(target=_work, args=(theirs,), daemon=True)
        process.start()
        # With our copy closed, the worker's death is the end of the pipe.
        theirs.close()
        return _Worker(process, ours)

    def submit(self, name: int, job: Job) -> None:
        """Queue a job and hand it to a worker as soon as one is free."""
        self.queue.append((name, job))
        self._dispatch()

    def _dispatch(self) -> None:
        for i, worker in enumerate(self.workers):
            if worker.job is None and self.queue:
                if not worker.process.is_alive():
                    worker = self.workers[i] = self._replace(worker)
                name, job = self.queue.popleft()
                worker.job, worker.since = name, time.monotonic()
                # A worker that dies just now is found by poll, as the end of its pipe.
                with contextlib.suppress(BrokenPipeError):
                    worker.pipe.send((name, job))

    def _replace(self, worker: _Worker) -> _Worker:
        worker.pipe.close()
        worker.process.join()
        return self._start()

    def poll(self, listener: Listener, block: bool) -> None:
        """Hand over the events there are; a worker's death fails its job and no other."""
        busy = {w.pipe: w for w in self.workers if w.job is not None}
        for pipe in wait(list(busy), None if block and busy else 0):
            worker = busy[pipe]  # type: ignore[index]
            try:
                event: Event = worker.pipe.recv()
            except (EOFError, ConnectionError):
                event = self._death(worker)
            if event.kind in ("done", "failed"):
                worker.job = None
            listener(event)
        self._dispatch()

    def _death(self, worker: _Worker) -> Event:
        worker.process.join(_GRACE)
        code, pid = worker.process.exitcode, worker.process.pid or 0
        how = f"exit status {code}"
        if code is not None and code < 0:
            how = f"killed by {signal.Signals(-code).name}"
        self.workers[self.workers.index(worker)] = self._replace(worker)
        assert worker.job is not None
        seconds = time.monotonic() - worker.since
        return Event(worker.job, "failed", pid, seconds, error=f"worker {pid} died: {how}")

    def close(self) -> None:
        """End the workers at once, also in the middle of a job."""
        self.queue.clear()
        for worker in self.workers:
            worker.process.terminate()
            worker.pipe.close()
        for worker in self.workers:
            worker.process.join(_GRACE)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()


def make_executor(config: ExecutorSection) -> Executor:
    """The executor of a config; with workers, they are starting when this returns."""
    return Workers(config.workers) if config.kind == "workers" else InProcess()


def _work(pipe: Connection) -> None:
    """A worker's life: take a job, compute it, again; it ends with its owner."""
    # Ctrl-C reaches the whole group; the owner decides what becomes of the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(_ENVIRONMENT)
    # Faults of a reward go home with its result; the screen is the owner's.
    logging.getLogger("derl_runtime").addHandler(logging.NullHandler())
    import torch

    torch.set_num_threads(1)
    from derl_trainers.quiet import quiet

    # The owner is gone when the pipe is: there is nobody left to tell.
    with quiet(), contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            name, job = pipe.recv()
            _compute(name, job, pipe.send)


def _compute(name: int, job: Job, listener: Listener) -> None:
    """Run one job and report; its errors are events."""
    start, pid, last = time.monotonic(), os.getpid(), 0.0
    listener(Event(name, "started", pid))

    def progress(step: int, total: int, metrics: dict[str, float]) -> None:
        nonlocal last
        seconds = time.monotonic() - start
        if seconds - last >= _PROGRESS_EVERY or step == total:
            last = seconds
            listener(Event(name, "progress", pid, seconds, step, total, metrics))

    try:
        result = job.run(progress)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever a job raises is its result
        text = f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
        listener(Event(name, "failed", pid, time.monotonic() - start, error=text))
        return
    listener(Event(name, "done", pid, time.monotonic() - start, result=result))
