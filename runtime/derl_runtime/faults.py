"""Faults: what went wrong while scoring, by class, counted and logged, never swallowed."""

from __future__ import annotations

import logging
import re
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from derl_grammar.records import record
from derl_grammar.visible import visible

logger = logging.getLogger("derl_runtime.faults")

CLASSES = {
    "missing": "the input has no value in this row",
    "out_of_range": "a value lies outside its declared range",
    "nonfinite": "a value is NaN or infinite",
    "crash": "a primitive raised an exception or died",
    "protocol": "a primitive returned the wrong number or kind of values",
    "timeout": "a primitive did not return before its deadline",
    "cpu": "a primitive used up its processor time",
    "oom": "a primitive used up its memory",
    "violation": "a primitive tried what its sandbox forbids",
    "compile_error": "the source of a primitive does not compile",
    "quarantined": "a primitive that failed too often is not called for some time",
}
QUARANTINE_AFTER = 3
# Calls that are looked back on, and calls that a quarantined primitive is spared before it is tried
# again. A call is lost as a whole by rows alone when it has some rows, or when many rows of calls
# in succession were lost.
WINDOW, SPARED = 20, 100
_SOME_ROWS, _MANY_ROWS = 4, 32
_SHOWN = 5
_LONGEST = 240
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


@record
class Fault:
    """Rows of one batch that failed in one way at one input.

    They score not applicable, or the primitive's declared default. `rows` lists the first few of
    `count` rows; `name` is the column or primitive.
    """

    kind: str
    name: str
    count: int
    rows: tuple[int, ...]
    message: str

    def __str__(self) -> str:
        rows = ", ".join(map(str, self.rows)) + (", …" if self.count > len(self.rows) else "")
        return f"{self.kind} in {self.name}: {self.message} ({self.count} rows: {rows})"


def words_of(error: BaseException) -> str:
    """An exception as a log has it: its class, and its words without addresses of objects.

    >>> words_of(KeyError("a")), words_of(ValueError(f"no {object()}"))
    ("KeyError: 'a'", 'ValueError: no <object object>')
    """
    try:
        said = str(error)
    except Exception:  # noqa: BLE001 - a message that cannot be made is no message
        said = ""
    return f"{type(error).__name__}: {_ADDRESS.sub('', said)}"


def capped(text: str, longest: int = _LONGEST) -> str:
    r"""A text for a log line: capped, on one line, what does not show as escapes.

    >>> capped("bell \x07, next\nline " + "x" * 300, 24)
    'bell \\x07, next\\nline x…'
    """
    shown = visible(text[: longest + 1])
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def fault(kind: str, name: str, rows: list[int], message: str) -> Fault:
    """A fault of class `kind` over `rows`, of which the first few are kept."""
    if kind not in CLASSES:
        raise ValueError(f"unknown fault class {kind!r}")
    return Fault(kind, name, len(rows), tuple(rows[:_SHOWN]), capped(message))


@record
class FaultTotal:
    """The faults of one class at one input over a run; `sample` is the first one's message."""

    name: str
    kind: str
    batches: int
    rows: int
    sample: str

    def __str__(self) -> str:
        times = f"{self.rows:,} rows in {self.batches:,} " + (
            "batch" if self.batches == 1 else "batches"
        )
        return f"{self.name}: {self.kind}, {times}; first: {self.sample}"


@dataclass(slots=True)
class _Calls:
    """The calls of one primitive: which of the last broke, rows lost in succession, calls left in
    quarantine, and whether the next one is a trial."""

    recent: deque[bool] = field(default_factory=lambda: deque(maxlen=WINDOW))
    lost_rows: int = 0
    spared: int = 0
    tried_again: bool = False


class FaultLog:
    """The faults of a run: added up by input and class, logged, and which primitives are out.

    A kind of fault is logged (as a warning, with a sample) when it is new and whenever its batches
    reach a power of ten. A primitive of whose last 20 calls `limit` broke as a whole is
    quarantined: it is not called for 100 calls, and then tried again, neither in silence. Threads
    may share a log.
    """

    def __init__(self, limit: int = QUARANTINE_AFTER) -> None:
        self.limit = limit
        self._totals: dict[tuple[str, str], FaultTotal] = {}
        self._calls: dict[str, _Calls] = {}
        self._lock = threading.Lock()

    def add(self, faults: Iterable[Fault]) -> None:
        """Count and log the faults of one batch."""
        for one in faults:
            key = (one.name, one.kind)
            with self._lock:
                seen = self._totals.get(key)
                total = FaultTotal(
                    one.name,
                    one.kind,
                    (seen.batches if seen else 0) + 1,
                    (seen.rows if seen else 0) + one.count,
                    seen.sample if seen else one.message,
                )
                self._totals[key] = total
            if _is_power_of_ten(total.batches):
                times = "" if total.batches == 1 else f", {total.batches:,} batches so far"
                logger.warning("%s%s", one, times)

    def failed(self, primitive: str) -> None:
        """Count a call of a primitive that broke as a whole: it raised, or gave no column."""
        self._record(primitive, True)

    def called(self, primitive: str, rows: int, lost: int) -> None:
        """Count a call that gave values for all of its rows but the `lost` ones.

        Rows that were made to hang or crash say nothing of a primitive that works for others.
        """
        with self._lock:
            calls = self._calls.setdefault(primitive, _Calls())
            calls.lost_rows = calls.lost_rows + rows if lost >= rows else 0
            whole = lost >= rows and (rows >= _SOME_ROWS or calls.lost_rows >= _MANY_ROWS)
        self._record(primitive, whole)

    def _record(self, primitive: str, broke: bool) -> None:
        with self._lock:
            calls = self._calls.setdefault(primitive, _Calls())
            calls.recent.append(broke)
            again = calls.tried_again
            out = broke and (again or sum(calls.recent) >= self.limit)
            calls.tried_again = False
            if out:
                calls.spared = SPARED
        if out and again:
            logger.error("%s failed again: quarantined for another %d calls", primitive, SPARED)
        elif out:
            told = "%s failed %d times: quarantined, not called for %d calls"
            logger.error(told, primitive, self.limit, SPARED)
        elif again:
            logger.warning("%s works again: its quarantine has ended", primitive)

    def admits(self, primitive: str) -> bool:
        """Whether a primitive may be called now; a call that is spared counts."""
        with self._lock:
            calls = self._calls.get(primitive)
            if calls is None or not calls.spared:
                return True
            calls.spared -= 1
            if calls.spared:
                return False
            calls.recent.clear()
            calls.tried_again = True
        logger.warning("%s is tried again after %d calls in quarantine", primitive, SPARED)
        return False

    @property
    def quarantined(self) -> tuple[str, ...]:
        """The names of the primitives that are not called now."""
        return tuple(sorted(name for name, calls in self._calls.items() if calls.spared))

    @property
    def totals(self) -> tuple[FaultTotal, ...]:
        """What was counted, by input and class, the order being that of the first occurrence."""
        with self._lock:
            return tuple(self._totals.values())

    def summary(self) -> list[str]:
        """The lines to show at the end of a run: each input and class with counts and a sample."""
        lines = [str(total) for total in self.totals]
        if self.quarantined:
            lines.append(f"quarantined: {', '.join(self.quarantined)}")
        return lines

    def __len__(self) -> int:
        return len(self._totals)

    def __str__(self) -> str:
        return "\n".join(self.summary()) or "no faults"


def _is_power_of_ten(count: int) -> bool:
    return str(count).rstrip("0") == "1"
