"""The walls around a worker: rlimits, another user, Landlock, seccomp; put up once, for good."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
from collections.abc import Iterable

from . import landlock, seccomp
from .seccomp import libc

# Which walls a job asks for.
RLIMITS, SECCOMP, LANDLOCK = 1, 2, 4
ALL = RLIMITS | SECCOMP | LANDLOCK

_NOBODY = 65534
_ZYGOTE = os.getpid()  # in a worker: what it was when the zygote imported this
_SET_PDEATHSIG, _GET_PDEATHSIG = 1, 2
_GET_DUMPABLE, _SET_DUMPABLE = 3, 4
_SET_NO_NEW_PRIVS, _GET_NO_NEW_PRIVS = 38, 39
_FILES = 64
# Threads over all programs of the user, so no wall against one of them; bytes of the main stack.
_THREADS, _STACK = 4096, 64 << 20


def prctl(option: int, value: int = 0) -> int:
    """The prctl of Linux.

    Raises OSError when the kernel refuses.
    """
    done = libc().prctl(option, value, 0, 0, 0)
    if done < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return int(done)


def close_all_but(kept: Iterable[int]) -> None:
    """Close every file descriptor of this process save those in `kept`."""
    low = 0
    for descriptor in sorted(kept):
        if low < descriptor:  # an empty range would close everything
            os.closerange(low, descriptor)
        low = descriptor + 1
    os.closerange(low, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def drop_user() -> None:
    """Become nobody where this process is root; elsewhere it stays the user it is.

    A root that may not do that (a container without CAP_SETUID) stays root, and the self-test
    says so.
    """
    if os.geteuid() != 0:
        return
    with contextlib.suppress(OSError):
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)


def quiet() -> None:
    """Die with the parent, give no core and no memory to others, gain no rights ever."""
    prctl(_SET_PDEATHSIG, signal.SIGKILL)  # a change of user clears it, so it comes after
    if os.getppid() != _ZYGOTE:
        os._exit(1)  # the zygote was gone before
    prctl(_SET_DUMPABLE, 0)
    prctl(_SET_NO_NEW_PRIVS, 1)


def quiet_holds() -> bool:
    """Whether `quiet` holds for this process."""
    signal_number = ctypes.c_int(0)
    libc().prctl(_GET_PDEATHSIG, ctypes.byref(signal_number), 0, 0, 0)
    return (
        signal_number.value == signal.SIGKILL
        and prctl(_GET_DUMPABLE) == 0
        and prctl(_GET_NO_NEW_PRIVS) == 1
    )


def limit(cpu: int, memory: int, *, processes: int = 0, reserve: int = 0) -> None:
    """Limit CPU seconds, bytes of memory, files and processes of this process, for good.

    `reserve` bytes of address space come on top of `memory`: what a program only reserves.
    """
    for kind, soft, hard in (
        # At the soft limit SIGXCPU tells the cause; the hard one ends whoever catches it.
        (resource.RLIMIT_CPU, cpu, cpu + 1),
        (resource.RLIMIT_AS, memory + reserve, memory + reserve),
        (resource.RLIMIT_DATA, memory, memory),
        (resource.RLIMIT_NOFILE, _FILES, _FILES),
        (resource.RLIMIT_FSIZE, 0, 0),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_MEMLOCK, 0, 0),
        (resource.RLIMIT_MSGQUEUE, 0, 0),
        (resource.RLIMIT_NPROC, processes, processes),
    ):
        _, most = resource.getrlimit(kind)
        if most != resource.RLIM_INFINITY:
            soft, hard = min(soft, most), min(hard, most)
        resource.setrlimit(kind, (soft, hard))


def put_up(walls: int, cpu: int, memory: int) -> None:
    """Put up the walls of a worker that only computes.

    Raises seccomp.Unsupported or OSError where the machine lacks one of them.
    """
    drop_user()
    quiet()
    if walls & RLIMITS:
        limit(cpu, memory)
    if walls & LANDLOCK:
        landlock.restrict()
    if walls & SECCOMP:
        seccomp.install(seccomp.computing_filter(os.getpid()))


def put_up_program(walls: int, cpu: int, memory: int) -> None:
    """Put up the walls of a submitted program: as `put_up`, with threads of its own.

    Raises as `put_up`.
    """
    drop_user()
    quiet()
    if walls & RLIMITS:
        limit(cpu, memory, processes=_THREADS, reserve=_STACK)
        _, most = resource.getrlimit(resource.RLIMIT_STACK)
        wanted = _STACK if most == resource.RLIM_INFINITY else min(_STACK, most)
        resource.setrlimit(resource.RLIMIT_STACK, (wanted, wanted))
    if walls & LANDLOCK:
        landlock.restrict()
    if walls & SECCOMP:
        seccomp.install(seccomp.program_filter(os.getpid()))


def put_up_starting(
    cpu: int, memory: int, *, reserve: int, processes: int, runnable: Iterable[str]
) -> None:
    """Put up the walls of a worker that has one program to start, out of the files `runnable`.

    `driving_filter` comes on top as soon as it runs. Raises as `put_up`.
    """
    drop_user()
    quiet()
    limit(cpu, memory, processes=processes, reserve=reserve)
    landlock.restrict(runnable)
    seccomp.install(seccomp.starting_filter())
