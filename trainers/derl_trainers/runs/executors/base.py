"""What every executor shares: events, the queue of jobs, a worker made warm, one job computed."""

from __future__ import annotations

import logging
import os
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from derl_trainers.inner.reward import Diverged, RewardFault
from derl_trainers.runs.jobs import Job, Progress

# One thread a process: two busy workers on two cores must not fight over them.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
_PROGRESS_EVERY = 0.2  # seconds between progress events of one job


@dataclass(frozen=True, slots=True)
class Event:
    """News of a job: it started, moved on, is done (`result`) or broke (`error`).

    `lost` says that its worker died (`error`), and that it will start again elsewhere. `worker` is
    the process id; `seconds` the job's run time so far. The error's first line says what happened,
    the rest where; `cause` whether the reward itself broke the job, or the machine.
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
    cause: Literal["reward", "machine"] = "machine"


Listener = Callable[[Event], None]


class Executor(Protocol):
    """Computes jobs; `close` ends whatever still runs."""

    def submit(self, name: int, job: Job) -> None:
        """Queue a job; its events carry `name`."""

    def poll(self, listener: Listener, block: bool) -> None:
        """Hand over the events there are; with `block`, wait for one if there is work at all."""

    def close(self) -> None:
        """Stop everything."""


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


def warm_up(threads: int) -> None:
    """Make a worker process ready: what every inner run needs is loaded once, here."""
    os.environ.update({**ENVIRONMENT, "OMP_NUM_THREADS": str(threads)})
    # Faults of a reward go home with its result; the screen is the owner's.
    logging.getLogger("derl_runtime").addHandler(logging.NullHandler())
    set_threads(threads)
    import derl_trainers.inner.loop  # noqa: F401 - imports take longer than a short inner run


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Within it torch computes with so many threads; 0 leaves them alone."""
    if not count:
        yield
        return
    before = set_threads(count)
    try:
        yield
    finally:
        set_threads(before)


def set_threads(count: int) -> int:
    """Give torch so many threads from here on; returns how many it had."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    return before


class Runnable(Protocol):
    """What a worker needs of a job."""

    def run(self, progress: Progress) -> dict[str, Any]:
        """Compute it."""


def compute(name: int, job: Runnable, listener: Listener) -> None:
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
        own = isinstance(error, RewardFault | Diverged)
        seconds = time.monotonic() - start
        cause: Literal["reward", "machine"] = "reward" if own else "machine"
        listener(Event(name, "failed", pid, seconds, error=text, cause=cause))
        return
    listener(Event(name, "done", pid, time.monotonic() - start, result=result))
