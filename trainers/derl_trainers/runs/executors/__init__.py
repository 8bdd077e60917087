"""Executors: where jobs are computed. In this process, or in worker processes that stay warm.

All take jobs with `submit` and report with `poll`, in one thread: whoever owns the run store is
the only one who writes it. Those on Ray are in ray_executor.py.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess
from typing import Any, Literal, Protocol

from derl_trainers.settings.run import ExecutorSection
from derl_trainers.runs.jobs import Job

# One thread a process: two busy workers on two cores must not fight over them.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
_PRELOAD = "derl_trainers.runs.executors.preload"
_PROGRESS_EVERY = 0.2  # seconds between progress events of one job
_GRACE = 5.0  # seconds a worker has to go when it is asked to


@dataclass(frozen=True, slots=True)
class Event:
    """News of a job: it started, moved on, is done (`result`) or broke (`error`).

    `lost` says that its worker died (`error`), and that it will start again elsewhere. `worker` is
    the process id; `seconds` the job's run time so far. The error's first line says what happened,
    the rest where.
    """

    job: int
    kind: Literal["started", "progress", "lost", "done", "failed"]
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
            compute(*self.queue.popleft(), listener)

    def close(self) -> None:
        """Forget what is queued."""
        self.queue.clear()


@dataclass(frozen=True, slots=True)
class Task:
    """A job with its name, and how many workers died of it or under it."""

    name: int
    job: Job
    losses: int = 0


class Queue:
    """Jobs that wait for a worker; one whose worker died waits again, up to `retries` times.

    A job gives the same result wherever it runs, so trying again costs time and nothing else. One
    that raised would raise again: it is not tried again.
    """

    def __init__(self, retries: int) -> None:
        self.retries = retries
        self.waiting: deque[Task] = deque()

    def lost(self, task: Task, worker: int, seconds: float, how: str, more: str = "") -> Event:
        """What becomes of a job whose worker died: `how` in a line, and what more is known."""
        again = task.losses < self.retries
        if again:
            self.waiting.appendleft(replace(task, losses=task.losses + 1))
        elif task.losses:
            how += f"; tried {task.losses + 1} times"
        error = f"{how}\n{more}" if more else how
        return Event(task.name, "lost" if again else "failed", worker, seconds, error=error)


@dataclass(slots=True)
class _Worker:
    """A worker process as its owner sees it; `task` is what it computes now, since `since`."""

    process: BaseProcess
    pipe: Connection
    task: Task | None = None
    since: float = 0.0


def _context() -> ForkServerContext | SpawnContext:
    """How workers start: forked after the imports where that is safe, as on macOS it is not."""
    if sys.platform == "linux":
        return multiprocessing.get_context("forkserver")
    return multiprocessing.get_context("spawn")


class Workers:
    """Local processes, started at once so that their imports overlap with the owner's.

    On Linux they are forked from one process that has done the imports: they are paid for once,
    their memory is shared, and one that takes a dead one's place is there at once.
    """

    def __init__(self, count: int, retries: int = 0) -> None:
        self.context = _context()
        self.context.set_forkserver_preload([_PRELOAD])
        self.queue = Queue(retries)
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
        self.queue.waiting.append(Task(name, job))
        self._dispatch()

    def _dispatch(self) -> None:
        for i, worker in enumerate(self.workers):
            if worker.task is None and self.queue.waiting:
                if not worker.process.is_alive():
                    worker = self.workers[i] = self._replace(worker)
                task = self.queue.waiting.popleft()
                worker.task, worker.since = task, time.monotonic()
                # A worker that dies just now is found by poll, as the end of its pipe.
                with contextlib.suppress(BrokenPipeError):
                    worker.pipe.send((task.name, task.job))

    def _replace(self, worker: _Worker) -> _Worker:
        worker.pipe.close()
        worker.process.join()
        return self._start()

    def poll(self, listener: Listener, block: bool) -> None:
        """Hand over the events there are; a worker's death concerns its job and no other."""
        busy = {w.pipe: w for w in self.workers if w.task is not None}
        for pipe in wait(list(busy), None if block and busy else 0):
            worker = busy[pipe]  # type: ignore[index]
            try:
                event: Event = worker.pipe.recv()
            except (EOFError, ConnectionError):
                event = self._death(worker)
            if event.kind in ("done", "failed"):
                worker.task = None
            listener(event)
        self._dispatch()

    def _death(self, worker: _Worker) -> Event:
        worker.process.join(_GRACE)
        code, pid = worker.process.exitcode, worker.process.pid or 0
        how = f"exit status {code}"
        if code is not None and code < 0:
            how = f"killed by {signal.Signals(-code).name}"
        self.workers[self.workers.index(worker)] = self._replace(worker)
        assert worker.task is not None
        seconds = time.monotonic() - worker.since
        return self.queue.lost(worker.task, pid, seconds, f"worker {pid} died: {how}")

    def close(self) -> None:
        """End the workers at once, also in the middle of a job."""
        self.queue.waiting.clear()
        for worker in self.workers:
            worker.process.terminate()
            worker.pipe.close()
        for worker in self.workers:
            worker.process.join(_GRACE)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()


def make_executor(config: ExecutorSection) -> Executor:
    """The executor of a config; its workers are starting when this returns.

    Raises ConfigError when Ray is wanted and is not installed, not to be reached, or lacks what a
    worker needs.
    """
    if config.kind == "inprocess":
        return InProcess()
    if config.kind == "workers":
        return Workers(config.workers, config.retries)
    from derl_trainers.runs.executors.ray import RayWorkers

    return RayWorkers(config)


def prepare(config: ExecutorSection) -> None:
    """Let the imports of local workers begin beside the caller's own; make_executor waits less."""
    if config.kind == "workers" and sys.platform == "linux":
        _context().set_forkserver_preload([_PRELOAD])
        forkserver.ensure_running()


def warm_up(threads: int) -> None:
    """Make a worker process ready: what every inner run needs is loaded once, here."""
    os.environ.update({**ENVIRONMENT, "OMP_NUM_THREADS": str(threads)})
    # Faults of a reward go home with its result; the screen is the owner's.
    logging.getLogger("derl_runtime").addHandler(logging.NullHandler())
    import torch

    torch.set_num_threads(threads)
    import derl_trainers.inner.loop  # noqa: F401 - imports take longer than a short inner run


def _work(pipe: Connection) -> None:
    """A worker's life: take a job, compute it, again; it ends with its owner."""
    # Ctrl-C reaches the whole group; the owner decides what becomes of the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warm_up(threads=1)
    from derl_trainers.policy.quiet import quiet

    # The owner is gone when the pipe is: there is nobody left to tell.
    with quiet(), contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            name, job = pipe.recv()
            compute(name, job, pipe.send)


def compute(name: int, job: Job, listener: Listener) -> None:
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
