"""Primitives whose source nobody has read: called in the sandbox, by one deadline a batch."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from derl_grammar.records import record
from derl_runtime.sandbox_settings import SandboxSettings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from derl_runtime.sandbox import Sandbox

_MOST_WORKERS = 8


@record
class Failed:
    """Rows of one call (counted from 0 within it) that failed in one way.

    `caused` says that the text under judgement is why, and that the rows have a value.
    """

    kind: str
    message: str
    rows: Sequence[int]
    caused: bool = False


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


@record
class Untrusted:
    """A function of one rollout in untrusted source, called for whole columns.

    `where` names the file in messages.
    """

    source: str = field(repr=False)
    function: str
    settings: SandboxSettings
    where: str = field(default="<source>", compare=False)
    returns: str = "number"

    def __call__(self, *columns: Any) -> NDArray[np.float64] | list[Any]:
        """The values of whole columns; raises PrimitiveFailed when a row fails."""
        rows = next((len(c) for c in columns if not isinstance(c, str | float | bool)), 1)
        values, failures = self.run(columns, rows)
        if failures:
            raise PrimitiveFailed(failures[0].kind, failures[0].message)
        return values

    def run(
        self, columns: Sequence[Any], rows: int
    ) -> tuple[NDArray[np.float64] | list[Any], tuple[Failed, ...]]:
        """The values of `rows` rows, NaN or None where one failed, and the failures in row order.

        All rows share one deadline; what a row does costs that row alone.
        """
        full = [[c] * rows if isinstance(c, str | float | bool) else c for c in columns]
        workers = self.settings.workers or min(os.cpu_count() or 1, _MOST_WORKERS)
        values, failures = sandbox(self.settings).call_rows(
            self.source, self.function, full, rows, self.settings.deadline, workers, self.returns
        )
        return values, tuple(Failed(f.failure.cls, f.failure.message, f.rows) for f in failures)
