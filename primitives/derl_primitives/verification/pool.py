"""A pool of warm workers that ask math-verify: deadlines, restarts, and verdicts kept.

One pool serves all threads of a process (`shared()`); a forked child makes its own. Workers start
when they are first needed, by a fixed command, never by forking a process that holds a model.
"""

from __future__ import annotations

import atexit
import os
import selectors
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from derl_primitives.extras import MATH
from derl_primitives.verification.process import Broken, Process

Request = tuple[str, str, bool]


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds for one verdict, for starting a worker, for a call and each of its requests; bytes.

    A verdict first has `quick` seconds of a worker's time. One that is late waits until all others
    had their turn, and then has `deadline`.
    """

    deadline: float = 2.0
    quick: float = 0.25
    start: float = 60.0
    call: float = 10.0
    request: float = 0.03
    memory: int = 2 << 30
    workers: int = field(default_factory=lambda: max(1, min(4, (os.cpu_count() or 1) - 1)))
    kept: int = 65_536


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no verdict: a class of fault (timeout, crash) and words.

    `asked` says that a worker was at it: the texts themselves are why. Else nobody could judge.
    """

    kind: str
    message: str
    asked: bool = True


class Verifier:
    """Verdicts of math-verify, each asked for once; safe to share by threads.

    `errors` counts what math-verify stumbled over (its verdict then is "not equal"), `counts` what
    was asked: `asked`, `kept` (known from before), `timeout`, `crash`, `restarts`.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.counts: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self._known: OrderedDict[Request, bool | Failure] = OrderedDict()
        self._processes: list[Process] = []
        self._lock = threading.Lock()
        self._owner = os.getpid()

    def verdicts(self, requests: Sequence[Request]) -> list[bool | Failure]:
        """For each (gold, given, marked) what math-verify says, or why it did not.

        Raises MissingExtra when math-verify is not installed.
        """
        MATH.require("comparing answers as math-verify does")
        with self._lock:
            found: dict[Request, bool | Failure] = {}
            for request in requests:
                if request in self._known:
                    self._known.move_to_end(request)
                    found[request] = self._known[request]
            open_ = [r for r in dict.fromkeys(requests) if r not in found]
            self.counts.update(asked=len(requests), kept=len(requests) - len(open_))
            if open_:
                found.update(zip(open_, _Run(self, open_).run(), strict=True))
            return [found[request] for request in requests]

    def forget(self) -> None:
        """Drop the verdicts that are kept."""
        with self._lock:
            self._known.clear()

    def close(self) -> None:
        """End the workers; the next request starts new ones."""
        with self._lock:
            self._disown()
            for process in self._processes:
                process.kill()
            self._processes.clear()

    def disown(self) -> None:
        """Let go of workers that a parent process owns; for a child right after the fork."""
        self._lock = threading.Lock()  # a thread of the parent may have held it
        self._disown()

    def _disown(self) -> None:
        if self._owner != os.getpid():
            for process in self._processes:
                process.forget()
            self._processes, self._owner = [], os.getpid()

    # What a run needs; under the lock.

    def keep(self, request: Request, verdict: bool | Failure) -> None:
        """Remember a verdict, or that it took too long; the oldest goes when there are too many."""
        self._known[request] = verdict
        if len(self._known) > self.limits.kept:
            self._known.popitem(last=False)

    def processes(self, needed: int) -> list[Process]:
        """At least `needed` workers, as far as the limit goes."""
        self._disown()
        for process in [p for p in self._processes if p.popen.poll() is not None]:
            self.discard(process)  # it was ended from outside, between two calls
        while len(self._processes) < min(needed, self.limits.workers):
            self._processes.append(Process(self.limits.deadline, self.limits.memory))
        return self._processes

    def replace(self, process: Process) -> Process:
        """Kill a worker and start another."""
        process.kill()
        self.counts["restarts"] += 1
        self._processes.remove(process)
        self._processes.append(Process(self.limits.deadline, self.limits.memory))
        return self._processes[-1]

    def discard(self, process: Process) -> None:
        """Kill a worker; another is started when one is needed."""
        process.kill()
        self._processes.remove(process)


# How many times its seconds a worker may wait for a processor.
_PATIENCE = 8
_PER_WORKER = 64
"""Open requests that are worth starting one more worker for."""


class _Run:
    """One call: hands the requests to the workers and watches the clock."""

    def __init__(self, verifier: Verifier, requests: list[Request]) -> None:
        self.verifier = verifier
        self.requests = requests
        self.found: list[bool | Failure | None] = [None] * len(requests)
        self.waiting = deque(range(len(requests)))
        limits = verifier.limits
        # Seconds of each turn; the turn of those that were late; who waits for the next one alone.
        self.turns = (min(limits.quick, limits.deadline), limits.deadline)
        self.turn: dict[int, int] = {}
        self.late: list[deque[int]] = [deque() for _ in self.turns]
        self.left = len(requests)
        self.end = self.seconds = 0.0

    def run(self) -> list[bool | Failure]:
        with selectors.DefaultSelector() as selector:
            self.selector = selector
            try:
                workers = self.verifier.processes(1 + len(self.requests) // _PER_WORKER)
            except Broken as error:
                return [Failure("crash", f"math-verify: {error}", asked=False)] * self.left
            limits = self.verifier.limits
            self.seconds = limits.call + limits.request * len(self.requests)
            self.end = time.monotonic() + self.seconds
            for process in workers:
                selector.register(process.output, selectors.EVENT_READ, process)
            try:
                while self.left and time.monotonic() < self.end:
                    self._hand_out()
                    self._wait()
            finally:  # whatever ended it: no reply may reach another call
                for process in self._active():
                    if process.asked:
                        self.verifier.discard(process)
        words = f"math-verify: {self.seconds:g} s are over"
        for number in range(len(self.requests)) if self.left else ():
            if self.found[number] is None:
                self._settle(number, Failure("timeout", words, asked=number in self.turn))
        return [v for v in self.found if v is not None]

    def _active(self) -> list[Process]:
        return [key.data for key in self.selector.get_map().values()]

    def _hand_out(self) -> None:
        for process in self._active():
            try:
                while self.waiting and process.has_room() and not self._slow(process):
                    number = self.waiting.popleft()
                    process.ask(number, self.requests[number])
                if (
                    process.ready
                    and not process.asked
                    and (late := next(filter(None, self.late), None))
                ):
                    number = late.popleft()
                    process.ask(number, self.requests[number])
                if process.unsent:
                    process.write()
            except Broken as error:
                self._failed(process, "crash", str(error))

    def _slow(self, process: Process) -> bool:
        """Whether a worker is at a request that was late before."""
        return bool(process.asked) and process.asked[0][0] in self.turn

    def _wait(self) -> None:
        now = time.monotonic()
        ends = {p.output: self._deadline(p) for p in self._active()}
        timeout = max(0.0, min([self.end, *ends.values()]) - now)
        if any(p.unsent for p in self._active()):
            timeout = min(timeout, 0.005)
        for key, _ in self.selector.select(timeout):
            self._read(key.data)
        now = time.monotonic()
        for process in self._active():
            if now >= self._deadline(process) and self._busy(process):
                limits = self.verifier.limits
                words = (
                    f"no verdict after {limits.deadline:g} s" if process.ready
                    else f"the worker did not start within {limits.start:g} s"
                )  # fmt: skip
                self._failed(process, "timeout", words)

    def _deadline(self, process: Process) -> float:
        limits = self.verifier.limits
        if not process.ready:
            return process.since + limits.start
        if not process.asked:
            return self.end
        return process.since + self._seconds(process) + process.waited

    def _seconds(self, process: Process) -> float:
        return self.turns[self.turn.get(process.asked[0][0], 0)]

    def _busy(self, process: Process) -> bool:
        """Whether a late worker had its time; on a machine that is busy elsewhere it has not."""
        if not process.ready or not process.asked:
            return True
        seconds = self._seconds(process)
        used = process.used()
        if used is None or used >= seconds or process.waited > _PATIENCE * seconds:
            return True
        process.waited += max(seconds - used, 0.01)
        return False

    def _read(self, process: Process) -> None:
        try:
            replies = process.read()
        except Broken as error:
            self._failed(process, "crash", str(error))
            return
        for number, verdict, stumbled in replies:
            if stumbled:
                self.verifier.errors[stumbled.partition(":")[0]] += 1
            self.verifier.keep(self.requests[number], verdict)
            self._settle(number, verdict)

    def _settle(self, number: int, outcome: bool | Failure) -> None:
        self.found[number] = outcome
        self.left -= 1
        if isinstance(outcome, Failure):
            self.verifier.counts[outcome.kind] += 1

    def _failed(self, process: Process, kind: str, words: str) -> None:
        """The request that a worker was at has failed; the others go to another worker."""
        failure = Failure(kind, f"math-verify: {words}")
        self.selector.unregister(process.output)
        numbers = [number for number, _ in process.asked]
        if not process.ready:  # a machine on which no worker starts would try forever
            self.verifier.discard(process)
            if not self._active():
                self._fail_all(failure)
            return
        turn = self.turn.get(numbers[0], 0) + 1 if numbers else 0
        if numbers and kind == "timeout" and turn < len(self.turns):
            self.turn[numbers[0]] = turn
            self.late[turn].append(numbers[0])
            self.waiting.extendleft(reversed(numbers[1:]))
        elif numbers:
            self._settle(numbers[0], failure)
            self.verifier.keep(self.requests[numbers[0]], failure)
            self.waiting.extendleft(reversed(numbers[1:]))
        if self.left:
            try:
                fresh = self.verifier.replace(process)
            except Broken as error:
                if not self._active():
                    self._fail_all(Failure("crash", f"math-verify: {error}"))
                return
            self.selector.register(fresh.output, selectors.EVENT_READ, fresh)
        else:
            self.verifier.discard(process)

    def _fail_all(self, failure: Failure) -> None:
        for number, outcome in enumerate(self.found):
            if outcome is None:
                self._settle(number, replace(failure, asked=False))


_shared: Verifier | None = None
_making = threading.Lock()


def shared() -> Verifier:
    """The verifier that all primitives of this process use."""
    global _shared
    with _making:
        if _shared is None:
            _shared = Verifier()
            atexit.register(_shared.close)
        return _shared


def _after_fork() -> None:
    """A forked child keeps the verdicts and starts workers, and locks, of its own."""
    global _making
    _making = threading.Lock()
    if _shared is not None:
        _shared.disown()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
