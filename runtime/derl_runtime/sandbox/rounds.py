"""Many jobs in rounds: as many at once as there are cores, quick ones first, one deadline for all.

A job decides a few things one after the other, such as rows or tests, and says so as it goes. Each
has a moment of the processor in the first round; a job that is late with one is ended, and that one
waits until all others had their turn. So what hangs costs what is left when the others are done.
A machine that is busy elsewhere takes time from all: what others have used of the processors while
the jobs waited for one is added to the deadline. What the jobs take from one another is not.
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

from derl_runtime.deadline import Deadline
from derl_runtime.sandbox.turns import Turn, children, idle, processor, reaped, waited
from derl_runtime.sandbox.worker.zygote import NOT_STARTED, STARTED
from derl_runtime.sandbox.zygotes import Zygote

_READ = 1 << 18
_LONGEST_WAIT = 60.0  # seconds: the kernel counts only so far


@dataclass(slots=True)
class Task:
    """Items that one job decides, in order; its round says how long each may take."""

    items: Sequence[int]
    round: int = 0


@dataclass(slots=True)
class Run:
    """A job at work: what was read of it, and the turn of the item that it is at."""

    task: Task
    reply: int
    sockets: Sequence[socket.socket]
    turn: Turn = field(default_factory=Turn)
    data: bytearray = field(default_factory=bytearray)
    known: int = 0  # items that are decided
    loaded: bool = False  # whether it has come to the first one
    pids: dict[socket.socket, int] = field(default_factory=dict)
    programs: Sequence[int] = ()  # which its processes have started in turn

    def next(self) -> None:
        """The turn of the next item begins."""
        self.turn = Turn(self.started())

    def late(self, seconds: float) -> bool:
        """Whether it has used a turn of this length, at the time that the turn said."""
        pids = self.started()
        return self.turn.over(seconds, pids if len(pids) >= len(self.sockets) else ())

    def started(self) -> Sequence[int]:
        """The process ids that are known; the zygote tells each before anything else."""
        for each in self.sockets:
            if each not in self.pids:
                with contextlib.suppress(OSError):
                    told = each.recv(STARTED.size, socket.MSG_DONTWAIT)
                    if len(told) == STARTED.size and told != NOT_STARTED:
                        (self.pids[each],) = STARTED.unpack(told)
        return [*self.pids.values(), *self.programs]

    def find_programs(self) -> None:
        """Count what its processes have started as theirs."""
        with contextlib.suppress(OSError):
            self.programs = [child for pid in self.started() for child in children(pid)]

    def end(self) -> None:
        """Have its processes killed and let go of it."""
        os.close(self.reply)
        for each in self.sockets:
            each.close()


class Work(Protocol):
    """What the jobs of a batch are about."""

    zygote: Zygote

    def start(self, task: Task) -> Run:
        """Start the job of a task; raises ZygoteGone."""

    def seconds(self, run: Run, left: float) -> float:
        """How long a turn is of the item that a job is at; the batch has `left` seconds."""

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
        # Seconds that jobs which are over have waited for a processor, side by side.
        self.lost = 0.0
        self.before = _waited(work)

    def run(self, end: float) -> None:
        """Run them all, or until `end` on the monotonic clock. No process is left running."""
        deadline = Deadline(end - time.monotonic(), at_once(), self._used, self._lost)
        try:
            while (left := deadline.left()) > 0:
                while len(self.live) < self.at_once and (task := self._next()) is not None:
                    run = self.work.start(task)
                    self.live[run.reply] = run
                    self.poll.register(run.reply, select.POLLIN)
                if not self.live:
                    return
                ends = [self._ends(run, left) for run in self.live.values()]
                self._wait(min(left, min(ends) - time.monotonic()))
                left, now = deadline.left(), time.monotonic()
                for run in [r for r in self.live.values() if now >= self._ends(r, left)]:
                    if run.late(self.work.seconds(run, left)):
                        self._late(run)
        finally:
            for run in self.live.values():
                run.end()

    def _lost(self) -> float:
        """Seconds that this batch has waited for processors, which others or its own jobs had."""
        live = [run.turn.waited for run in self.live.values()]
        jobs = self.lost + (sum(live) / len(live) if live else 0.0)
        return jobs + _waited(self.work) - self.before

    def _used(self) -> float:
        """Seconds of all processors that this batch has used, or that nobody wanted."""
        zygote = self.work.zygote.process.pid
        live = (pid for run in self.live.values() for pid in run.started())
        own = time.thread_time() + processor(zygote) + reaped(zygote)
        return own + sum(map(processor, live)) + idle()

    def _next(self) -> Task | None:
        return next((queue.popleft() for queue in self.waiting if queue), None)

    def _ends(self, run: Run, left: float) -> float:
        return run.turn.ends(self.work.seconds(run, left))

    def _wait(self, seconds: float) -> None:
        for descriptor, _ in self.poll.poll(max(0, math.ceil(min(seconds, _LONGEST_WAIT) * 1000))):
            self._take(self.live[descriptor])

    def _take(self, run: Run) -> None:
        """Read what has come of a job, or its end."""
        try:
            piece = os.read(run.reply, _READ)
        except BlockingIOError:
            return
        run.data += piece
        if not piece or not self.work.read(run):
            self._over(run, late=False)

    def _late(self, run: Run) -> None:
        """End a job that is late, unless it was in time and this process has waited since."""
        turn = run.turn
        self._take(run)
        if run.reply in self.live and run.turn is turn:
            self._over(run, late=True)

    def _over(self, run: Run, *, late: bool) -> None:
        self.poll.unregister(run.reply)
        del self.live[run.reply]
        self.lost += run.turn.waited / (len(self.live) + 1)
        try:
            for task in self.work.judge(run, late=late):
                self.waiting[task.round].append(task)
        finally:
            run.end()


def _waited(work: Work) -> float:
    """Seconds for which this thread and the zygote have waited for a processor."""
    return waited() + waited(work.zygote.process.pid)


def at_once() -> int:
    """How many jobs are worth running at once."""
    return max(1, len(os.sched_getaffinity(0)))
