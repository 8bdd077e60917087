"""The time of a turn: on a busy machine, waiting for a processor is no part of it.

A turn of some seconds is over when its processes have used the processor for as long, with all
their threads, or when as long has passed without their waiting for a processor: what sleeps uses
its turn as well. Where the kernel tells less, seconds are seconds of the clock.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

# The least seconds between two looks at a turn, and the most that it lasts: so many times its
# seconds and one more, for a process may wait for threads of its own.
_LOOK, _PATIENCE = 0.005, 20
# A clock of another process, as the kernel numbers it (`clock_getcpuclockid`).
_SCHEDULED = 2


def processor(pid: int) -> float | None:
    """Seconds of the processor that a process has used with all its threads; None: not told."""
    try:
        return time.clock_gettime(~pid << 3 | _SCHEDULED)
    except OSError:
        return None


def waited(pid: int | str) -> float:
    """Seconds for which a thread, or the first one of a process, has waited for a processor."""
    told = _told(pid, "schedstat").split()
    return int(told[1]) * 1e-9 if len(told) > 1 else 0.0


def runs(pid: int) -> bool:
    """Whether a process runs, or would if it had a processor."""
    return _told(pid, "stat").rpartition(b") ")[2][:1] in (b"R", b"D")


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
        self._used = sum(processor(pid) or 0.0 for pid in pids)

    def ends(self, seconds: float) -> float:
        """When to look whether a turn of this length is over, on the monotonic clock."""
        return self.since + seconds + self.granted

    def over(self, seconds: float, pids: Sequence[int]) -> bool:
        """Whether it is, at that time; else it is granted more."""
        if not pids:  # nothing has started
            self.granted += _LOOK
            return False
        self.waited = sum(map(waited, pids))
        told = [processor(pid) for pid in pids]
        used = sum(t or 0.0 for t in told) - self._used
        if None in told or used >= seconds or self.granted > _PATIENCE * seconds + 1:
            return True
        own = used
        if not any(map(runs, pids)):  # how long one waits is told when it runs again
            own = time.monotonic() - self.since - (self.waited - self._before)
        self.granted += max(seconds - own, _LOOK)
        return own >= seconds
