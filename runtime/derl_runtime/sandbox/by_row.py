"""Calls of an untrusted function that answer row by row: what a row does costs that row alone.

A worker is given a run of rows and sends each value as soon as it has it. When it dies, or a row
hangs, the values before stand, that row has failed or waits for its next round, and the rows behind
it go to a fresh worker.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derl_runtime.sandbox.jobs import Order, judged
from derl_runtime.sandbox.outcome import Failure
from derl_runtime.sandbox.rounds import Rounds, Run, Task
from derl_runtime.sandbox.worker import frames
from derl_runtime.sandbox.worker.zygote import ENDED
from derl_runtime.sandbox.zygotes import Zygote

# Rows that one process is given at most, rows that are worth one, and seconds to load a source.
_LARGEST_RUN, _SMALLEST_RUN = 512, 64
_LOAD = 0.5
# Bytes of texts and lists that the host holds of one batch.
_MOST_HELD = 1 << 26
# The least that a row has in seconds, and of how many parts of the time left it has one at first.
_LEAST, _PARTS = 0.005, 64


@dataclass(frozen=True, slots=True)
class RowFailure:
    """Rows that have no value for one reason."""

    failure: Failure
    rows: Sequence[int]


@dataclass(slots=True)
class Calls:
    """One function over many rows; `order` makes the job of some of them."""

    zygote: Zygote
    order: Callable[[Sequence[int]], Order]
    values: NDArray[np.float64] | list[Any]
    deadline: float
    end: float  # of the batch, on the monotonic clock
    workers: int
    late: int = 0  # rows that were late in the first round
    waiting: int = 0  # and those of them that are undecided yet
    failed: dict[int, Failure] = field(default_factory=dict)
    decided: set[int] = field(default_factory=set)
    broken: Failure | None = None  # what keeps the source from being loaded at all
    kind: bytes = b""  # of texts and lists; none of numbers
    size: int = 0  # bytes of texts and lists that are held

    @property
    def overdue(self) -> Failure:
        """How a row fails that is not done in time."""
        return Failure("timeout", f"no answer within {self.deadline:g} s")

    def start(self, task: Task) -> Run:
        """Start a worker on the rows of a task."""
        order = self.order(task.items)
        reply, status = self.zygote.start(
            order.kind, order.walls, int(order.cpu), order.memory, order.pieces
        )
        return Run(task, reply, (status,))

    def seconds(self, run: Run, left: float) -> float:
        """How long a row may take: a part of the time that is left, so that all have their turn.

        In the first round it is the less the more rows were late, in the second the rows that are
        left share what is left.
        """
        parts = _PARTS * (1 + self.late) if run.task.round == 0 else 1 + self.waiting
        # The source is loaded before the first row; that is none of the row's time.
        return max(_LEAST, left * self.workers / parts) + (0.0 if run.loaded else _LOAD)

    def read(self, run: Run) -> bool:
        """Take in the values that have come."""
        if run.data[:1] != frames.READY:
            return len(run.data) <= frames.longest_reply(frames.ROWS, len(run.task.items))
        loaded, run.loaded = run.loaded, True
        if not loaded and self.zygote.starts_programs:
            run.find_programs()
        try:
            values, size, _ = self._records(run)
        except frames.Malformed:
            return False
        if len(values) > len(run.task.items) - run.known:
            return False
        for value in values:
            self._take(run.task.items[run.known], value)
            run.known += 1
        del run.data[1 : 1 + size]
        if values or not loaded:
            run.next()
        return True

    def _records(self, run: Run) -> tuple[list[frames.Record], int, bytes | None]:
        """What has come since the last value that was taken; raises Malformed."""
        found = frames.read_rows(memoryview(bytes(run.data))[1:])
        for value in found[0]:
            kind = value[0] if isinstance(value, tuple) else b"" if value is not None else self.kind
            if kind != self.kind:
                raise frames.Malformed("a value of another type than declared")
        return found

    def _take(self, row: int, value: frames.Record) -> None:
        self.decided.add(row)
        if value is None:
            return
        if isinstance(value, tuple):
            self._hold(row, value[1])
        elif np.isfinite(value):
            self.values[row] = value
        else:
            self.failed[row] = Failure("nonfinite", "a value is NaN or infinite")

    def _hold(self, row: int, held: Any) -> None:
        """A text or a list, while the batch has room for it."""
        items = held if isinstance(held, list) else ()
        self.size += sys.getsizeof(held) + sum(sys.getsizeof(item) for item in items)
        if self.size > _MOST_HELD:
            self.failed[row] = Failure("oom", f"the values of a batch have over {_MOST_HELD} bytes")
        else:
            self.values[row] = held

    def judge(self, run: Run, *, late: bool) -> Sequence[Task]:
        """The row at which a worker ended has failed, or is tried again; the rest goes on."""
        left = run.task.items[run.known :]
        if late and run.task.round == 0 and left:
            # Of a source that hangs before the first row nobody expects more of the next one.
            first, rest = (left[:1], left[1:]) if run.loaded else (left, [])
            self.late, self.waiting = self.late + 1, self.waiting + 1
            again = Task(first, 1)
            return [again, Task(rest)] if rest else [again]
        self.waiting -= run.task.round
        failure = self._failure(run, late=late)
        if failure is None or not left:
            return []
        if not run.loaded:
            self.broken = failure
            return []
        if failure.cls == "protocol" and not late and len(run.task.items) > 1 and _forged(run):
            # Which of its values are rows' own nobody can say: each is asked for alone.
            for row in run.task.items:
                self.decided.discard(row)
                self.failed.pop(row, None)
                self.values[row] = None if self.kind else np.nan
            return [Task([row], run.task.round) for row in run.task.items]
        # The worker counts from its own first row.
        said = failure.message.replace(f"row {run.known}", f"row {left[0]}")
        self.failed[left[0]] = Failure(failure.cls, said)
        self.decided.add(left[0])
        return [Task(left[1:], run.task.round)] if left[1:] else []

    def _failure(self, run: Run, *, late: bool) -> Failure | None:
        """How a worker failed; None where it did all that it was given."""
        if late:
            return self.overdue
        status = _status(run)
        ended = judged(status, self.order(run.task.items[:1]).cpu)
        if ended is not None:
            return ended
        try:
            if run.loaded:
                _, _, last = self._records(run)
                if last is None and len(run.data) == 1 and run.known == len(run.task.items):
                    return None
                failed = frames.read_failure(last) if last is not None else None
            else:
                failed = frames.read_failure(bytes(run.data))
        except frames.Malformed as error:
            return Failure("protocol", str(error))
        if failed is None:
            return Failure("protocol", "it did not give one value a row")
        return Failure(*failed)


def _forged(run: Run) -> bool:
    """Whether a worker sent what no engine sends: more values than rows, or no values at all."""
    surplus = len(run.data) - 1
    try:
        records, _, last = frames.read_rows(memoryview(bytes(run.data))[1:])
    except frames.Malformed:
        return True
    return bool(records) or (last is None and surplus > 0)


def _status(run: Run) -> tuple[int, float]:
    """How a worker whose reply has ended ended itself; it is killed where it has not."""
    (status,) = run.sockets
    status.setblocking(True)
    status.settimeout(0.05)
    for _ in range(3):
        try:
            data = status.recv(ENDED.size)
        except TimeoutError:
            break
        except OSError:
            return 0, 0.0
        if len(data) == ENDED.size:
            code, cpu = ENDED.unpack(data)
            return int(code), float(cpu)
        if not data:
            break
    return 0, 0.0


def run(calls: Calls, rows: int) -> tuple[RowFailure, ...]:
    """Fill in the values of all rows; the failures, one for each reason, in the order of rows."""
    tasks = [Task(part) for part in chunks(rows, calls.workers)]
    Rounds(calls, tasks, 2, calls.workers).run(calls.end)
    for row in range(rows):
        if row not in calls.decided:
            calls.failed[row] = calls.broken or calls.overdue
    reasons: dict[Failure, list[int]] = {}
    for row, failure in sorted(calls.failed.items()):
        reasons.setdefault(failure, []).append(row)
    return tuple(RowFailure(failure, rows) for failure, rows in reasons.items())


def chunks(rows: int, workers: int) -> list[range]:
    """Rows cut into runs of nearly equal length, one for each worker where they are long enough."""
    least = -(-rows // _LARGEST_RUN)
    count = max(least, min(workers, rows // _SMALLEST_RUN), 1)
    cuts = [rows * k // count for k in range(count + 1)]
    return [range(a, b) for a, b in itertools.pairwise(cuts)]


def take(column: Any, rows: Sequence[int]) -> Any:
    """The given rows of a column."""
    if isinstance(rows, range) and rows.step == 1:
        return column[rows.start : rows.stop]
    return [column[row] for row in rows]
