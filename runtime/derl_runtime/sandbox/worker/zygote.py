"""The zygote: a small process that forks a fresh child for each job, and ends and reaps it.

It is started anew from the interpreter, never forked from a process that holds a model. The host
sends a job over the control socket: what to run it with, and its descriptors: the job itself (a
sealed file in memory), the pipe for the reply, a socket of its own and, where two jobs talk to each
other, their channel. Over that socket the zygote
tells how the child ended; when the host closes its end, or dies, the child is killed.
"""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import select
import signal
import socket
import struct
import sys
from collections.abc import Callable, Sequence

# engine, walls, CPU seconds, bytes of memory
REQUEST = struct.Struct("<BBIQ")
# wait status, CPU seconds
ENDED = struct.Struct("<id")
# Before that: the process id of the child, 0 where none could be started.
STARTED = struct.Struct("<i")
NOT_STARTED = STARTED.pack(0)
# The job, the reply, the status; where two jobs talk, their channel.
_DESCRIPTORS = 4
_LOOK_FOR_HOST = 5000
_MOST_FILES = 4096

Work = Callable[[Sequence[int], int, int, int, int], None]


class _Zygote:
    def __init__(self, control: socket.socket, work: Work) -> None:
        self.control = control
        self.work = work
        self.host = os.getppid()
        self.jobs: dict[int, socket.socket] = {}  # by process id of the child
        self.wake, wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.poll = select.poll()
        self.poll.register(control, select.POLLIN)
        self.poll.register(self.wake, select.POLLIN)

    def serve(self) -> None:
        """Serve until the host is gone."""
        while True:
            ready = self.poll.poll(_LOOK_FOR_HOST)
            if os.getppid() != self.host:
                return
            for descriptor, _ in ready:
                if descriptor == self.wake:
                    os.read(self.wake, 4096)
                elif descriptor == self.control.fileno():
                    if not self.accept():
                        return
                else:
                    self.end(descriptor)
            self.reap()

    def accept(self) -> bool:
        """Start the job of one request; False when the host is gone."""
        data, descriptors, _, _ = socket.recv_fds(self.control, REQUEST.size, _DESCRIPTORS)
        if not data:
            return False
        job, reply, status, *channel = descriptors
        given = (job, reply, *channel)
        own = socket.socket(fileno=status)
        try:
            pid = os.fork()
        except OSError:  # no more processes
            with contextlib.suppress(OSError), own:
                own.send(NOT_STARTED)
            for descriptor in given:
                os.close(descriptor)
            return True
        if pid == 0:
            self.become_worker(data, given, own)
        for descriptor in given:
            os.close(descriptor)
        with contextlib.suppress(OSError):  # the child does the same: who comes first
            os.setpgid(pid, pid)
        own.setblocking(False)
        with contextlib.suppress(OSError):
            own.send(STARTED.pack(pid))
        self.jobs[pid] = own
        self.poll.register(own, select.POLLIN)
        return True

    def become_worker(self, request: bytes, given: Sequence[int], own: socket.socket) -> None:
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setpgid(0, 0)
            self.control.detach()
            own.detach()
            for other in self.jobs.values():
                other.detach()
            self.work(given, *REQUEST.unpack(request))
            code = 0
        finally:
            os._exit(code)

    def end(self, descriptor: int) -> None:
        """Kill the child of a status socket: the host closed it or wants it ended."""
        for pid, own in self.jobs.items():
            if own.fileno() == descriptor:
                self.poll.unregister(own)
                kill_group(pid)
                return

    def reap(self) -> None:
        """Collect the children that ended, and tell the host how."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            own = self.jobs.pop(pid, None)
            if own is None:
                continue  # a program that a worker had started
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)  # what it left; its own number may be another's
            with contextlib.suppress(KeyError, OSError):
                self.poll.unregister(own)
            with contextlib.suppress(OSError), own:
                own.send(ENDED.pack(status, usage.ru_utime + usage.ru_stime))

    def kill_all(self) -> None:
        """Kill and reap every child."""
        for pid in self.jobs:
            kill_group(pid)
        with contextlib.suppress(ChildProcessError):
            while True:
                os.wait4(-1, 0)


def kill_group(pid: int) -> None:
    """Kill a child with all it has started."""
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)


def _become_subreaper() -> None:
    """What a worker started and left behind comes to the zygote, which reaps it."""
    import ctypes

    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)


def main(control: int, engine: str) -> None:
    """Serve jobs from the control socket, with the engine loaded before the first fork."""
    from . import job

    sys.setrecursionlimit(1000)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    files = min(_MOST_FILES, most) if most != resource.RLIM_INFINITY else _MOST_FILES
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    job.preload(engine)
    _become_subreaper()
    gc.collect()
    gc.freeze()  # the children then copy fewer pages
    own = socket.socket(fileno=control)
    zygote = _Zygote(own, job.work)
    own.send(b"\x01")
    try:
        zygote.serve()
    finally:
        zygote.kill_all()
