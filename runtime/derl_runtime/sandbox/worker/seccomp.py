"""The system calls a worker may make, as a seccomp filter for x86_64 and aarch64."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Callable, Iterable
from functools import cache

# name: (x86_64, aarch64); None where the machine has no such call.
_NUMBERS: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63), "write": (1, 64), "open": (2, None), "close": (3, 57), "stat": (4, None),
    "fstat": (5, 80), "lstat": (6, None), "poll": (7, None), "lseek": (8, 62), "mmap": (9, 222),
    "mprotect": (10, 226), "munmap": (11, 215), "brk": (12, 214), "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "ioctl": (16, 29), "pread64": (17, 67),
    "readv": (19, 65), "writev": (20, 66), "access": (21, None), "pipe": (22, None),
    "sched_yield": (24, 124), "mremap": (25, 216), "madvise": (28, 233), "dup2": (33, None),
    "dup3": (292, 24), "nanosleep": (35, 101), "getpid": (39, 172), "socketpair": (53, 199),
    "clone": (56, 220), "vfork": (58, None), "execve": (59, 221), "exit": (60, 93),
    "wait4": (61, 260), "uname": (63, 160), "fcntl": (72, 25), "getcwd": (79, 17),
    "readlink": (89, None), "sigaltstack": (131, 132), "prctl": (157, 167),
    "arch_prctl": (158, None), "gettid": (186, 178), "futex": (202, 98),
    "sched_getaffinity": (204, 123), "epoll_create1": (291, 20), "epoll_ctl": (233, 21),
    "epoll_wait": (232, None), "epoll_pwait": (281, 22), "set_tid_address": (218, 96),
    "restart_syscall": (219, 128), "clock_gettime": (228, 113), "clock_nanosleep": (230, 115),
    "exit_group": (231, 94), "tgkill": (234, 131), "waitid": (247, 95), "openat": (257, 56),
    "newfstatat": (262, 79), "readlinkat": (267, 78), "faccessat": (269, 48), "ppoll": (271, 73),
    "set_robust_list": (273, 99), "eventfd2": (290, 19), "pipe2": (293, 59),
    "prlimit64": (302, 261), "seccomp": (317, 277), "getrandom": (318, 278), "statx": (332, 291),
    "rseq": (334, 293), "pidfd_open": (434, 434), "clone3": (435, 435), "openat2": (437, 437),
    "faccessat2": (439, 439), "landlock_create_ruleset": (444, 444),
    "landlock_add_rule": (445, 445), "landlock_restrict_self": (446, 446),
}  # fmt: skip
_MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

# All that computing, reading the job and writing the reply take.
COMPUTING = (
    "read", "write", "close", "munmap", "mremap", "brk", "madvise", "futex", "sched_yield",
    "getpid", "gettid", "clock_gettime", "getrandom", "lseek", "rt_sigprocmask", "rt_sigreturn",
    "restart_syscall", "exit", "exit_group",
)  # fmt: skip
# CPython asks for files on its own (the source line of a SyntaxError): it is told no, not killed.
FILES = (
    "open", "openat", "openat2", "stat", "lstat", "fstat", "newfstatat", "statx", "access",
    "faccessat", "faccessat2", "readlink", "readlinkat", "getcwd", "ioctl",
)  # fmt: skip
# What a submitted program needs on top: it waits, for time and for threads of its own.
_WAITING = (
    "poll", "ppoll", "nanosleep", "clock_nanosleep", "set_robust_list", "rseq", "sigaltstack",
    "rt_sigaction", "sched_getaffinity",
)  # fmt: skip
# What a program with two threads needs on top once it runs.
_THREADED = (
    "poll", "ppoll", "epoll_wait", "epoll_pwait", "epoll_ctl", "epoll_create1", "eventfd2",
    "readv", "writev", "pread64", "rt_sigaction", "sigaltstack", "nanosleep", "clock_nanosleep",
    "sched_getaffinity", "set_robust_list", "rseq", "wait4", "waitid", "fcntl",
)  # fmt: skip
# What starting it takes: loading a program and its libraries, which Landlock limits to these.
_STARTING = (
    "clone", "clone3", "vfork", "execve", "arch_prctl", "set_tid_address", "prlimit64", "prctl",
    "seccomp", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self",
    "pipe", "pipe2", "dup2", "dup3", "socketpair", "pidfd_open", "uname", "mmap", "mprotect",
    *FILES,
)  # fmt: skip

_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_EACCES, _ENOSYS = 0x00050000 | 13, 0x00050000 | 38
_LOAD, _EQUAL, _AT_LEAST, _BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_PROT_EXEC, _SIGABRT, _PR_SET_NAME = 4, 6, 15
_CLONE_THREAD = 0x10000
_SET_MODE_FILTER, _FLAG_TSYNC = 1, 1
_X32 = 0x40000000


class Unsupported(Exception):
    """The machine lacks what a wall is made of."""


@cache
def libc() -> ctypes.CDLL:
    """The C library, loaded once: a worker is started for each job."""
    return ctypes.CDLL(None, use_errno=True)


def number(name: str) -> int | None:
    """The number of a system call here; None where the machine has no such call."""
    return _NUMBERS[name][_machine()[0]]


def _machine() -> tuple[int, int]:
    try:
        return _MACHINES[platform.machine()]
    except KeyError:
        raise Unsupported(f"no system call numbers for {platform.machine()}") from None


def _instruction(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("=HBBI", code, then, otherwise, value)


def _answer(names: Iterable[str], verdict: int) -> list[bytes]:
    numbers = [n for name in names if (n := number(name)) is not None]
    return [
        step
        for n in numbers
        for step in (_instruction(_EQUAL, n, 0, 1), _instruction(_RETURN, verdict))
    ]


def _no_executable_memory() -> list[bytes]:
    steps = []
    for name in ("mmap", "mprotect"):
        steps += [
            _instruction(_EQUAL, number(name) or 0, 0, 4),
            _instruction(_LOAD, _ARGUMENTS + 2 * 8),
            _instruction(_BIT, _PROT_EXEC, 0, 1),
            _instruction(_RETURN, _KILL),
            _instruction(_RETURN, _ALLOW),
        ]
    return steps


def _threads_alone() -> list[bytes]:
    """A clone that makes a thread of this process, and no other."""
    return [
        _instruction(_EQUAL, number("clone") or 0, 0, 4),
        _instruction(_LOAD, _ARGUMENTS),
        _instruction(_BIT, _CLONE_THREAD, 0, 1),
        _instruction(_RETURN, _ALLOW),
        _instruction(_RETURN, _KILL),
    ]


def _abort(pid: int) -> list[bytes]:
    """Signals to itself, and SIGABRT alone: a C library's abort() stays what it is."""
    return [
        _instruction(_EQUAL, number("tgkill") or 0, 0, 6),
        _instruction(_LOAD, _ARGUMENTS),
        _instruction(_EQUAL, pid, 0, 3),
        _instruction(_LOAD, _ARGUMENTS + 2 * 8),
        _instruction(_EQUAL, _SIGABRT, 0, 1),
        _instruction(_RETURN, _ALLOW),
        _instruction(_RETURN, _KILL),
    ]


