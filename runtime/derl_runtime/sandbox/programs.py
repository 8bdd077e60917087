"""Submitted programs against their tests: many at once, quick ones first, one deadline for all.

Each program has a process of its own, its tests another one beside it (`worker/exam.py`); a test
that is an input with the output it should give is a run of the program as a script, whose output
is compared here. Nothing that a program sends is more than a value or text to compare.

A test is first given a moment; one that is not done then waits until all others had theirs, and is
tried again with more time, alone. So rows that hang cost what is left when the others are done.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import socket
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from derl_runtime.sandbox.encode import encode_column, encode_job
from derl_runtime.sandbox.outcome import Failure
from derl_runtime.sandbox.worker import frames
from derl_runtime.sandbox.worker.exam import BAD, LOADED, PASSED
from derl_runtime.sandbox.worker.zygote import ENDED
from derl_runtime.sandbox.zygotes import Zygote

_READ = 1 << 16
_LONGEST_PROGRAM = 1 << 16


@dataclass(frozen=True, slots=True)
class ProgramLimits:
    """Seconds for a test in each round, for a batch and on top for each row of it; bytes.

    A row whose tests are late `late` times in the last round has failed those that are left.
    """

    rounds: tuple[float, ...] = (0.1, 0.5, 2.0)
    batch: float = 10.0
    row: float = 0.01
    late: int = 2
    memory: int = 512 << 20
    output: int = 1 << 20


@dataclass(frozen=True, slots=True)
class Script:
    """A test by input and output: what the program is given, and what it has to print."""

    given: str
    printed: str

    @staticmethod
    def read(test: str) -> Script | None:
        """The test in a text such as `{"input": "1 2", "output": "3"}`; None where it is code."""
        if not test.lstrip().startswith("{"):
            return None
        try:
            table = json.loads(test)
        except (ValueError, RecursionError):
            return None
        match table:
            case {"input": str(given), "output": str(printed)}:
                return Script(given, printed)
        return None

    def fits(self, output: bytes) -> bool:
        """Whether this was printed; white space at the ends of lines and of the text aside."""
        return _lines(output.decode("utf-8", "replace")) == _lines(self.printed)


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().split("\n")]


@dataclass(slots=True)
class _Task:
    """Tests of one row that one run decides: some as code, or one as a script."""

    row: int
    tests: list[int]
    round: int = 0


@dataclass(slots=True)
class _Row:
    source: str
    tests: Sequence[str]
    verdicts: list[bool | None]
    started: bool = False
    late: int = 0
    problem: Failure | None = None


@dataclass(slots=True)
class _Live:
    """A run: what is read of it, and since when it has said nothing new."""

    task: _Task
    script: Script | None
    reply: int
    sockets: list[socket.socket]
    since: float
    data: bytearray = field(default_factory=bytearray)
    known: int = 0
    over: str = ""  # why it was ended from here
    status: tuple[int, float] | None = None

    def end(self) -> None:
        """Have its processes killed and let go of it."""
        os.close(self.reply)
        for each in self.sockets:
            each.close()


def run(
    zygote: Zygote,
    programs: Sequence[tuple[str, Sequence[str]]],
    walls: int,
    limits: ProgramLimits,
) -> list[list[bool] | Failure]:
    """For each (program, tests) whether each test passes, or why nobody can say.

    A program that hangs, crashes or is refused something fails; so does one that the deadline of
    the batch stops. A Failure is of the row's tests, or of the machine. Raises ZygoteGone.
    """
    batch = _Batch(zygote, walls, limits)
    for source, tests in programs:
        batch.add(source, tests)
    batch.run()
    return [_result(row) for row in batch.rows]


def _result(row: _Row) -> list[bool] | Failure:
    if row.problem is not None:
        return row.problem
    if not row.started and None in row.verdicts:
        return Failure("timeout", "the batch's deadline came before its turn")
    return [verdict is True for verdict in row.verdicts]


class _Batch:
    def __init__(self, zygote: Zygote, walls: int, limits: ProgramLimits) -> None:
        self.zygote, self.walls, self.limits = zygote, walls, limits
        self.rows: list[_Row] = []
        self.waiting: list[deque[_Task]] = [deque() for _ in limits.rounds]
        self.live: dict[int, _Live] = {}
        self.at_once = max(1, len(os.sched_getaffinity(0)))
        self.poll = select.poll()

    def add(self, source: str, tests: Sequence[str]) -> None:
        """Queue the tests of a row."""
        number = len(self.rows)
        row = _Row(source, tests, [None] * len(tests))
        self.rows.append(row)
        if not source.strip() or len(source) > _LONGEST_PROGRAM or "\0" in source:
            row.verdicts = [False] * len(tests)
            return
        scripts = [Script.read(test) for test in tests]
        code = [k for k, script in enumerate(scripts) if script is None]
        if code:
            self.waiting[0].append(_Task(number, code))
        self.waiting[0].extend(_Task(number, [k]) for k, s in enumerate(scripts) if s is not None)

    def run(self) -> None:
        end = time.monotonic() + self.limits.batch + self.limits.row * len(self.rows)
        try:
            while True:
                now = time.monotonic()
                if now >= end:
                    return
                while len(self.live) < self.at_once and (task := self._next()) is not None:
                    self._start(task)
                if not self.live:
                    return
                ends = [run.since + self._seconds(run.task) for run in self.live.values()]
                self._wait(min([end, *ends]) - now)
                self._check_time()
        finally:
            for run in self.live.values():
                run.end()

    def _next(self) -> _Task | None:
        return next((queue.popleft() for queue in self.waiting if queue), None)

    def _seconds(self, task: _Task) -> float:
        return self.limits.rounds[task.round]

    def _start(self, task: _Task) -> None:
        row = self.rows[task.row]
        row.started = True
        script = Script.read(row.tests[task.tests[0]])
        with contextlib.ExitStack() as ours:
            if script is not None:
                given = [encode_column([script.given])]
                reply, status = self._job(frames.SCRIPT, task, row.source, given)
                sockets = [status]
            else:
                one, other = socket.socketpair()
                ours.enter_context(one)
                ours.enter_context(other)
                unused, program = self._job(frames.PROGRAM, task, row.source, [], one)
                os.close(unused)
                ours.push(program)
                tests = [encode_column([row.tests[k] for k in task.tests])]
                reply, status = self._job(frames.EXAM, task, "", tests, other)
                ours.pop_all().enter_context(one)
                one.close()
                other.close()
                sockets = [status, program]
        self.live[reply] = _Live(task, script, reply, sockets, time.monotonic())
        self.poll.register(reply, select.POLLIN)

    def _job(
        self, kind: int, task: _Task, source: str, columns: list[list[bytes]], channel: Any = None
    ) -> tuple[int, socket.socket]:
        rows = len(task.tests) if columns else 0
        pieces = encode_job(kind, source, rows=rows, columns=columns)
        cpu = math.ceil(self._seconds(task) * (1 if kind == frames.SCRIPT else len(task.tests))) + 1
        given = () if channel is None else (channel.fileno(),)
        return self.zygote.start(kind, self.walls, cpu, self.limits.memory, pieces, given)

    def _wait(self, seconds: float) -> None:
        for descriptor, _ in self.poll.poll(max(0, math.ceil(seconds * 1000))):
            run = self.live[descriptor]
            try:
                piece = os.read(descriptor, _READ)
            except BlockingIOError:
                continue
            run.data += piece
            if not piece:
                self._over(run)
            elif run.script is None:
                self._verdicts(run)
            elif len(run.data) > self.limits.output:
                self._over(run)

    def _verdicts(self, run: _Live) -> None:
        """Take in what the tests said; each verdict gives the next test its full time."""
        row, task = self.rows[run.task.row], run.task
        while run.known < len(run.data) - 1 and run.known < len(task.tests):
            verdict, test = run.data[1 + run.known], task.tests[run.known]
            if bytes([verdict]) in BAD:
                shown = row.tests[test]
                said = f"test {test + 1} {BAD[bytes([verdict])]}: {shown!r:.60}"
                row.problem = row.problem or Failure("compile_error", said)
            row.verdicts[test] = verdict == ord(PASSED)
            run.known += 1
        run.since = time.monotonic()

    def _check_time(self) -> None:
        now = time.monotonic()
        for run in [r for r in self.live.values() if now >= r.since + self._seconds(r.task)]:
            run.over = "timeout"
            self._over(run)

    def _over(self, run: _Live) -> None:
        """A run has ended, or is ended: what it leaves undecided has failed or is tried again."""
        self.poll.unregister(run.reply)
        del self.live[run.reply]
        late = run.over == "timeout"
        if run.script is not None:
            self._judge_script(run, late)
        else:
            self._judge_tests(run, late)
        run.end()

    def _judge_script(self, run: _Live, late: bool) -> None:
        row, (test,) = self.rows[run.task.row], run.task.tests
        assert run.script is not None
        if late and self._again(run.task, run.task.tests):
            return
        whole = not late and len(run.data) <= self.limits.output and _ended_well(run.sockets[0])
        row.verdicts[test] = whole and run.script.fits(bytes(run.data))

    def _judge_tests(self, run: _Live, late: bool) -> None:
        row, task = self.rows[run.task.row], run.task
        left = task.tests[run.known :]
        if late and self._again(task, left):
            return
        if not late and not run.data:
            row.problem = Failure("crash", "the tests' own process ended before it began")
        elif run.data[:1] == LOADED and left:
            row.verdicts[left[0]] = False  # the one at which the program hung, or ended
            row.late += late
            if left[1:] and row.late < self.limits.late:
                self.waiting[task.round].append(_Task(task.row, left[1:], task.round))
        else:  # it did not even come to its end
            for test in left:
                row.verdicts[test] = False

    def _again(self, task: _Task, tests: list[int]) -> bool:
        """Queue what was not done in time for the next round, where there is one."""
        if task.round + 1 == len(self.waiting):
            return False
        self.waiting[task.round + 1].append(_Task(task.row, tests, task.round + 1))
        return True


def _ended_well(status: socket.socket) -> bool:
    """Whether a process ended by itself with exit code 0; its output has ended already."""
    status.setblocking(True)
    status.settimeout(1.0)
    with contextlib.suppress(OSError):
        while data := status.recv(ENDED.size):
            if len(data) == ENDED.size:
                return bool(ENDED.unpack(data)[0] == 0)
    return False
