"""Executors of this machine: one job after the other here, or worker processes that stay warm."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext, SpawnContext
from multiprocessing.process import BaseProcess

from derl_trainers.runs.executors.base import (
    Event,
    Listener,
    Queue,
    Task,
    compute,
    torch_threads,
    warm_up,
)
from derl_trainers.runs.executors.devices import VARIABLE, of_worker
from derl_trainers.runs.jobs import Job
from derl_trainers.settings.run import ExecutorSection

_PRELOAD = "derl_trainers.runs.executors.preload"
_GRACE = 5.0  # seconds a worker has to go when it is asked to


class InProcess:
    """One job after the other, in this process; `poll` with `block` computes the next.

    `threads` are torch's while a job is computed, 0 for as many as there are.
    """

    def __init__(self, threads: int = 0) -> None:
        self.threads = threads
        self.queue: deque[tuple[int, Job]] = deque()

    def submit(self, name: int, job: Job) -> None:
        """Queue a job."""
        self.queue.append((name, job))

    def poll(self, listener: Listener, block: bool) -> None:
        """Compute the next job when `block` is set; nothing happens otherwise."""
        if block and self.queue:
            with torch_threads(self.threads):
                compute(*self.queue.popleft(), listener)

    def close(self) -> None:
        """Forget what is queued."""
        self.queue.clear()


@dataclass(slots=True)
class _Worker:
    """A worker process as its owner sees it; `task` is what it computes now, since `since`."""

    process: BaseProcess
    pipe: Connection
    number: int = 0
    began: float = math.inf  # when the job itself started, its worker being ready
    hung: bool = False
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

    def __init__(
        self,
        count: int,
        retries: int = 0,
        devices: Sequence[str] = (),
        timeout: float = 0.0,
        threads: int = 1,
    ) -> None:
        self.devices = devices
        self.threads = threads
        self.timeout = timeout
        self.context = _context()
        self.context.set_forkserver_preload([_PRELOAD])
        self.queue = Queue(retries)
        self.workers = [self._start(number) for number in range(count)]

    def _start(self, number: int) -> _Worker:
        ours, theirs = self.context.Pipe()
        process = self.context.Process(
            target=_work,
            args=(theirs, of_worker(self.devices, number), self.threads),
            daemon=True,
        )
        process.start()
        # With our copy closed, the worker's death is the end of the pipe.
        theirs.close()
        return _Worker(process, ours, number)

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
        return self._start(worker.number)

    def poll(self, listener: Listener, block: bool) -> None:
        """Hand over the events there are; a worker's death concerns its job and no other."""
        busy = {w.pipe: w for w in self.workers if w.task is not None}
        for pipe in wait(list(busy), self._patience(block)):
            worker = busy[pipe]  # type: ignore[index]
            try:
                event: Event = worker.pipe.recv()
            except (EOFError, ConnectionError):
                event = self._death(worker)
            if event.kind == "started":
                worker.began = time.monotonic()
            if event.kind in ("done", "failed"):
                worker.task, worker.began = None, math.inf
            listener(event)
        self._end_hung()
        self._dispatch()

    def _patience(self, block: bool) -> float | None:
        """How long to wait for news: until the next job would count as hung."""
        busy = [worker.began for worker in self.workers if worker.task is not None]
        if not block or not busy:
            return 0
        ends = min(busy) + self.timeout - time.monotonic()
        return max(0.0, ends) if self.timeout and ends < math.inf else None

    def _end_hung(self) -> None:
        """Kill the workers of hung jobs; their death is news as any other."""
        for worker in self.workers:
            if worker.task is not None and 0 < self.timeout < time.monotonic() - worker.began:
                worker.hung = True
                worker.process.kill()

    def _death(self, worker: _Worker) -> Event:
        worker.process.join(_GRACE)
        code, pid = worker.process.exitcode, worker.process.pid or 0
        how = f"exit status {code}"
        if code is not None and code < 0:
            how = f"killed by {signal.Signals(-code).name}"
        if worker.hung:
            how = f"its job was ended after [executor] timeout = {self.timeout:g} seconds"
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


def prepare(config: ExecutorSection) -> None:
    """Let the imports of local workers begin beside the caller's own; make_executor waits less."""
    if config.kind == "workers" and sys.platform == "linux":
        _context().set_forkserver_preload([_PRELOAD])
        forkserver.ensure_running()


def _work(pipe: Connection, device: str | None, threads: int) -> None:
    """A worker's life: take a job, compute it, again; it ends with its owner."""
    # Ctrl-C reaches the whole group; the owner decides what becomes of the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if device is not None:
        os.environ[VARIABLE] = device
    warm_up(threads)
    from derl_trainers.policy.quiet import quiet

    # The owner is gone when the pipe is: there is nobody left to tell.
    with quiet(), contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            name, job = pipe.recv()
            compute(name, job, pipe.send)
