"""What the sandbox gives back: declarations, or failures by class."""

from __future__ import annotations

from dataclasses import dataclass

from derl_runtime.sandbox.worker.frames import escaped

CLASSES = {
    "timeout": "it did not answer within its deadline",
    "cpu": "it used more CPU time than it may",
    "oom": "it wanted more memory than it may",
    "violation": "a wall or a guard refused what it tried",
    "crash": "it raised an exception, or its process died",
    "protocol": "it gave something else than one value a row",
    "nonfinite": "it gave NaN or an infinite number",
    "compile_error": "its source does not compile, or declares no such primitive",
}


@dataclass(frozen=True, slots=True)
class Declaration:
    """A primitive that untrusted source declares.

    `parameters` are (name, type) pairs and `returns` is a type, all as text that
    `derl_grammar.types.parse_type` reads; `doc` is the docstring.
    """

    name: str
    parameters: tuple[tuple[str, str], ...]
    returns: str
    doc: str


@dataclass(frozen=True, slots=True)
class Failure:
    """A job that gave no values: its class (one of `CLASSES`) and what is known.

    The message is one line of printable characters, capped, for its text may be hostile.
    """

    cls: str
    message: str

    def __post_init__(self) -> None:
        if self.cls not in CLASSES:
            raise ValueError(f"unknown class of failure {self.cls!r}")
        object.__setattr__(self, "message", escaped(self.message))

    def __str__(self) -> str:
        return f"{self.cls}: {self.message}"


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
