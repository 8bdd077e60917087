"""Runs jobs to their end: non-blocking reads against a deadline, then the verdict."""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from derl_runtime.sandbox.outcome import Failure
from derl_runtime.sandbox.worker import frames
from derl_runtime.sandbox.worker.zygote import ENDED, NOT_STARTED, STARTED
from derl_runtime.sandbox.zygotes import Zygote, ZygoteGone

_READ = 1 << 18
_LONGEST_WAIT = 60.0  # seconds: the kernel counts only so far
# How long a killed child may take to be gone before the zygote itself counts as lost.
_GRACE = 2.0


class NotStarted(ZygoteGone):
    """The zygote was gone before a job had started: another one can run it."""


@dataclass(frozen=True, slots=True)
class Order:
    """A job to run: its frames and what it may use."""

    kind: int
    pieces: Sequence[bytes]
    rows: int
    walls: int
    cpu: float
    memory: int
    deadline: float


@dataclass(slots=True)
class _Running:
    order: Order
    reply: int
    status: socket.socket
    ends: float
    data: bytearray = field(default_factory=bytearray)
    ended: tuple[int, float] | None = None
    verdict: Failure | None = None
    open: bool = True
    started: bool = False

    def kill(self, verdict: Failure) -> None:
        """Have it killed; the zygote tells when it is gone."""
        self.verdict = self.verdict or verdict
        with contextlib.suppress(OSError):
            self.status.shutdown(socket.SHUT_WR)

    def fail(self, why: str) -> None:
        """Take it as ended: nobody will tell how."""
        self.verdict = self.verdict or Failure("crash", why)
        self.ended = (0, 0.0)

    @property
    def done(self) -> bool:
        return self.ended is not None and not self.open


def run(zygote: Zygote, orders: Sequence[Order]) -> list[bytes | Failure]:
    """The reply bytes of each order, or how it failed; all run at once.

    Raises NotStarted when the zygote was gone before one of them started, ZygoteGone when it no
    longer does its work. Returns when each is answered, or at the latest a few milliseconds after
    its deadline; no child of these jobs is left.
    """
    running: list[_Running] = []
    try:
        for order in orders:
            try:
                reply, status = zygote.start(
                    order.kind, order.walls, math.ceil(order.cpu), order.memory, order.pieces
                )
            except ZygoteGone as error:
                raise NotStarted(str(error)) from None
            running.append(_Running(order, reply, status, time.monotonic() + order.deadline))
        _watch(running)
        return [_judge(job) for job in running]
    finally:
        for job in running:  # on an interrupt the closed sockets have the children killed
            if job.open:
                os.close(job.reply)
            job.status.close()


def _watch(running: Sequence[_Running]) -> None:
    poll = select.poll()
    by_descriptor: dict[int, _Running] = {}
    for job in running:
        for descriptor in (job.reply, job.status.fileno()):
            by_descriptor[descriptor] = job
            poll.register(descriptor, select.POLLIN)
    while not all(job.done for job in running):
        now = time.monotonic()
        for job in running:
            _check_time(job, now)
        waits = [job.ends - now for job in running if not job.done]
        for descriptor, _ in poll.poll(
            max(0, math.ceil(min(*waits, _LONGEST_WAIT, _LONGEST_WAIT) * 1000))
        ):
            job = by_descriptor[descriptor]
            still = _read_reply(job) if descriptor == job.reply else _read_status(job)
            if not still:
                poll.unregister(descriptor)
                if descriptor == job.reply:
                    os.close(job.reply)
                    job.open = False


def _check_time(job: _Running, now: float) -> None:
    if job.done or now < job.ends:
        return
    if job.verdict is not None:
        raise ZygoteGone("the sandbox's process does not end its workers any more")
    seconds = job.order.deadline
    job.kill(Failure("timeout", f"no answer within the deadline of {seconds:g} s"))
    job.ends = now + _GRACE


def _read_reply(job: _Running) -> bool:
    """Read what there is; False when no more will come."""
    try:
        piece = os.read(job.reply, _READ)
    except BlockingIOError:
        return True
    job.data += piece
    if len(job.data) > frames.longest_reply(job.order.kind, job.order.rows):
        job.kill(Failure("protocol", "the reply is longer than a reply can be"))
        job.ends = time.monotonic() + _GRACE
        job.data.clear()
        return False
    return bool(piece)


def _read_status(job: _Running) -> bool:
    try:
        data = job.status.recv(ENDED.size)
    except BlockingIOError:
        return True
    if len(data) == STARTED.size and data != NOT_STARTED:
        job.started = True
        return True
    if len(data) == ENDED.size:
        job.ended = ENDED.unpack(data)
    elif data == NOT_STARTED:
        job.fail("the worker could not be started: the machine has no process to spare")
    elif job.started:
        job.fail("the sandbox's own process died")
    else:
        raise NotStarted("the sandbox's own process died")
    return False


_SIGNALS = {
    signal.SIGXCPU: ("cpu", "the CPU time limit was reached"),
    signal.SIGSYS: ("violation", "a system call that is not allowed"),
}


def _judge(job: _Running) -> bytes | Failure:
    """The reply, unless the way the child ended says something else."""
    if job.verdict is not None:
        return job.verdict
    assert job.ended is not None
    return judged(job.ended, job.order.cpu) or bytes(job.data)


def judged(ended: tuple[int, float], most: float) -> Failure | None:
    """How a process failed by its wait status and its CPU time, of which it may use `most`."""
    status, cpu = ended
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number in _SIGNALS:
            return Failure(*_SIGNALS[signal.Signals(number)])
        if number == signal.SIGKILL:
            if cpu >= math.ceil(most):
                return Failure(*_SIGNALS[signal.SIGXCPU])
            return Failure("oom", "killed from outside, as the kernel does when memory runs out")
        return Failure("crash", f"its process died of {signal.strsignal(number)}")
    if os.WEXITSTATUS(status) != 0:
        return Failure("crash", f"its process ended with exit code {os.WEXITSTATUS(status)}")
    return None
