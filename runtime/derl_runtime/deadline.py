"""The deadline of a batch: what others take of the processors is added to it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

# The most that a busy machine puts a deadline off, in times of what it was.
BUSY = 8


class Deadline:
    """Seconds from now, put off by what others take of so many processors.

    `used` tells the seconds of all processors that the batch has used, or that nobody wanted;
    `waited` those for which it waited for one, which is the most that others can have cost it.
    """

    def __init__(
        self,
        seconds: float,
        processors: int,
        used: Callable[[], float],
        waited: Callable[[], float] = lambda: math.inf,
    ) -> None:
        self.seconds, self.processors, self.used, self.waited = seconds, processors, used, waited
        self.start, self.before = time.monotonic(), used()
        self.end = self.start + seconds

    def left(self) -> float:
        """Seconds until then, as far as is known now."""
        left = self.end - time.monotonic()
        if left > 0:
            return left
        put_off = min(self.waited(), self.taken(), BUSY * self.seconds)
        self.end = self.start + self.seconds + max(put_off, 0.0)
        return self.end - time.monotonic()

    def taken(self) -> float:
        """Seconds of each processor that others have had, or that a virtual machine lacked."""
        return time.monotonic() - self.start - (self.used() - self.before) / self.processors
