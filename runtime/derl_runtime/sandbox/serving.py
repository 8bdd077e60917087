"""Warm workers behind the walls: a trusted script that reads what an adversary wrote.

A script is loaded once in a zygote, with all that it will ever import, and forked from there: a
new worker takes milliseconds, so ending one that hangs is cheap. It talks over one socket, line by
line.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from derl_runtime.sandbox import levels, zygotes
from derl_runtime.sandbox.outcome import Refused
from derl_runtime.sandbox.turns import idle, processor, reaped
from derl_runtime.sandbox.worker import frames
from derl_runtime.sandbox.worker.zygote import ENDED, NOT_STARTED
from derl_runtime.sandbox.zygotes import ZygoteGone

__all__ = ["Child", "Refused", "ZygoteGone", "used", "walls_for"]

_LONG = 1 << 30  # seconds of CPU time: a worker lives as long as its host, which keeps the time


class Child:
    """A worker: its end of the talk is `channel`; the rest is named as `subprocess.Popen` names it.

    Raises Refused where the machine has no walls for it, ZygoteGone where it does not start.
    """

    def __init__(self, script: Path, memory: int, level: str = "standard") -> None:
        engine = f"{zygotes.SCRIPT}{script}"
        walls = walls_for(level)
        self.channel, theirs = socket.socketpair()
        with theirs:
            zygote = zygotes.zygote(engine)
            unused, self._status = zygote.start(
                frames.SERVE, walls, _LONG, memory, [b""], [theirs.fileno()]
            )
        os.close(unused)
        self.channel.setblocking(False)
        self.pid = 0  # it says so itself when it is ready
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """How it ended, as a return code; None while it runs."""
        while self.returncode is None:
            try:
                data = self._status.recv(ENDED.size)
            except BlockingIOError:
                return None
            except OSError:
                data = b""
            if len(data) == ENDED.size:
                self.returncode = os.waitstatus_to_exitcode(ENDED.unpack(data)[0])
            elif not data or data == NOT_STARTED:
                self.returncode = -signal.SIGKILL
        return self.returncode

    def wait(self, timeout: float) -> int:
        """How it ended; raises TimeoutError when it has not by then."""
        if self.poll() is None:
            poll = select.poll()
            poll.register(self._status, select.POLLIN)
            poll.poll(timeout * 1000)
        found = self.poll()
        if found is None:
            raise TimeoutError
        return found

    def kill(self) -> None:
        """End it; the zygote reaps it, and nobody waits for that."""
        with contextlib.suppress(OSError):
            self._status.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Let go of it."""
        self.channel.close()
        self._status.close()


def used(script: Path, children: Iterable[Child]) -> float:
    """Seconds of all processors that this thread and the workers had, or that nobody wanted."""
    zygote = zygotes.zygote(f"{zygotes.SCRIPT}{script}").process.pid
    own = time.thread_time() + processor(zygote) + reaped(zygote)
    return own + sum(processor(child.pid) for child in children if child.pid) + idle()


_known: dict[tuple[int, str], int] = {}
_asking = threading.Lock()


def _after_fork() -> None:
    global _asking
    _asking = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


def walls_for(level: str) -> int:
    """The walls to put up, found out once; raises Refused."""
    from derl_runtime.sandbox.host import Sandbox

    with _asking:
        key = (os.getpid(), level)
        if key not in _known:
            with Sandbox(level) as sandbox:
                _known[key] = levels.walls_to_put_up(sandbox.walls)
        return _known[key]
