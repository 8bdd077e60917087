"""The time of a turn: on a busy machine, waiting for a processor is no part of it.

A turn of some seconds is over when its processes have used the processor for as long, with all
their threads, or when as long has passed without their waiting for a processor: what sleeps uses
its turn as well. Where the kernel tells nothing, seconds are those of the clock.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

# The least seconds between two looks at a turn, and the most that it lasts: so many times its
# seconds and ten more, for a kernel may tell nothing of what it did.
_LOOK, _PATIENCE = 0.005, 200
# A clock of another process, as the kernel numbers it (`clock_getcpuclockid`).
_SCHEDULED = 2
_TICKS = os.sysconf("SC_CLK_TCK")


def processor(pid: int) -> float:
    """Seconds of the processor that a process has used with all its threads; 0 of one that ended.

    Of all that is 0 where the kernel does not tell.
    """
    try:
        return time.clock_gettime(~pid << 3 | _SCHEDULED)
    except OSError:
        return 0.0


def reaped(pid: int) -> float:
    """Seconds of the processor that the children of a process had which it has waited for."""
    told = _told(pid, "stat").rpartition(b") ")[2].split()
    return sum(map(int, told[13:15])) / _TICKS if len(told) > 15 else 0.0


def children(pid: int) -> list[int]:
    """The processes that a process has started and that run."""
    # Numbers are given anew once they run out: a child's may be below its parent's.
    there = [int(n) for n in os.listdir("/proc") if n.isdecimal()]
    return [n for n in there if _told(n, "stat").rpartition(b") ")[2].split()[1:2] == [b"%d" % pid]]


def idle() -> float:
    """Seconds for which the processors that this process may use had nothing to do, summed."""
    ours = {b"cpu%d" % number for number in os.sched_getaffinity(0)}
    lines = (line.split() for line in _told("", "stat").splitlines() if line[:3] == b"cpu")
    return sum(int(ticks) for line in lines if line[0] in ours for ticks in line[4:6]) / _TICKS


def waited(pid: int | None = None) -> float:
    """Seconds for which the threads of a process, or this one, have waited for a processor."""
    name = "schedstat"
    lines = [_told("thread-self", name)] if pid is None else _of_threads(pid, name)
    told = (line.split() for line in lines)
    return sum(int(line[1]) for line in told if len(line) > 1) * 1e-9


def sleeps(pid: int) -> bool:
    """Whether a process neither runs nor would if it had a processor; not said of one that ended.

    Where the kernel tells nothing of processes all of them sleep.
    """
    states = {line.rpartition(b") ")[2][:1] for line in _of_threads(pid, "stat")}
    return states == {b"S"} or not (states or _told("self", "stat"))


def _of_threads(pid: int, name: str) -> list[bytes]:
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []
    return [_told(f"{pid}/task/{thread}", name) for thread in threads]


def _told(pid: int | str, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


class Turn:
    """Since when processes are at one thing, and what they have used for it.

    `pids` are those of the processes that have started; one that starts later counts from zero.
    `waited` is for how long they have waited for a processor since they started, when last seen.
    """

    def __init__(self, pids: Sequence[int] = ()) -> None:
        self.since = time.monotonic()
        self.granted = 0.0
        self.waited = self._before = sum(map(waited, pids))
        self._used = sum(map(processor, pids))

    def ends(self, seconds: float) -> float:
        """When to look whether a turn of this length is over, on the monotonic clock."""
        return self.since + seconds + self.granted

    def over(self, seconds: float, pids: Sequence[int]) -> bool:
        """Whether it is, at that time, else it is granted more; no `pids` before the start."""
        if not pids:
            self.granted += _LOOK
            return False
        self.waited = sum(map(waited, pids))
        used = sum(map(processor, pids)) - self._used
        if used >= seconds or self.granted > _PATIENCE * seconds + 10:
            return True
        own = used
        if all(map(sleeps, pids)):  # how long one waits is told when it runs again
            own = time.monotonic() - self.since - (self.waited - self._before)
        self.granted += max(seconds - own, _LOOK)
        return own >= seconds
