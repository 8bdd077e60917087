"""How untrusted source is to be run: the settings of the sandbox, free of heavy imports."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

ENGINES = ("restricted", "monty")
LEVELS = ("strict", "standard", "reduced", "none")
_CHOICES = {"engine": ENGINES, "level": LEVELS}


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """How untrusted source is run.

    `engine` is `restricted` or `monty`, `level` the walls that must hold (`strict`, `standard`,
    `reduced`; `none` turns custom primitives off). `deadline` is in seconds for a whole batch,
    `memory` in megabytes for a worker, `workers` how many work at once (0: one for each core).
    """

    engine: str = "restricted"
    level: str = "standard"
    deadline: float = 2.0
    memory: int = 512
    workers: int = 0

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> SandboxSettings:
        """Settings from plain values; ValueError names the key that cannot be used."""
        known = {f.name: type(f.default) for f in fields(cls)}
        for key, value in table.items():
            if key not in known:
                raise ValueError(f"unknown key {key!r}; one of {', '.join(known)}")
            choices = _CHOICES.get(key)
            if choices is not None and value not in choices:
                raise ValueError(f"{key} must be one of {', '.join(choices)}, not {value!r}")
            if choices is None:
                whole = known[key] is int
                least = 0 if key == "workers" else 1 if whole else 0.01
                fits = isinstance(value, int if whole else int | float)
                if isinstance(value, bool) or not fits or not least <= value < math.inf:
                    what = "a whole number" if whole else "a number of seconds"
                    raise ValueError(f"{key} must be {what}, at least {least}, not {value!r}")
        return cls(**table)
