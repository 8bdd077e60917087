"""What the sandbox gives back when it gives no values: failures by class of fault."""

from __future__ import annotations

from dataclasses import dataclass

from derl_runtime.sandbox.worker.frames import escaped

FAILURES = ("timeout", "cpu", "oom", "violation", "crash", "protocol", "nonfinite", "compile_error")


@dataclass(frozen=True, slots=True)
class Failure:
    """A job that gave no values: its class (one of `FAILURES`) and what is known.

    The message is one line of printable characters, capped, for its text may be hostile.
    """

    cls: str
    message: str

    def __post_init__(self) -> None:
        if self.cls not in FAILURES:
            raise ValueError(f"unknown class of failure {self.cls!r}")
        object.__setattr__(self, "message", escaped(self.message))

    def __str__(self) -> str:
        return f"{self.cls}: {self.message}"


# Seconds of a limit: what the kernel counts in does not go on for ever.
_LONGEST = 31 * 86_400


class Refused(Exception):
    """The machine cannot hold untrusted code as well as it is asked to."""


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """What one job may use.

    `deadline` and `cpu` are in seconds (CPU time is counted in whole ones, rounded up), `memory`
    and `source` in bytes.
    """

    deadline: float = 2.0
    cpu: float = 2.0
    memory: int = 512 << 20
    source: int = 16_384
    rows: int = 1 << 20
    input: int = 256 << 20

    def __post_init__(self) -> None:
        for name in ("deadline", "cpu", "memory", "source", "rows", "input"):
            value = getattr(self, name)
            if not value > 0:
                raise ValueError(f"the limit {name} has to be above 0, not {value!r}")
        for name in ("deadline", "cpu"):
            if getattr(self, name) > _LONGEST:
                raise ValueError(f"the limit {name} has to be at most {_LONGEST:,} s: a month")
