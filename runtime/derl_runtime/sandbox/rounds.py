"""Many jobs in rounds: as many at once as there are cores, quick ones first, one deadline for all.

A job decides a few things one after the other, such as rows or tests, and says so as it goes. Each
has a moment in the first round; a job that is late with one is ended, and that one waits until all
others had their turn. So what hangs costs what is left when the others are done.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import socket
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

_READ = 1 << 18


@dataclass(slots=True)
class Task:
    """Items that one job decides, in order; its round says how long each may take."""

    items: Sequence[int]
    round: int = 0


@dataclass(slots=True)
class Run:
    """A job at work: what was read of it, and since when it has said nothing new."""

    task: Task
    reply: int
    sockets: Sequence[socket.socket]
    since: float = field(default_factory=time.monotonic)
    data: bytearray = field(default_factory=bytearray)
    known: int = 0  # items that are decided
    status: tuple[int, float] | None = None

    def end(self) -> None:
        """Have its processes killed and let go of it."""
        os.close(self.reply)
        for each in self.sockets:
            each.close()


class Work(Protocol):
    """What the jobs of a batch are about."""

    def start(self, task: Task) -> Run:
        """Start the job of a task; raises ZygoteGone."""

    def seconds(self, run: Run) -> float:
        """How long the item that a job is at may take."""

    def read(self, run: Run) -> bool:
        """Take in what has come of it; False has it ended."""

    def judge(self, run: Run, *, late: bool) -> Sequence[Task]:
        """What an ended job leaves undecided, as new tasks; those of a later round are for it."""


class Rounds:
    """Runs tasks until none is left, or until a deadline."""

    def __init__(self, work: Work, tasks: Sequence[Task], rounds: int, at_once: int) -> None:
        self.work, self.at_once = work, at_once
        self.waiting: list[deque[Task]] = [deque() for _ in range(rounds)]
        self.waiting[0].extend(tasks)
        self.live: dict[int, Run] = {}
        self.poll = select.poll()

    def run(self, end: float) -> None:
        """Run them all, or until `end` on the monotonic clock. No process is left running."""
        try:
            while (now := time.monotonic()) < end:
                while len(self.live) < self.at_once and (task := self._next()) is not None:
                    run = self.work.start(task)
                    self.live[run.reply] = run
                    self.poll.register(run.reply, select.POLLIN)
                if not self.live:
                    return
                self._wait(min([end, *map(self._ends, self.live.values())]) - now)
                now = time.monotonic()
                for run in [r for r in self.live.values() if now >= self._ends(r)]:
                    self._over(run, late=True)
        finally:
            for run in self.live.values():
                run.end()

    def _next(self) -> Task | None:
        return next((queue.popleft() for queue in self.waiting if queue), None)

    def _ends(self, run: Run) -> float:
        return run.since + self.work.seconds(run)

    def _wait(self, seconds: float) -> None:
        for descriptor, _ in self.poll.poll(max(0, math.ceil(seconds * 1000))):
            run = self.live[descriptor]
            piece = b""
            with contextlib.suppress(BlockingIOError):
                piece = os.read(descriptor, _READ)
            run.data += piece
            if not piece or not self.work.read(run):
                self._over(run, late=False)

    def _over(self, run: Run, *, late: bool) -> None:
        self.poll.unregister(run.reply)
        del self.live[run.reply]
        try:
            for task in self.work.judge(run, late=late):
                self.waiting[task.round].append(task)
        finally:
            run.end()


def at_once() -> int:
    """How many jobs are worth running at once."""
    return max(1, len(os.sched_getaffinity(0)))
