"""The sandbox as the rest of the runtime sees it: declare, call, failures by class."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derl_grammar.types import Bool, List, Number, Optional, Text, parse_type
from derl_runtime.declaration import Declaration
from derl_runtime.sandbox import by_row, levels, programs, rounds, zygotes
from derl_runtime.sandbox.by_row import RowFailure
from derl_runtime.sandbox.encode import encode_call, encode_job
from derl_runtime.sandbox.jobs import NotStarted, Order, run
from derl_runtime.sandbox.outcome import Failure, Refused, SandboxLimits
from derl_runtime.sandbox.programs import ProgramLimits
from derl_runtime.sandbox.worker import answers, frames
from derl_runtime.sandbox.zygotes import ZygoteGone
from derl_runtime.sandbox_settings import ENGINES, LEVELS

_LONGEST_NAME, _LONGEST_TYPE = 200, 1000
_TRIVIAL = "def trial(completion: text) -> number:\n    return 0\n"
_PROGRAMS = "programs"
Columns = Sequence[Sequence[Any] | NDArray[Any]]
Values = NDArray[np.float64]

_tested: dict[tuple[int, str], tuple[levels.Wall, ...]] = {}
_testing = threading.Lock()


def _after_fork() -> None:
    """A child may be forked while a thread of the host holds the lock."""
    global _testing
    _testing = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


class Sandbox:
    """Runs untrusted primitives, each call in a fresh process behind walls.

    `level` is the lowest that will do: "strict", "standard", "reduced" (rlimits alone, against
    accidents), or "none", which switches untrusted primitives off. The attribute `level` is what
    the self-test found. Raises Refused where the machine does not reach the level. Threads may
    share one; a fork of the process gets workers of its own.

    >>> source = "def short(completion: text) -> number[0, 1]:\\n    return len(completion) < 10"
    >>> with Sandbox() as sandbox:
    ...     sandbox.call(source, "short", [["brief", "a long completion"]], rows=2)
    array([1., 0.])
    """

    def __init__(
        self,
        level: str = "standard",
        engine: str = "restricted",
        limits: SandboxLimits | None = None,
    ) -> None:
        if level not in LEVELS:
            raise ValueError(f"unknown level {level!r}; one of {', '.join(LEVELS)}")
        if engine not in ENGINES:
            raise ValueError(f"unknown engine {engine!r}; one of {', '.join(ENGINES)}")
        if level == "none":
            raise Refused("untrusted primitives are switched off (level none)")
        levels.check_platform()
        self.engine = engine
        self.limits = limits or SandboxLimits()
        self._open = True
        self._programs = False  # whether it holds the zygote of submitted programs
        self._programs_lock = threading.Lock()
        zygotes.acquire(engine)
        try:
            self.walls = _tested_walls(engine)
            self.level = levels.level_of(self.walls)
            if engine == "monty" and self.level != "strict":
                level = "strict"
            levels.require(level, self.walls, self.level)
            if engine == "monty":
                self._require_engine()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the workers; the last sandbox of a process ends them."""
        if self._open:
            self._open = False
            zygotes.release(self.engine)
            if self._programs:
                zygotes.release(_PROGRAMS)

    def declare(self, source: str, name: str) -> tuple[Declaration, ...] | Failure:
        """The primitives that a source declares; `name` names it in messages."""
        refused = self._too_long(source)
        if refused:
            return refused
        reply = self._run([self._order(frames.DECLARE, encode_job(frames.DECLARE, source), 0)])[0]
        return _declarations(reply, name)

    def call(
        self,
        source: str,
        function: str,
        columns: Columns,
        rows: int,
        deadline: float | None = None,
    ) -> Values | Failure:
        """The function's value for each row: (rows,) float64, NaN where it gave None.

        A column holds texts, numbers or bools, or a list of these per row; None is a row without a
        value. The function meets every row alone. `deadline` in seconds replaces the limit's.
        Raises TypeError or ValueError for columns that are none of this.
        """
        return self.call_many([(source, function, columns)], rows, deadline)[0]

    def call_rows(
        self,
        source: str,
        function: str,
        columns: Columns,
        rows: int,
        deadline: float | None = None,
        workers: int | None = None,
        returns: str = "number",
    ) -> tuple[Values | list[Any], tuple[RowFailure, ...]]:
        """The function's value for each row, NaN where it gave None or failed, and the failures.

        Of a function that `returns` texts or lists they are a list, None where there is no value.

        What a row does costs that row alone: a worker that dies there, or hangs, leaves the others
        to a fresh one. All are done by the deadline. Raises as `call`.
        """
        kind = answers.kind_of(returns)
        values: Values | list[Any] = [None] * rows if kind else np.full(rows, np.nan)
        everything = range(rows)
        pieces = encode_call(source, function, columns, rows)
        refused = self._too_long(source) or self._too_much(pieces, rows)
        if refused or rows == 0:
            return values, (RowFailure(refused, everything),) if refused else ()

        def order(some: Sequence[int]) -> Order:
            part = [by_row.take(column, some) for column in columns]
            pieces = encode_call(source, function, part, len(some), frames.ROWS)
            return self._order(frames.ROWS, pieces, len(some), deadline)

        seconds = deadline or self.limits.deadline
        count = workers or rounds.at_once()
        end = time.monotonic() + seconds
        for last in (False, True):
            zygote = self._zygote()
            calls = by_row.Calls(zygote, order, values, seconds, end, count, kind=kind)
            try:
                return values, by_row.run(calls, rows)
            except ZygoteGone as error:
                zygotes.discard(self.engine, zygote)
                values[:] = [None] * rows if kind else np.full(rows, np.nan)
                if last:
                    return values, (RowFailure(Failure("crash", str(error)), everything),)
        raise AssertionError("unreachable")

    def call_many(
        self,
        calls: Sequence[tuple[str, str, Columns]],
        rows: int,
        deadline: float | None = None,
    ) -> list[Values | Failure]:
        """`call` for several functions, as many at once as there are cores."""
        out: list[Values | Failure] = []
        at_once = max(1, len(os.sched_getaffinity(0)))
        for start in range(0, len(calls), at_once):
            out += self._call_batch(calls[start : start + at_once], rows, deadline)
        return out

    def run_programs(
        self,
        submitted: Sequence[tuple[str, Sequence[str]]],
        limits: ProgramLimits | None = None,
    ) -> list[list[bool] | Failure]:
        """For each (program, tests) whether each test passes; a Failure where nobody can say.

        Programs are plain Python behind the walls, their tests run where no program reaches them.
        """
        if not self._open:
            raise ValueError("the sandbox is closed")
        limits = limits or ProgramLimits()
        # What starts the zygote, and a second try, are a part of the batch's time.
        end = time.monotonic() + limits.batch + limits.row * len(submitted)
        with self._programs_lock:
            if not self._programs:
                zygotes.acquire(_PROGRAMS)
                self._programs = True
        walls = levels.walls_to_put_up(self.walls)
        for last in (False, True):
            zygote = zygotes.zygote(_PROGRAMS)
            try:
                return programs.run(zygote, submitted, walls, limits, end)
            except ZygoteGone as error:
                zygotes.discard(_PROGRAMS, zygote)
                if last:
                    return [Failure("crash", str(error)) for _ in submitted]
        raise AssertionError("unreachable")

    def _call_batch(
        self,
        calls: Sequence[tuple[str, str, Columns]],
        rows: int,
        deadline: float | None,
    ) -> list[Values | Failure]:
        out: list[Values | Failure | None] = []
        orders = []
        for source, function, columns in calls:
            pieces = encode_call(source, function, columns, rows)
            refused = self._too_long(source) or self._too_much(pieces, rows)
            out.append(refused)
            if refused is None and rows == 0:
                out[-1] = np.empty(0)
            elif refused is None:
                orders.append(self._order(frames.CALL, pieces, rows, deadline))
        replies = iter(self._run(orders))
        return [_values(next(replies), rows) if o is None else o for o in out]

    def _require_engine(self) -> None:
        """Raise Refused where the engine does not run behind the walls that hold here."""
        tried = self.declare(_TRIVIAL, "a trial")
        if isinstance(tried, Failure):
            raise Refused(f"the {self.engine} engine does not run here: {tried.message}")

    def _order(
        self, kind: int, pieces: list[bytes], rows: int, deadline: float | None = None
    ) -> Order:
        limits = self.limits
        walls = levels.walls_to_put_up(self.walls)
        return Order(
            kind, pieces, rows, walls, limits.cpu, limits.memory, deadline or limits.deadline
        )

    def _zygote(self) -> zygotes.Zygote:
        if not self._open:
            raise ValueError("the sandbox is closed")
        return zygotes.zygote(self.engine)

    def _run(self, orders: Sequence[Order]) -> list[bytes | Failure]:
        if not self._open:
            raise ValueError("the sandbox is closed")
        if not orders:
            return []
        for last in (False, True):
            zygote = zygotes.zygote(self.engine)
            try:
                return run(zygote, orders)
            except ZygoteGone as error:
                zygotes.discard(self.engine, zygote)
                # What never came to a worker is given to the next zygote, once.
                if last or not isinstance(error, NotStarted):
                    return [Failure("crash", str(error)) for _ in orders]
        raise AssertionError("unreachable")

    def _too_long(self, source: str) -> Failure | None:
        size = len(source.encode("utf-8", "surrogatepass"))
        if size <= self.limits.source:
            return None
        return Failure(
            "compile_error", f"the source has {size} bytes; at most {self.limits.source} are read"
        )

    def _too_much(self, pieces: list[bytes], rows: int) -> Failure | None:
        size = sum(map(len, pieces))
        if rows <= self.limits.rows and size <= self.limits.input:
            return None
        return Failure("oom", f"{rows} rows of {size} bytes are more than a worker is given")


