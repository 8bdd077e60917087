"""One worker process from the outside: requests go in, verdicts come out, and it can be killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_SCRIPT = Path(__file__).with_name("worker.py")
_MOST_BYTES = 1 << 15
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
    popen: subprocess.Popen[bytes] = field(init=False)
    ready: bool = False
    since: float = field(default_factory=time.monotonic)
    asked: deque[tuple[int, int]] = field(default_factory=deque)
    unsent: bytes = b""
    received: bytes = b""

    def __post_init__(self) -> None:
        command = [sys.executable, "-P", "-B", str(_SCRIPT), str(self.deadline), str(self.memory)]
        self.popen = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,  # Ctrl-C is for its owner
        )
        for pipe in (self.input, self.output):
            os.set_blocking(pipe, False)

    @property
    def input(self) -> int:
        """The descriptor requests are written to."""
        assert self.popen.stdin is not None
        return self.popen.stdin.fileno()

    @property
    def output(self) -> int:
        """The descriptor replies are read from."""
        assert self.popen.stdout is not None
        return self.popen.stdout.fileno()

    def has_room(self) -> bool:
        """Whether one more request may be given to it: no pipe is ever filled."""
        return self.ready and (not self.asked or sum(size for _, size in self.asked) < _MOST_BYTES)

    def ask(self, number: int, request: tuple[str, str, bool]) -> None:
        """Queue a request; the number comes back with its reply."""
        line = json.dumps(request).encode("ascii") + b"\n"
        if not self.asked:
            self.since = time.monotonic()
        self.asked.append((number, len(line)))
        self.unsent += line

    def write(self) -> None:
        """Send what fits."""
        try:
            sent = os.write(self.input, self.unsent)
        except BlockingIOError:
            return
        except OSError as error:
            raise Broken(self._end()) from error
        self.unsent = self.unsent[sent:]

    def read(self) -> list[tuple[int, bool, str]]:
        """The replies that arrived: number, verdict, and what math-verify stumbled over."""
        try:
            chunk = os.read(self.output, 1 << 16)
        except BlockingIOError:
            return []
        if not chunk:
            raise Broken(self._end())
        *lines, self.received = (self.received + chunk).split(b"\n")
        if len(self.received) > _LONGEST_REPLY:
            raise Broken("it sent a reply without an end")
        found = []
        for line in lines:
            self.since = time.monotonic()
            if self.ready:
                found.append(self._reply(line))
            elif line == b"ready":
                self.ready = True
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
        except subprocess.TimeoutExpired:
            return "it closed its pipe"
        return f"it ended with code {code}" if code >= 0 else f"it ended by signal {-code}"

    def kill(self) -> None:
        """End it and close its pipes."""
        self.popen.kill()
        self.popen.wait()
        self.forget()

    def forget(self) -> None:
        """Close the pipes alone: of a process that belongs to the parent of this one."""
        for pipe in (self.popen.stdin, self.popen.stdout):
            if pipe is not None:
                pipe.close()


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
