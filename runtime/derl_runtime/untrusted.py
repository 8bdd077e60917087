"""Primitives whose source nobody has read: called in the sandbox, in chunks, by a deadline."""

from __future__ import annotations

import itertools
import math
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from derl_runtime.sandbox_settings import SandboxSettings

if TYPE_CHECKING:
    from derl_runtime.sandbox import Sandbox

# Rows that a failure costs at most, and rows for which a process of their own is worth its start.
_LARGEST_CHUNK, _SMALLEST_CHUNK = 512, 64
_MOST_WORKERS = 8


@dataclass(frozen=True, slots=True)
class Failed:
    """Rows of one call (counted from 0 within it) that failed in one way."""

    kind: str
    message: str
    rows: Sequence[int]


class PrimitiveFailed(Exception):
    """A call of an untrusted primitive that failed; `kind` is the fault's class."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@lru_cache(maxsize=16)
def sandbox(settings: SandboxSettings) -> Sandbox:
    """The sandbox of this process for some settings.

    Raises `derl_runtime.sandbox.Refused` when the machine lacks walls that the level asks for.
    """
    from derl_runtime.sandbox import Sandbox, SandboxLimits

    # Processor time is the second line: a busy loop ends at the deadline.
    limits = SandboxLimits(
        settings.deadline, math.ceil(settings.deadline) + 1, settings.memory * 2**20
    )
    return Sandbox(settings.level, settings.engine, limits)


@dataclass(frozen=True, slots=True)
class Untrusted:
    """A function of one rollout in untrusted source, called for whole columns.

    `where` names the file in messages.
    """

    source: str = field(repr=False)
    function: str
    settings: SandboxSettings
    where: str = field(default="<source>", compare=False)

    def __call__(self, *columns: Any) -> NDArray[np.float64]:
        """The values of whole columns; raises PrimitiveFailed when a row fails."""
        rows = next((len(c) for c in columns if not isinstance(c, str | float | bool)), 1)
        values, failures = self.run(columns, rows)
        if failures:
            raise PrimitiveFailed(failures[0].kind, failures[0].message)
        return values

    def run(
        self, columns: Sequence[Any], rows: int
    ) -> tuple[NDArray[np.float64], tuple[Failed, ...]]:
        """The values of `rows` rows, NaN where a chunk failed, and the failures in row order.

        Chunks run in parallel, each in a process of its own; all of them share one deadline. Which
        rows share a chunk depends on the number of rows and workers alone.
        """
        walls = sandbox(self.settings)
        full = [[c] * rows if isinstance(c, str | float | bool) else c for c in columns]
        until = time.monotonic() + self.settings.deadline
        workers = self.settings.workers or min(os.cpu_count() or 1, _MOST_WORKERS)
        chunks = _chunks(rows, workers)

        def compute(chunk: range) -> NDArray[np.float64] | Failed:
            left = until - time.monotonic()
            late = Failed("timeout", f"no answer within {self.settings.deadline:g} s", chunk)
            if left <= 0:
                return late
            part = [c[chunk.start : chunk.stop] for c in full]
            found = walls.call(self.source, self.function, part, len(chunk), left)
            if isinstance(found, np.ndarray):
                return found
            return late if found.cls == "timeout" else Failed(found.cls, found.message, chunk)

        if len(chunks) == 1 or workers == 1:
            results = list(map(compute, chunks))
        else:
            with ThreadPoolExecutor(workers, "derl-untrusted") as pool:
                results = list(pool.map(compute, chunks))
        values = np.full(rows, np.nan)
        for chunk, result in zip(chunks, results, strict=True):
            if isinstance(result, np.ndarray):
                values[chunk.start : chunk.stop] = result
        return values, tuple(r for r in results if isinstance(r, Failed))


def _chunks(rows: int, workers: int) -> list[range]:
    """Rows cut into runs of nearly equal length, one for each worker where they are long enough."""
    least = -(-rows // _LARGEST_CHUNK)
    count = max(least, min(workers, rows // _SMALLEST_CHUNK), 1)
    cuts = [rows * k // count for k in range(count + 1)]
    return [range(a, b) for a, b in itertools.pairwise(cuts)]
