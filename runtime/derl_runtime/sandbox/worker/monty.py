"""The engine on pydantic-monty: a small Python in Rust, in a program of its own, inside the walls.

The worker starts that program behind the first walls (its own files and no others, no network, no
signals), then closes the second ones around itself: from there on it opens and starts nothing.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pydantic_monty
from pydantic_monty._binary import find_monty_binary

from . import seccomp, walls
from .declare import Declared
from .outcome import Failed
from .seccomp import Unsupported

_RESERVE = 1 << 30  # address space that Rust's threads reserve and do not use
_PROCESSES = 4096  # counted over all workers of the user, so no wall against one of them
_DEEPEST_CALLS = 300
_LIBRARY = re.compile(r"(/\S+) \(0x")
_ROW, _MODULE = "derl_row_", "primitive"
_CLASSES = {
    "TimeoutError": "cpu",
    "MemoryError": "oom",
    "PermissionError": "violation",
    "ImportError": "violation",
    "ModuleNotFoundError": "violation",
}

# The same rows give the same values: a clock that stands still, chance that repeats.
_SAME_EVERY_TIME = pydantic_monty.OSPolicy(
    datetime=datetime(2000, 1, 1, tzinfo=UTC), sleep="zero", random_start={"seed": 0}
)
# What the program died of, as the message has it.
_SIGNALS = {"SIGXCPU": "cpu", "SIGSYS": "violation"}


def _program() -> tuple[str, tuple[str, ...]]:
    """The path of the program, and all files that it is made of when it runs."""
    path = os.path.realpath(find_monty_binary())
    # The loader lists the libraries instead of running the program, as ldd has it.
    listed = subprocess.run(
        [path, "subprocess"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={"LD_TRACE_LOADED_OBJECTS": "1"},
        timeout=10,
        check=False,
    )
    found = _LIBRARY.findall(listed.stdout.decode("utf-8", "replace"))
    return path, (path, *map(os.path.realpath, found), "/etc/ld.so.cache")


class MontyEngine:
    """Compiles and runs source with pydantic-monty."""

    def __init__(self) -> None:
        self.path, self.files = _program()
        self.session: Any = None

    def walls(self, chosen: int, cpu: int, memory: int) -> None:
        """Put up the walls, start the program between the first and the second."""
        if chosen != walls.ALL:
            raise Unsupported("the monty engine needs Landlock")
        walls.put_up_starting(
            cpu, memory, reserve=_RESERVE, processes=_PROCESSES, runnable=self.files
        )
        limits = pydantic_monty.ResourceLimits(
            max_feed_duration_secs=float(cpu),
            max_memory=memory // 4 * 3,
            max_recursion_depth=_DEEPEST_CALLS,
        )
        pool = pydantic_monty.Monty(binary_path=self.path, max_processes=1).__enter__()
        checkout = pool.checkout(
            script_name=f"{_MODULE}.py", limits=limits, os_policy=_SAME_EVERY_TIME
        )
        self.session = checkout.__enter__()
        seccomp.install(seccomp.driving_filter(os.getpid()))

    def load(self, source: str, functions: Sequence[Declared]) -> _Fed:
        """Run the source once, which defines its functions; raises Failed."""
        del functions
        self.feed(source)
        return _Fed(self)

    def feed(self, code: str, inputs: dict[str, Any] | None = None) -> Any:
        """The value of the last expression; raises Failed."""
        try:
            return self.session.feed_run(code, inputs=inputs, print_callback=_discard)
        except (pydantic_monty.MontySyntaxError, pydantic_monty.MontyTypingError) as error:
            raise Failed("compile_error", str(error)) from None
        except pydantic_monty.MontyRuntimeError as error:
            name = type(error.exception()).__name__
            if name == "NotImplementedError" and inputs is None:  # a construct monty has not
                raise Failed("compile_error", str(error)) from None
            raise Failed(_CLASSES.get(name, "crash"), str(error)) from None
        except pydantic_monty.MontyCrashedError as error:
            said = str(error)
            cls = next((c for name, c in _SIGNALS.items() if name in said), "crash")
            raise Failed(cls, said) from None
        except pydantic_monty.MontyError as error:
            raise Failed("protocol", str(error)) from None


def _clean(value: Any) -> Any:
    """The value without lone surrogates, which texts of Rust cannot hold: they become U+FFFD."""
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if not isinstance(value, str):
        return value
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def _discard(stream: str, text: str) -> None:
    """What the source prints goes nowhere."""


class _Fed:
    """Source that the program has taken in."""

    def __init__(self, engine: MontyEngine) -> None:
        self.engine = engine

    def run(self, function: Declared, columns: Sequence[Sequence[Any]], rows: int) -> Iterator[Any]:
        """The value of each row, which is all that the program is given; raises Failed."""
        for row in zip(*columns, strict=True):
            yield self.engine.feed(
                f"{function.name}(*{_ROW})", {_ROW: [_clean(value) for value in row]}
            )