def _own_name() -> list[bytes]:
    """A thread that is starting gives itself a name; it may set nothing else."""
    return [
        _instruction(_EQUAL, number("prctl") or 0, 0, 4),
        _instruction(_LOAD, _ARGUMENTS),
        _instruction(_EQUAL, _PR_SET_NAME, 0, 1),
        _instruction(_RETURN, _ALLOW),
        _instruction(_RETURN, _EACCES),
    ]


def _program(steps: list[bytes]) -> bytes:
    architecture = _machine()[1]
    head = [
        _instruction(_LOAD, _ARCHITECTURE),
        _instruction(_EQUAL, architecture, 1, 0),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, _NUMBER),
        _instruction(_AT_LEAST, _X32, 0, 1),
        _instruction(_RETURN, _KILL),
    ]
    return b"".join([*head, *steps, _instruction(_RETURN, _KILL)])


_SOME_PID = 0x7FFF_DE21


def _of_process(build: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """A builder of filters that names the process, built once and then for each process."""

    @cache
    def template() -> tuple[bytes, bytes]:
        before, after = build(_SOME_PID).split(struct.pack("=I", _SOME_PID))
        return before, after

    def filter_of(pid: int) -> bytes:
        return struct.pack("=I", pid).join(template())

    filter_of.__doc__ = build.__doc__
    return filter_of


@_of_process
def computing_filter(pid: int) -> bytes:
    """The filter of a worker that only computes; files are refused, the rest kills."""
    return _program(
        _answer(COMPUTING, _ALLOW)
        + _no_executable_memory()
        + _answer(FILES, _EACCES)
        + _abort(pid)
    )  # fmt: skip


@_of_process
def program_filter(pid: int) -> bytes:
    """The filter of a submitted program: `computing_filter`, and it may wait and start threads."""
    return _program(
        _answer((*COMPUTING, *_WAITING), _ALLOW)
        + _no_executable_memory()
        + _threads_alone()
        + _answer((*FILES, "prlimit64"), _EACCES)
        + _answer(("clone3",), _ENOSYS)  # its flags lie in memory; the C library then uses clone
        + _own_name()
        + _abort(pid)
    )


def starting_filter() -> bytes:
    """The filter of a worker that still has a program to start: no network, no signals, no spying.

    Which program, and which files, is Landlock's part.
    """
    return _program(_answer((*COMPUTING, *_THREADED, *_STARTING), _ALLOW))


@_of_process
def driving_filter(pid: int) -> bytes:
    """The filter of a worker that talks to the program it started: `computing_filter` with threads.

    It may clean up after the program, but open, start or map nothing any more.
    """
    return _program(
        _answer((*COMPUTING, *_THREADED), _ALLOW)
        + _no_executable_memory()
        + _answer((*FILES, "clone", "clone3"), _EACCES)
        + _own_name()
        + _abort(pid)
    )


def refusing_filter(names: Iterable[str], error: int) -> bytes:
    """A filter under which the named calls fail with errno `error` and all others work."""
    verdict = 0x00050000 | error
    return b"".join(
        [
            _instruction(_LOAD, _NUMBER),
            *_answer(names, verdict),
            _instruction(_RETURN, _ALLOW),
        ]
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def install(program: bytes) -> None:
    """Put a filter over all threads of this process, for good; `no_new_privs` must be set.

    Raises Unsupported when the kernel refuses it.
    """
    buffer = ctypes.create_string_buffer(program, len(program))
    described = _Program(len(program) // 8, ctypes.addressof(buffer))
    call = libc().syscall
    wanted = number("seccomp")
    if call(wanted, _SET_MODE_FILTER, _FLAG_TSYNC, ctypes.byref(described)) != 0:
        raise Unsupported(f"seccomp: {os.strerror(ctypes.get_errno())}")