@dataclass(frozen=True, slots=True)
class Survey:
    """What the machine can hold: its level, each wall, and for each engine why it does not run."""

    level: str
    walls: tuple[levels.Wall, ...]
    engines: dict[str, str]
    why: str = ""


def survey() -> Survey:
    """Try all walls and engines of this machine; never refuses."""
    try:
        levels.check_platform()
        zygotes.acquire(ENGINES[0])
        try:
            walls = _tested_walls(ENGINES[0])
        finally:
            zygotes.release(ENGINES[0])
    except Refused as error:
        return Survey("none", (), dict.fromkeys(ENGINES, "no level"), str(error))
    return Survey(levels.level_of(walls), walls, {e: _why_not(e) for e in ENGINES})


def _why_not(engine: str) -> str:
    try:
        Sandbox("reduced", engine).close()
    except Refused as error:
        return str(error)
    return ""


def _tested_walls(engine: str) -> tuple[levels.Wall, ...]:
    """What the self-test found; once for each process and engine."""
    key = (os.getpid(), engine)
    with _testing:
        if key not in _tested:
            try:
                _tested[key] = levels.self_test(zygotes.zygote(engine))
            except ZygoteGone as error:
                raise Refused(str(error)) from None
        return _tested[key]


def _declarations(reply: bytes | Failure, name: str) -> tuple[Declaration, ...] | Failure:
    if isinstance(reply, Failure):
        return Failure(reply.cls, f"{name}: {reply.message}")
    try:
        failed = frames.read_failure(reply)
        if failed is not None:
            return Failure(failed[0], f"{name}: {failed[1]}")
        return tuple(_declaration(s) for s in frames.read_declarations(reply))
    except frames.Malformed as error:
        return Failure("protocol", f"{name}: {error}")


