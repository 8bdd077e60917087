"""Java processes that serve ScienceWorld's environments: heap bounded, restarted, never left.

Up to `GAMES` environments share a process; for more there are more of them.

The process holds a pipe to this one and exits when the pipe closes, so it goes when this process
does, however that ends. What it computes is lost when it dies: every environment notices by the
number of the process, and says so, rather than go on in another game.
"""

from __future__ import annotations

import atexit
import logging
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from derl_trainers.tasks.base import TaskError
from derl_trainers.tasks.environments.base import EnvironmentFault
from derl_trainers.tasks.environments.scienceworld.simulator import Simulator, Unsuited

# 64 games are 45 MB; the rest of the heap is for what steps leave behind, and for gold paths.
HEAP_MB, GAMES = 300, 64
# A step takes some milliseconds, the longest loads about a second.
DEADLINE = 60.0
T = TypeVar("T")
_JAVA = "ScienceWorld needs Java 17 or newer: install a JRE (Debian: openjdk-17-jre-headless)"


def lacks() -> str | None:
    """What ScienceWorld lacks on this machine, with the fix; None when it can run."""
    try:
        import py4j  # noqa: F401
        import scienceworld  # noqa: F401
    except ModuleNotFoundError as error:
        return f"{error.name} is not installed: pip install 'derl-dsl[agents]'"
    java = shutil.which("java")
    if java is None:
        return f"no java on the path; {_JAVA}"
    try:
        said = subprocess.run(
            [java, "-version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{java} does not answer ({error}); {_JAVA}"
    version = next((w.strip('"') for w in said.stderr.split() if w.startswith('"')), "")
    major = version.split(".")[0]
    if not major.isdigit():
        return f"{java} does not say its version; {_JAVA}"
    return None if int(major) >= 17 else f"{java} is version {version}; {_JAVA}"


def _not_py4j(record: logging.LogRecord) -> bool:
    return record.module != "java_gateway"


class Machine:
    """The Java process, started when it is first asked for; its calls come one at a time.

    `number` counts the processes so far: an environment of an earlier one is gone. `games` counts
    those that the present one holds.
    """

    def __init__(self, heap_mb: int = HEAP_MB, deadline: float = DEADLINE) -> None:
        self.heap_mb, self.deadline = heap_mb, deadline
        self.number = self.games = 0
        self._gateway: Any = None
        self._simulator: Simulator | None = None
        self._lock = threading.RLock()
        atexit.register(self.close)

    @property
    def pid(self) -> int | None:
        """The process, None when none runs."""
        return self._gateway.java_process.pid if self._running else None

    @property
    def _running(self) -> bool:
        return self._gateway is not None and self._gateway.java_process.poll() is None

    def game(self, task: str, variation: int) -> tuple[Any, int]:
        """A game at its start, and the number of the process that has it.

        Starts the process when there is none. Raises TaskError where the machine lacks something,
        EnvironmentFault for a game that is none.
        """
        with self._lock:
            number = self.started()
            made = self.do(number, "the start of a game", lambda s: s.game(task, variation))
            self.games += 1
            return made, number

    def started(self) -> int:
        """The number of the process, which is started when none runs; raises as `game` does."""
        with self._lock:
            if not self._running:
                self._start()
            return self.number

    def _start(self) -> None:
        missing = lacks()
        if missing is not None:
            raise TaskError(missing)
        from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway
        from scienceworld.constants import BASEPATH, JAR_PATH

        self._stop()
        # Faults are told by those who made the call; py4j would log a page for each as well.
        logging.getLogger("py4j").setLevel(logging.CRITICAL)
        logging.getLogger().addFilter(_not_py4j)
        port, process = launch_gateway(
            classpath=JAR_PATH, die_on_exit=True, cwd=BASEPATH, return_proc=True,
            javaopts=[f"-Xmx{self.heap_mb}m", "-Xss4m", "-XX:+UseSerialGC"],
        )  # fmt: skip
        parameters = GatewayParameters(port=port, read_timeout=self.deadline)
        self._gateway = JavaGateway(gateway_parameters=parameters, java_process=process)
        self.number, self.games = self.number + 1, 0
        try:
            with self._told("its start"):
                self._simulator = Simulator(self._gateway)
        except Unsuited as error:
            self._stop()
            raise TaskError(str(error)) from error

    def serves(self, number: int) -> bool:
        """Whether process `number` is the one that runs."""
        return number == self.number and self._running

    def do(self, number: int, what: str, work: Callable[[Simulator], T]) -> T:
        """What `work` gives in process `number`, alone in it; EnvironmentFault when it fails.

        `what` names it in the message. A call that does not answer within the deadline ends the
        process: nothing else stops it.
        """
        with self._lock:
            simulator = self._simulator
            if simulator is None or not self.serves(number):
                raise EnvironmentFault(
                    "ScienceWorld's Java process died in the middle of the episode"
                )
            with self._told(what):
                return work(simulator)

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Say what went wrong in Java as an EnvironmentFault."""
        from py4j.protocol import Py4JError, Py4JJavaError

        try:
            yield
        except Py4JJavaError as error:
            reason = str(error.java_exception)
            raise EnvironmentFault(f"ScienceWorld raised at {what}: {reason}") from error
        except Py4JError as error:
            # A connection that broke, or a deadline that passed.
            self._stop()
            raise EnvironmentFault(
                f"ScienceWorld's Java process died or gave no answer in {self.deadline:g} s"
            ) from error

    def release(self, number: int, game: Any) -> None:
        """Let Java forget a game."""
        with self._lock:
            simulator = self._simulator
            if simulator is not None and self.serves(number):
                self.games -= 1
                simulator.forget(game)

    def _stop(self) -> None:
        if self._gateway is None:
            return
        process = self._gateway.java_process
        if process.poll() is None:
            process.kill()
        process.wait(timeout=10)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
        self._gateway = self._simulator = None

    def close(self) -> None:
        """End the process; the next simulator starts another."""
        with self._lock:
            self._stop()


_machines: list[Machine] = []


def machine() -> Machine:
    """A Java process with room for one more game, of those that this Python process has."""
    free = next((found for found in _machines if found.games < GAMES), None)
    if free is None:
        free = Machine()
        _machines.append(free)
    return free
