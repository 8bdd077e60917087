"""One worker process from the outside: requests go in, verdicts come out, and it can be killed."""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from derl_runtime.sandbox.serving import Child

logger = logging.getLogger("derl_primitives.verification")

_SCRIPT = Path(__file__).with_name("worker.py")
# Requests that lie with a worker at once: none waits for long behind one that hangs.
_MOST, _MOST_BYTES = 8, 1 << 15
_LONGEST_REPLY = 4096


class Broken(Exception):
    """The process ended, or said what is no reply; the message says which."""


@dataclass(slots=True)
class Process:
    """A running worker, the requests that it has not answered, and since when it has the first.

    Pipes do not block; the owner calls `write` and `read` when they are ready.
    """

    deadline: float
    memory: int
    popen: Child | Unwalled = field(init=False)
    ready: bool = False
    since: float = field(default_factory=time.monotonic)
    asked: deque[tuple[int, int]] = field(default_factory=deque)
    waited: float = 0.0  # seconds that the first request got on top, for want of a processor
    spent: float | None = None  # the processor's seconds when it began
    unsent: bytes = b""
    received: bytes = b""

    def __post_init__(self) -> None:
        self.popen = _started(self.deadline, self.memory)
        self.since = time.monotonic()

    @property
    def output(self) -> socket.socket:
        """What replies are read from, and requests written to."""
        return self.popen.channel

    def has_room(self) -> bool:
        """Whether one more request may be given to it: no pipe is ever filled."""
        sizes = [size for _, size in self.asked]
        return self.ready and (not sizes or (len(sizes) < _MOST and sum(sizes) < _MOST_BYTES))

    def ask(self, number: int, request: tuple[str, str, bool]) -> None:
        """Queue a request; the number comes back with its reply."""
        line = json.dumps(request).encode("ascii") + b"\n"
        if not self.asked:
            self._begin()
        self.asked.append((number, len(line)))
        self.unsent += line

    def _begin(self) -> None:
        self.since, self.waited, self.spent = time.monotonic(), 0.0, self._processor()

    def _processor(self) -> float | None:
        """The processor's seconds that it has had; None where the machine does not tell."""
        try:
            told = Path(f"/proc/{self.popen.pid}/schedstat").read_text("ascii")
        except OSError:
            return None
        return int(told.partition(" ")[0]) * 1e-9

    def used(self) -> float | None:
        """The processor's seconds of the request at hand; None where nobody knows."""
        now = self._processor()
        return None if now is None or self.spent is None else now - self.spent

    def write(self) -> None:
        """Send what fits."""
        try:
            sent = self.output.send(self.unsent)
        except BlockingIOError:
            return
        except OSError as error:
            raise Broken(self._end()) from error
        self.unsent = self.unsent[sent:]

    def read(self) -> list[tuple[int, bool, str]]:
        """The replies that arrived: number, verdict, and what math-verify stumbled over."""
        try:
            chunk = self.output.recv(1 << 16)
        except BlockingIOError:
            return []
        except OSError:
            chunk = b""
        if not chunk:
            raise Broken(self._end())
        *lines, self.received = (self.received + chunk).split(b"\n")
        if len(self.received) > _LONGEST_REPLY:
            raise Broken("it sent a reply without an end")
        found = []
        for line in lines:
            self._begin()
            if self.ready:
                found.append(self._reply(line))
            elif line.startswith(b"ready ") and line[6:].isdigit():
                self.ready, self.popen.pid = True, int(line[6:])
            else:
                raise Broken("it did not say that it is ready")
        return found

    def _reply(self, line: bytes) -> tuple[int, bool, str]:
        verdict, error = _verdict(line)
        if not self.asked:
            raise Broken("it answered what it was not asked")
        number, _ = self.asked.popleft()
        return number, verdict, error

    def _end(self) -> str:
        try:
            code = self.popen.wait(timeout=1)
        except (TimeoutError, subprocess.TimeoutExpired):
            return "it closed its pipe"
        return f"it ended with code {code}" if code >= 0 else f"it ended by signal {-code}"

    def kill(self) -> None:
        """End it and close its pipes."""
        self.popen.kill()
        self.forget()

    def forget(self) -> None:
        """Close the pipes alone: of a process that belongs to the parent of this one."""
        self.popen.close()


class Unwalled:
    """A worker on a machine that has no walls: a plain process with limits."""

    def __init__(self, deadline: float, memory: int) -> None:
        command = [sys.executable, "-P", "-B", str(_SCRIPT), str(deadline), str(memory)]
        self.channel, theirs = socket.socketpair()
        with theirs:
            self._popen = subprocess.Popen(
                command,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for its owner
            )
        self.channel.setblocking(False)
        self.pid = self._popen.pid

    def poll(self) -> int | None:
        """How it ended; None while it runs."""
        return self._popen.poll()

    def wait(self, timeout: float) -> int:
        """How it ended; raises subprocess.TimeoutExpired."""
        return self._popen.wait(timeout)

    def kill(self) -> None:
        """End it."""
        self._popen.kill()
        self._popen.wait()

    def close(self) -> None:
        """Let go of it."""
        self.channel.close()


@cache
def _walled() -> ModuleType | None:
    """What starts workers behind walls; None, told once, where this machine has none."""
    try:
        from derl_runtime.sandbox import serving
    except ImportError as error:  # what only Linux has
        logger.warning("math-verify runs without walls here: %s", error)
        return None
    try:
        serving.walls_for("standard")
    except serving.Refused as error:
        logger.warning("math-verify runs without walls here: %s", error)
        return None
    return serving


def used(processes: Sequence[Process]) -> float:
    """Seconds of all processors that this thread and the workers had, or that nobody wanted.

    On a machine without walls nobody counts them: as many pass as if no other process ran.
    """
    serving = _walled()
    if serving is None:
        return time.monotonic() * max(len(processes), 1)
    seconds: float = serving.used(_SCRIPT, [p.popen for p in processes])
    return seconds


def _started(deadline: float, memory: int) -> Child | Unwalled:
    """A new worker; raises Broken when it does not start."""
    serving = _walled()
    if serving is None:
        return Unwalled(deadline, memory)
    try:
        child: Child = serving.Child(_SCRIPT, memory)
    except serving.ZygoteGone as error:
        raise Broken(str(error)) from None
    return child


def _verdict(line: bytes) -> tuple[bool, str]:
    """A reply: `[verdict]` or `[verdict, error]`, and nothing else."""
    try:
        reply: Any = json.loads(line.decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise Broken("it sent no reply but something else") from error
    match reply:
        case [bool(verdict)]:
            return verdict, ""
        case [bool(verdict), str(words)]:
            return verdict, words
    raise Broken("it sent no reply but something else")