def _declaration(strings: Sequence[str]) -> Declaration:
    """What a worker says that a function declares; raises Malformed for what none could be."""
    name, returns, doc, *rest = strings
    parameters = tuple(zip(rest[::2], rest[1::2], strict=True))
    for each in (name, *(p for p, _ in parameters)):
        if not each.isidentifier() or len(each) > _LONGEST_NAME:
            raise frames.Malformed("a declared name is no name")
    for kind in (returns, *(t for _, t in parameters)):
        _check_type(kind)
    inner = parse_type(returns)
    inner = inner.item if isinstance(inner, Optional) else inner
    if isinstance(inner, List):
        inner = inner.item
    if not isinstance(inner, Number | Bool | Text):
        raise frames.Malformed(f"a primitive returns no {returns}")
    return Declaration(name, parameters, returns, doc)


def _check_type(text: str) -> None:
    if len(text) > _LONGEST_TYPE:
        raise frames.Malformed("a declared type is too long")
    try:
        parse_type(text)
    except ValueError as error:
        raise frames.Malformed(str(error)) from None


def _values(reply: bytes | Failure, rows: int) -> Values | Failure:
    if isinstance(reply, Failure):
        return reply
    try:
        failed = frames.read_failure(reply)
        if failed is not None:
            return Failure(*failed)
        numbers, absent = frames.read_values(reply, rows)
    except frames.Malformed as error:
        return Failure("protocol", str(error))
    values: Values = np.frombuffer(numbers, dtype="<f8").astype(np.float64)
    if not np.isfinite(values).all():
        return Failure("nonfinite", "a value is NaN or infinite")
    values[np.frombuffer(absent, dtype=np.uint8) == 1] = np.nan
    return values
