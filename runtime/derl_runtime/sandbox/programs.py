"""Submitted programs against their tests: many at once, quick ones first, one deadline for all.

Each program has a process of its own, its tests another one beside it (`worker/exam.py`); a test
that is an input with the output it should give is a run of the program as a script, whose output
is compared here. Nothing that a program sends is more than a value or text to compare.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from derl_runtime.sandbox.encode import encode_column, encode_job
from derl_runtime.sandbox.outcome import Failure
from derl_runtime.sandbox.rounds import Rounds, Run, Task, at_once
from derl_runtime.sandbox.worker import frames
from derl_runtime.sandbox.worker.exam import BAD, LOADED, PASSED
from derl_runtime.sandbox.worker.zygote import ENDED
from derl_runtime.sandbox.zygotes import Zygote

_LONGEST_PROGRAM = 1 << 16


@dataclass(frozen=True, slots=True)
class ProgramLimits:
    """Seconds for a test in each round, for a batch and on top for each row of it; bytes.

    Those of a test are of the processor, or of the clock where the program sleeps. A row whose
    tests are late `late` times in the last round has failed those that are left.
    """

    rounds: tuple[float, ...] = (0.05, 0.25, 2.0)
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

    def fits(self, output: bytearray) -> bool:
        """Whether this was printed; white space at the ends of lines and of the text aside."""
        return _lines(output.decode("utf-8", "replace")) == _lines(self.printed)


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().split("\n")]


@dataclass(slots=True)
class _Row:
    source: str
    tests: Sequence[str]
    verdicts: list[bool | None]
    open: int = 0  # jobs of it that have not had their first turn
    late: int = 0
    problem: Failure | None = None


def run(
    zygote: Zygote,
    programs: Sequence[tuple[str, Sequence[str]]],
    walls: int,
    limits: ProgramLimits,
    end: float,
) -> list[list[bool] | Failure]:
    """For each (program, tests) whether each test passes, or why nobody can say.

    A program that hangs, crashes or is refused something fails; so does one that is stopped at the
    batch's `end`, by the monotonic clock. A Failure is of the row's tests, or of the machine.
    Raises ZygoteGone.
    """
    batch = _Batch(zygote, walls, limits)
    tasks = [task for source, tests in programs for task in batch.add(source, tests)]
    Rounds(batch, tasks, len(limits.rounds), at_once()).run(end)
    return [_result(row) for row in batch.rows]


def _result(row: _Row) -> list[bool] | Failure:
    if row.problem is not None:
        return row.problem
    if row.open and None in row.verdicts:
        return Failure("timeout", "the batch's deadline came before its turn")
    return [verdict is True for verdict in row.verdicts]


class _Batch:
    def __init__(self, zygote: Zygote, walls: int, limits: ProgramLimits) -> None:
        self.zygote, self.walls, self.limits = zygote, walls, limits
        self.rows: list[_Row] = []
        self.items: list[tuple[int, int]] = []  # the row and the number of each test

    def add(self, source: str, tests: Sequence[str]) -> list[Task]:
        """Take in a row; what is to be run of it."""
        row = _Row(source, tests, [None] * len(tests))
        first = len(self.items)
        self.items += [(len(self.rows), k) for k in range(len(tests))]
        self.rows.append(row)
        if not source.strip() or len(source) > _LONGEST_PROGRAM or "\0" in source:
            row.verdicts = [False] * len(tests)
            return []
        scripts = [k for k, test in enumerate(tests) if Script.read(test) is not None]
        code = [first + k for k in range(len(tests)) if k not in scripts]
        tasks = [*([Task(code)] if code else []), *(Task([first + k]) for k in scripts)]
        row.open = len(tasks)
        return tasks

    def start(self, task: Task) -> Run:
        """Start a program with its tests beside it, or as a script."""
        number, test = self.items[task.items[0]]
        row = self.rows[number]
        script = Script.read(row.tests[test])
        if script is not None:
            given = [encode_column([script.given])]
            reply, status = self._job(frames.SCRIPT, task, row.source, given)
            return Run(task, reply, (status,))
        one, other = socket.socketpair()
        with one, other:
            unused, program = self._job(frames.PROGRAM, task, row.source, [], one)
            os.close(unused)
            try:
                tests = [encode_column([row.tests[self.items[k][1]] for k in task.items])]
                reply, status = self._job(frames.EXAM, task, "", tests, other)
            except BaseException:
                program.close()
                raise
        return Run(task, reply, (status, program))

    def _job(
        self, kind: int, task: Task, source: str, columns: list[list[bytes]], channel: Any = None
    ) -> tuple[int, socket.socket]:
        pieces = encode_job(kind, source, rows=len(task.items) if columns else 0, columns=columns)
        cpu = math.ceil(self.limits.rounds[task.round] * len(task.items)) + 1
        given = () if channel is None else (channel.fileno(),)
        return self.zygote.start(kind, self.walls, cpu, self.limits.memory, pieces, given)

    def seconds(self, run: Run, left: float) -> float:
        """How long a test of this run may take."""
        return self.limits.rounds[run.task.round]

    def _script(self, run: Run) -> Script | None:
        number, test = self.items[run.task.items[0]]
        return Script.read(self.rows[number].tests[test])

    def read(self, run: Run) -> bool:
        """Take in what the tests said; each verdict gives the next test its full time."""
        if self._script(run) is not None:
            return len(run.data) <= self.limits.output
        while run.known < min(len(run.data) - 1, len(run.task.items)):
            number, test = self.items[run.task.items[run.known]]
            row, verdict = self.rows[number], bytes(run.data[1 + run.known :][:1])
            if verdict in BAD:
                said = f"test {test + 1} {BAD[verdict]}: {row.tests[test]!r:.60}"
                row.problem = row.problem or Failure("compile_error", said)
            row.verdicts[test] = verdict == PASSED
            run.known += 1
        run.next()
        return True

    def judge(self, run: Run, *, late: bool) -> Sequence[Task]:
        """What a run left undecided has failed, or is tried again."""
        row = self.rows[self.items[run.task.items[0]][0]]
        tasks = self._undecided(run, row, late=late)
        row.open += sum(t.round == 0 for t in tasks) - (run.task.round == 0)
        return tasks

    def _undecided(self, run: Run, row: _Row, *, late: bool) -> Sequence[Task]:
        left = run.task.items[run.known :]
        if late and run.task.round + 1 < len(self.limits.rounds):
            return [Task(left, run.task.round + 1)]
        script = self._script(run)
        if script is not None:
            whole = not late and len(run.data) <= self.limits.output
            self._decide(left, whole and _ended_well(run.sockets[0]) and script.fits(run.data))
            return []
        if not late and not run.data:
            row.problem = Failure("crash", "the tests' own process ended before it began")
        elif run.data[:1] == LOADED and left:
            self._decide(left[:1], False)  # the one at which the program hung, or ended
            row.late += late
            if left[1:] and row.late < self.limits.late:
                return [Task(left[1:], run.task.round)]
        else:
            self._decide(left, False)  # it did not even come to its end
        return []

    def _decide(self, items: Sequence[int], verdict: bool) -> None:
        for item in items:
            number, test = self.items[item]
            self.rows[number].verdicts[test] = verdict


def _ended_well(status: socket.socket) -> bool:
    """Whether a process ended by itself with exit code 0; its output has ended already."""
    status.setblocking(True)
    status.settimeout(1.0)
    with contextlib.suppress(OSError):
        while data := status.recv(ENDED.size):
            if len(data) == ENDED.size:
                return bool(ENDED.unpack(data)[0] == 0)
    return False
