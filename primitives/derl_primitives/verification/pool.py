"""A pool of warm workers that ask math-verify: deadlines, restarts, and verdicts kept.

One pool serves all threads of a process (`shared()`); a forked child makes its own. Workers start
when they are first needed, by a fixed command, never by forking a process that holds a model.
"""

from __future__ import annotations

import atexit
import math
import os
import selectors
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Sequence
from dataclasses import field, replace

from derl_grammar.records import record
from derl_primitives.extras import MATH
from derl_primitives.verification.process import Broken, Process, used
from derl_runtime.deadline import Deadline

Request = tuple[str, str, bool]


@record
class Limits:
    """Seconds for one verdict, for starting a worker, for a call and each of its requests; bytes.

    A verdict first has `quick` seconds of a worker's time. One that is late waits until all others
    had their turn, and then has up to `deadline`: its share of what is left of the call.
    """

    deadline: float = 2.0
    quick: float = 0.25
    start: float = 60.0
    call: float = 10.0
    request: float = 0.03
    memory: int = 2 << 30
    workers: int = field(default_factory=lambda: max(1, min(4, (os.cpu_count() or 1) - 1)))
    kept: int = 65_536


@record
class Failure:
    """Why there is no verdict: a class of fault (timeout, crash) and words.

    `asked` says that a worker was at it and that its gold answer alone is judged: the given text is
    why. Else nobody could judge.
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

    def known(self, request: Request) -> bool | Failure | None:
        """What was kept of a request."""
        return self._known.get(request)

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


def _gold_alone(request: Request) -> Request:
    """Asks whether a gold answer can be judged at all."""
    return request[0], "0", True


class _Run:
    """One call: hands the requests to the workers and watches the clock.

    Where a request fails, its gold answer alone is asked for beside the others, within the same
    deadline: it says whether the given text is why.
    """

    def __init__(self, verifier: Verifier, requests: list[Request]) -> None:
        self.verifier = verifier
        self.requests = list(requests)
        self.wanted = len(requests)
        self.numbers = {request: number for number, request in enumerate(requests)}
        self.found: list[bool | Failure | None] = [None] * len(requests)
        self.waiting = deque(range(len(requests)))
        # Those that were late and wait for their second turn, each alone with a worker.
        self.late: deque[int] = deque()
        self.tried: set[int] = set()  # all that were late
        self.left = len(requests)
        self.over: set[int] = set()  # those that had all the time there is, or ended a worker

    def run(self) -> list[bool | Failure]:
        with selectors.DefaultSelector() as selector:
            self.selector = selector
            try:
                workers = self.verifier.processes(1 + len(self.requests) // _PER_WORKER)
            except Broken as error:
                return [Failure("crash", f"math-verify: {error}", asked=False)] * self.left
            limits = self.verifier.limits
            self.seconds = limits.call + limits.request * len(self.requests)
            wanted = min(len(workers), os.cpu_count() or 1)
            self.deadline = Deadline(self.seconds, wanted, lambda: used(self.verifier.processes(0)))
            for process in workers:
                selector.register(process.output, selectors.EVENT_READ, process)
            try:
                while self.left and self.deadline.left() > 0:
                    self._hand_out()
                    self._wait()
            finally:  # whatever ended it: no reply may reach another call
                for process in self._active():
                    if process.asked:
                        self.verifier.discard(process)
        words = f"math-verify: {self.seconds:g} s are over"
        for number, outcome in enumerate(self.found):
            if outcome is None:
                self._settle(number, Failure("timeout", words, asked=number in self.tried))
        return [self._judged(number) for number in range(len(self.requests))][: self.wanted]

    def _judged(self, number: int) -> bool | Failure:
        """What came of a request; of one that failed whether the given text is why."""
        outcome, request = self.found[number], self.requests[number]
        assert outcome is not None
        if not isinstance(outcome, Failure):
            return outcome
        gold = _gold_alone(request)
        alone = self.found[self.numbers[gold]] if gold in self.numbers else None
        if alone is None:
            alone = self.verifier.known(gold)
        outcome = replace(outcome, asked=outcome.asked and isinstance(alone, bool))
        if number in self.over:
            self.verifier.keep(request, outcome)
        return outcome

    def _ask_gold(self, number: int) -> None:
        """Have the gold answer of a request that is late, or failed, judged alone."""
        gold = _gold_alone(self.requests[number])
        if gold in self.numbers or self.verifier.known(gold) is not None:
            return
        self.numbers[gold] = len(self.requests)
        self.waiting.append(len(self.requests))
        self.requests.append(gold)
        self.found.append(None)
        self.left += 1

    def _active(self) -> list[Process]:
        return [key.data for key in self.selector.get_map().values()]

    def _hand_out(self) -> None:
        for process in self._active():
            try:
                while self.waiting and process.has_room() and not self._slow(process):
                    number = self.waiting.popleft()
                    process.ask(number, self.requests[number])
                if process.ready and not process.asked and self.late:
                    number = self.late.popleft()
                    process.ask(number, self.requests[number])
                if process.unsent:
                    process.write()
            except Broken as error:
                self._failed(process, "crash", str(error))

    def _slow(self, process: Process) -> bool:
        """Whether a worker is at a request that was late before."""
        return bool(process.asked) and process.asked[0][0] in self.tried

    def _wait(self) -> None:
        now = time.monotonic()
        ends = {p.output: self._deadline(p) for p in self._active()}
        timeout = max(0.0, min([self.deadline.end, *ends.values()]) - now)
        if any(p.unsent for p in self._active()):
            timeout = min(timeout, 0.005)
        for key, _ in self.selector.select(timeout):
            self._read(key.data)
        now = time.monotonic()
        for process in self._active():
            if now >= self._deadline(process) and self._busy(process):
                seconds = self._seconds(process) if process.asked else 0.0
                words = (
                    f"no verdict after {seconds:.2g} s" if process.ready
                    else f"the worker did not start within {self.verifier.limits.start:g} s"
                )  # fmt: skip
                self._failed(process, "timeout", words, given=seconds)

    def _deadline(self, process: Process) -> float:
        limits = self.verifier.limits
        if not process.ready:
            return process.since + limits.start
        if not process.asked:
            return self.deadline.end
        return process.since + self._seconds(process) + process.waited

    def _seconds(self, process: Process) -> float:
        """How long a turn is; those that were late share what is left of the call."""
        limits = self.verifier.limits
        quick = min(limits.quick, limits.deadline)
        if process.asked[0][0] not in self.tried:
            return quick
        share = (self.deadline.end - process.since) * len(self._active()) / (1 + len(self.late))
        return min(limits.deadline, max(quick, share))

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

    def _failed(self, process: Process, kind: str, words: str, given: float = math.inf) -> None:
        """The request that a worker was at has failed; the others go to another worker.

        `given` is the seconds that it had.
        """
        failure = Failure(kind, f"math-verify: {words}")
        self.selector.unregister(process.output)
        numbers = [number for number, _ in process.asked]
        if not process.ready:  # a machine on which no worker starts would try forever
            self.verifier.discard(process)
            if not self._active():
                self._fail_all(failure)
            return
        if numbers:
            self._ask_gold(numbers[0])
            self.waiting.extendleft(reversed(numbers[1:]))
            if kind == "timeout" and numbers[0] not in self.tried:
                self.tried.add(numbers[0])
                self.late.append(numbers[0])
            else:
                if given >= self.verifier.limits.deadline:
                    self.over.add(numbers[0])
                self._settle(numbers[0], failure)
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
