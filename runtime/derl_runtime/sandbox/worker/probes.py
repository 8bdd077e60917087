"""Actions that try the walls: each is done in a fresh child, and how it ends says what holds."""

from __future__ import annotations

import ctypes
import mmap
import os
import resource
import socket
from collections.abc import Callable

from . import frames, seccomp, walls

# The answer of a probe whose action went through.
OPEN, REFUSED, LACKING = b"\x00", b"\x01", b"\x02"


def _files() -> None:
    os.close(os.open("/", os.O_RDONLY))


def _network() -> None:
    socket.socket(socket.AF_INET, socket.SOCK_STREAM).close()


def _unix_socket() -> None:
    socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).close()


def _processes() -> None:
    if os.fork() == 0:
        os._exit(0)


def _programs() -> None:
    os.execve("/bin/true", ["true"], {})


def _signals() -> None:
    os.kill(os.getppid(), 0)


def _code() -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def _spying() -> None:
    if ctypes.CDLL(None, use_errno=True).ptrace(16, os.getppid(), 0, 0) != 0:
        raise PermissionError


def _memory() -> None:
    try:
        bytearray(resource.getrlimit(resource.RLIMIT_AS)[0] + (1 << 20))
    except MemoryError:
        raise PermissionError from None


def _limits() -> None:
    wanted = {resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC}
    if all(resource.getrlimit(kind) == (0, 0) for kind in wanted):
        raise PermissionError


def _root() -> None:
    if os.getuid() != 0:
        os.setuid(0)


def _quiet() -> None:
    if walls.quiet_holds():
        raise PermissionError


ACTIONS: dict[str, Callable[[], None]] = {
    "files": _files,
    "network": _network,
    "unix": _unix_socket,
    "processes": _processes,
    "programs": _programs,
    "signals": _signals,
    "code": _code,
    "spying": _spying,
    "memory": _memory,
    "limits": _limits,
    "root": _root,
    "quiet": _quiet,
}


def run(job: bytes, chosen: int, cpu: int, memory: int) -> bytes:
    """Put up the chosen walls and try the action that the job names as its source."""
    action = ACTIONS[frames.decode_job(job).source]
    try:
        walls.put_up(chosen, cpu, memory)
    except (seccomp.Unsupported, OSError, ValueError):
        return LACKING
    try:
        action()
    except (OSError, MemoryError):
        return REFUSED
    return OPEN
