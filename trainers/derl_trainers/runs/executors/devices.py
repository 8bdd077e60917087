"""Which GPU is whose: one for each local worker in turn, and one for the process that owns them.

A process that sees several would spread one model over them, which TRL refuses. So each sees one,
by CUDA_VISIBLE_DEVICES, which is set before CUDA starts.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

VARIABLE = "CUDA_VISIBLE_DEVICES"


def visible() -> tuple[str, ...]:
    """The GPUs that this process may use, by number or name, without starting CUDA."""
    given = os.environ.get(VARIABLE)
    if given is not None:
        return tuple(name.strip() for name in given.split(",") if name.strip())
    nodes = (path.name.removeprefix("nvidia") for path in Path("/dev").glob("nvidia[0-9]*"))
    return tuple(sorted((name for name in nodes if re.fullmatch(r"\d+", name)), key=int))


def take_one(devices: Sequence[str]) -> None:
    """Let this process see the last of several: workers are given them from the first on."""
    if len(devices) > 1 and "WORLD_SIZE" not in os.environ:
        os.environ[VARIABLE] = devices[-1]


def of_worker(devices: Sequence[str], number: int) -> str | None:
    """The GPU of a worker, None where there is nothing to choose."""
    return devices[number % len(devices)] if len(devices) > 1 else None
