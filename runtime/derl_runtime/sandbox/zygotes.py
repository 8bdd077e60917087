"""The host's end of the zygotes: one for each engine and process, started when first needed."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Sequence
from pathlib import Path

from derl_runtime.sandbox.outcome import Refused
from derl_runtime.sandbox.worker.zygote import REQUEST

_HERE = Path(__file__).parent
# The package of an engine; submitted programs need none.
_NEEDS = {"restricted": "RestrictedPython", "monty": "pydantic_monty", "programs": "derl_runtime"}
# What stands before the path of a script that a zygote is to load instead of an engine.
SCRIPT = "script:"
# Seconds to come up, and to take a job from the host.
_START, _SEND = 60.0, 2.0
_CODE = (
    "import sys; control, engine, sys.path[:0] = int(sys.argv[1]), sys.argv[2], sys.argv[3:]; "
    "from worker.zygote import main; main(control, engine)"
)
# Fixed: neither what the host holds in its environment nor a random order of hashes gets in. One
# arena a process keeps what threads merely reserve below the limits.
_ENVIRONMENT = {"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8", "MALLOC_ARENA_MAX": "1"}
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


class ZygoteGone(Exception):
    """The zygote died, or never came up."""


class Zygote:
    """A running zygote; jobs of all threads go over its one control socket."""

    code = _CODE

    def __init__(self, engine: str) -> None:
        self.starts_programs = engine == "monty"
        sites = _sites(engine)
        # Packets, so that requests of several threads never mix.
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # -s -P -S: nothing of the user, of the folder or of site-packages is imported at start.
        command = [sys.executable, "-s", "-P", "-S", "-B", "-c", self.code]
        with theirs:
            self.process = subprocess.Popen(
                [*command, str(theirs.fileno()), engine, str(_HERE), *sites],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=_ENVIRONMENT | _more(engine),
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                cwd="/",
            )
        self._wait_until_up()

    def _wait_until_up(self) -> None:
        self.control.settimeout(_START)
        try:
            up = self.control.recv(1) == b"\x01"
        except OSError:
            up = False
        if up:
            self.control.settimeout(_SEND)
            return
        self.process.kill()
        error = self.process.communicate()[1].decode("utf-8", "replace").strip()
        self.control.close()
        last = error.splitlines()[-1] if error else "no answer"
        raise ZygoteGone(f"the sandbox's process did not start: {last}")

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.process.poll() is None

    def start(
        self,
        kind: int,
        walls: int,
        cpu: int,
        memory: int,
        pieces: Sequence[bytes],
        channel: Sequence[int] = (),
    ) -> tuple[int, socket.socket]:
        """Start a job; its reply pipe and its status socket. Raises ZygoteGone.

        `channel` is the descriptor over which it talks to another job, where it does.
        """
        with contextlib.ExitStack() as ours:
            job = _memory_file(pieces)
            ours.callback(os.close, job)
            reply, theirs = os.pipe2(os.O_CLOEXEC)
            ours.callback(os.close, theirs)
            status, their_status = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.enter_context(their_status)
            request = REQUEST.pack(kind, walls, cpu, memory)
            try:
                given = [job, theirs, their_status.fileno(), *channel]
                socket.send_fds(self.control, [request], given)
            except OSError as error:
                os.close(reply)
                status.close()
                raise ZygoteGone(f"the sandbox's process is gone ({error})") from None
        os.set_blocking(reply, False)
        status.setblocking(False)
        return reply, status

    def close(self) -> None:
        """End it; every job that still runs is killed."""
        self.control.close()
        if self.process.stderr is not None:
            self.process.stderr.close()
        try:
            self.process.wait(1)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def forget(self) -> None:
        """Let go of it in a child of the process that it belongs to."""
        self.control.close()
        if self.process.stderr is not None:
            self.process.stderr.close()
        self.process.returncode = 0  # not ours to wait for


def _sites(engine: str) -> list[str]:
    """Where the packages lie that an engine or a script needs; raises Refused without them."""
    if engine.startswith(SCRIPT):
        return [path for path in sys.path if Path(path).name.endswith("-packages")]
    spec = importlib.util.find_spec(_NEEDS[engine])
    if spec is None or spec.origin is None:
        raise Refused(
            f"the {engine} engine needs {_NEEDS[engine]}: "
            f"pip install 'derl-dsl{'[monty]' if engine == 'monty' else ''}'"
        )
    return [str(Path(spec.origin).parents[1])]


def _more(engine: str) -> dict[str, str]:
    """Where monty's program lies: the zygote does not know the environment it is installed in."""
    if engine != "monty":
        return {}
    places = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ.get('PATH', '')}"
    found = os.environ.get("MONTY_BIN") or shutil.which("monty", path=places)
    return {"MONTY_BIN": found} if found else {}


def _memory_file(pieces: Sequence[bytes]) -> int:
    descriptor = os.memfd_create("derl-job", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        # A job has a piece for each text: joined, they go in one call.
        data = memoryview(b"".join(pieces))
        while data:
            data = data[os.write(descriptor, data) :]
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


class _Table:
    """The zygotes of this process, and how many use each."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.running: dict[str, Zygote] = {}
        self.users: dict[str, int] = {}


_table = _Table()


def _after_fork() -> None:
    """A child of the host starts its own; the host's stays the host's."""
    inherited = _table.running
    _table.lock = threading.Lock()
    _table.running, _table.users = {}, {}
    for zygote in inherited.values():
        zygote.forget()


os.register_at_fork(after_in_child=_after_fork)


def acquire(engine: str) -> None:
    """Say that the zygote of an engine is in use."""
    with _table.lock:
        _table.users[engine] = _table.users.get(engine, 0) + 1


def release(engine: str) -> None:
    """Say that a user is done; the last one ends the zygote."""
    with _table.lock:
        left = _table.users.get(engine, 0) - 1
        _table.users[engine] = max(left, 0)
        gone = _table.running.pop(engine, None) if left <= 0 else None
    if gone is not None:
        gone.close()


def zygote(engine: str) -> Zygote:
    """The zygote of an engine, started or started anew where it is not there."""
    with _table.lock:
        found = _table.running.get(engine)
        if found is not None and found.alive:
            return found
        if found is not None:
            found.close()
        fresh = _table.running[engine] = Zygote(engine)
        return fresh


def discard(engine: str, lost: Zygote) -> None:
    """End a zygote that does its work no more; the next job gets a new one."""
    with _table.lock:
        if _table.running.get(engine) is lost:
            del _table.running[engine]
    lost.process.kill()
    lost.close()


@atexit.register
def _close_all() -> None:
    with _table.lock:
        running = list(_table.running.values())
        _table.running.clear()
    for each in running:
        each.close()
