"""Faults: what went wrong while scoring, by class, counted, never swallowed."""

from __future__ import annotations

from dataclasses import dataclass

CLASSES = {
    "missing": "the input has no value in this row",
    "out_of_range": "a value lies outside its declared range",
    "nonfinite": "a value is NaN or infinite",
    "crash": "a primitive raised an exception",
    "protocol": "a primitive returned the wrong number or kind of values",
}
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Fault:
    """Rows of one batch that failed in one way at one input; those rows score not applicable.

    `rows` lists the first few of `count` rows; `name` is the column or primitive.
    """

    kind: str
    name: str
    count: int
    rows: tuple[int, ...]
    message: str

    def __str__(self) -> str:
        rows = ", ".join(map(str, self.rows)) + (", …" if self.count > len(self.rows) else "")
        return f"{self.kind} in {self.name}: {self.message} ({self.count} rows: {rows})"


def fault(kind: str, name: str, rows: list[int], message: str) -> Fault:
    """A fault of class `kind` over `rows`, of which the first few are kept."""
    if kind not in CLASSES:
        raise ValueError(f"unknown fault class {kind!r}")
    return Fault(kind, name, len(rows), tuple(rows[:_SHOWN]), message)
