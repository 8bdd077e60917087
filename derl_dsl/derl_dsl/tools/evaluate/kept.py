"""Columns of floats over millions of rows, kept in the smallest form that holds them exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
_CODES = np.array([0.0, 1.0, np.nan])


class Kept:
    """(B,) float64 that come in parts: a byte each where all are 0, 1 or NaN, float32 where that
    holds each of them, else as they are.

    >>> kept = Kept()
    >>> kept.add(np.array([0.0, np.nan])); kept.add(np.array([1.0, 0.1]))
    >>> kept.whole().tolist(), len(kept)
    ([0.0, nan, 1.0, 0.1], 4)
    """

    def __init__(self, values: Array | None = None) -> None:
        self._parts: list[NDArray[Any]] = []
        self._rows = 0
        if values is not None:
            self.add(values)

    def __len__(self) -> int:
        return self._rows

    def add(self, values: Array) -> None:
        """More values."""
        self._parts.append(_packed(values))
        self._rows += len(values)

    def whole(self) -> Array:
        """All values, (B,)."""
        return _unpacked(self._one())

    def take(self, rows: Rows) -> Array:
        """The values of some rows."""
        return _unpacked(self._one()[rows])

    def __getitem__(self, rows: slice) -> Array:
        return _unpacked(self._one()[rows])

    def equals(self, other: Kept) -> bool:
        """Whether both hold the same values, NaN being equal to NaN."""
        a, b = self._one(), other._one()
        if a.dtype == b.dtype:
            return bool(np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))
        return False  # the smallest form of equal values is one, but for the sign of a zero

    def _one(self) -> NDArray[Any]:
        """The parts as one array, in the widest form that one of them has."""
        if len(self._parts) != 1:
            width = max((p.dtype.itemsize for p in self._parts), default=8)
            made = np.empty(self._rows, {1: np.uint8, 4: np.float32, 8: np.float64}[width])
            start = 0
            while self._parts:
                part = self._parts.pop(0)
                wide = part if part.dtype == made.dtype else _unpacked(part)
                made[start : start + len(part)] = wide
                start += len(part)
            self._parts = [made]
        return self._parts[0]


def _packed(values: Array) -> NDArray[Any]:
    gaps = np.isnan(values)
    if ((values == 0) | (values == 1) | gaps).all() and not np.signbit(values[~gaps]).any():
        return np.where(gaps, 2, values).astype(np.uint8)
    with np.errstate(over="ignore"):
        short = values.astype(np.float32)
    return short if np.array_equal(short, values, equal_nan=True) else np.array(values, np.float64)


def _unpacked(values: NDArray[Any]) -> Array:
    found: Array = _CODES[values] if values.dtype == np.uint8 else values.astype(np.float64)
    return found
