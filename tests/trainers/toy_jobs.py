"""Jobs that do nothing but square, break or sleep, and the events of an executor that runs them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from derl_trainers.runs.executors import Event, Executor


@dataclass(frozen=True)
class Square:
    number: int

    def run(self, progress: Callable[[int, int, dict[str, float]], None]) -> dict[str, Any]:
        progress(1, 2, {"x": 1.0})
        progress(2, 2, {"x": 2.0})
        threads = os.environ.get("OMP_NUM_THREADS")
        return {"square": self.number**2, "pid": os.getpid(), "threads": threads}


@dataclass(frozen=True)
class Broken:
    def run(self, progress: object) -> dict[str, Any]:
        raise ValueError("no such thing")


@dataclass(frozen=True)
class Sleep:
    """Sleeps, but not when it is tried again: then the file is there."""

    seconds: float
    mark: str = ""

    def run(self, progress: object) -> dict[str, Any]:
        if not self.mark or not Path(self.mark).exists():
            Path(self.mark or os.devnull).touch()
            time.sleep(self.seconds)
        return {"pid": os.getpid()}


def collect(executor: Executor, jobs: int, seconds: float = 60) -> list[Event]:
    """The events until so many jobs have ended."""
    events: list[Event] = []
    end = time.monotonic() + seconds
    while sum(e.kind in ("done", "failed") for e in events) < jobs:
        assert time.monotonic() < end
        executor.poll(events.append, block=True)
    return events
