"""Threads that share one batch: a job is its parts, a team those who compute them.

Parts are taken one after the other in machine code (`llvm/sharing.py`). Threads look for the next
job for a moment before they sleep: waking one takes as long as some ten thousand rows.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np

from derl_dsl.backends.llvm import sharing
from derl_dsl.backends.llvm.source import linked
from derl_dsl.backends.threads import Part


class Job:
    """The parts of a batch for some threads, each with a record of what it calls (`RECORD`).

    `fields` says where each block starts and which groups it has; of a part so many blocks go into
    one call. Calling it computes all parts and says whether every check held.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        records: Sequence[tuple[int, int, int, int]],
        fields: dict[str, int],
        chunk: int,
    ) -> None:
        self.takers = len(records)
        self._parts = np.array(parts, np.int64)
        self._records = np.array(records, np.int64)
        found = (self._parts, self._records)
        at = [array.__array_interface__["data"][0] for array in found]
        self.fields = np.array(
            [self.takers, len(parts), *at, fields["blocks"], fields["block_groups"], chunk, 0],
            np.int64,
        )

    def __call__(self) -> bool:
        """Compute all parts; not safe in threads."""
        return team().lead(self) if self.takers > 1 else Team().alone(self)


class Team:
    """Threads that help with one job at a time; they start when a job first wants them."""

    def __init__(self) -> None:
        self._code = _code()
        self._cells = np.zeros(sharing.SIZE, np.int64)
        self._at = self._cells.__array_interface__["data"][0]
        self._leading = threading.Lock()
        self._process = os.getpid()
        self._helpers: list[threading.Thread] = []

    def lead(self, job: Job) -> bool:
        """Compute a job with those who help; alone while another thread leads."""
        if not self._leading.acquire(blocking=False):
            return Team().alone(job)
        try:
            with suppress(RuntimeError):  # the system gives no more threads: those that there are
                for k in range(len(self._helpers) + 1, job.takers):
                    self._start(k)
            return self.alone(job)
        finally:
            self._leading.release()

    def alone(self, job: Job) -> bool:
        """Compute a job with the threads that there are."""
        self._cells[sharing.FIRST :] = job.fields
        return bool(self._code.lead(self._at))

    def _start(self, k: int) -> None:
        if not self._helpers:  # what nobody sleeps on needs no lock
            library = ctypes.CDLL(None)
            lock, condition = (
                ctypes.c_void_p(self._at + 8 * field) for field in (sharing.LOCK, sharing.CONDITION)
            )
            library.pthread_mutex_init(lock, None)
            library.pthread_cond_init(condition, None)
        work = partial(self._code.help, self._at, k)
        helper = threading.Thread(target=work, name=f"derl-dsl-rows-{k}", daemon=True)
        helper.start()
        self._helpers.append(helper)

    def stop(self) -> None:
        """End the threads; in a forked process there are none."""
        if not self._helpers or os.getpid() != self._process:
            return
        self._cells[sharing.STOP] = 1
        self._code.wake(self._at)
        for helper in self._helpers:
            helper.join(1)


@lru_cache(maxsize=1)
def team() -> Team:
    """The threads of this process."""
    found = Team()
    # Their code goes with the interpreter: they must not be running it then.
    atexit.register(found.stop)
    return found


class _Code(NamedTuple):
    """What leads, helps and wakes, in machine code; other Python threads run meanwhile."""

    lead: Any
    help: Any
    wake: Any
    library: Any


@lru_cache(maxsize=1)
def _code() -> _Code:
    library = ctypes.CDLL(None)
    imports = {
        ours: ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0
        for ours, name in sharing.IMPORTS.items()
    }
    names = ("derl_lead", "derl_help", "derl_wake")
    found = linked("team", sharing.write, names, imports)
    number, at = ctypes.c_int64, ctypes.c_void_p
    kinds: tuple[Any, ...] = ((number, at), (None, at, number), (None, at))
    lead, help, wake = (
        ctypes.CFUNCTYPE(*kind)(found.addresses[name])
        for kind, name in zip(kinds, names, strict=True)
    )
    return _Code(lead, help, wake, found)


if hasattr(os, "register_at_fork"):
    # A forked process has none of the threads.
    os.register_at_fork(after_in_child=team.cache_clear)
