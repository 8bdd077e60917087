"""Columns of floats over millions of rows, kept in the smallest form that holds them exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
_MOST = 255
_WIDE = 8
_PART = 1 << 16


class Kept:
    """(B,) float64 that come in parts: a byte each while they are 255 different ones at most, then
    float32 where that holds each of them, else as they are.

    >>> kept = Kept()
    >>> kept.add(np.array([0.0, np.nan])); kept.add(np.array([1.0, 0.1]))
    >>> kept.whole().tolist(), len(kept)
    ([0.0, nan, 1.0, 0.1], 4)
    """

    def __init__(self, values: Array | None = None) -> None:
        self._parts: list[NDArray[Any]] = []
        self._rows = 0
        self._width = 1
        self._table = np.zeros(0)
        self._place: dict[int, int] = {}
        if values is not None:
            for start in range(0, len(values), _PART):
                self.add(values[start : start + _PART])

    def __len__(self) -> int:
        return self._rows

    def add(self, values: Array) -> None:
        """More values."""
        self._parts.append(self._packed(values))
        self._rows += len(values)

    def whole(self) -> Array:
        """All values, (B,)."""
        return self._unpacked(self._one())

    def take(self, rows: Rows) -> Array:
        """The values of some rows."""
        return self._unpacked(self._one()[rows])

    def __getitem__(self, rows: slice) -> Array:
        return self._unpacked(self._one()[rows])

    def equals(self, other: Kept) -> bool:
        """Whether both hold the same values, NaN being equal to NaN."""
        if len(self) != len(other):
            return False
        starts = range(0, len(self), _PART)
        parts = (slice(start, start + _PART) for start in starts)
        return all(np.array_equal(self[p], other[p], equal_nan=True) for p in parts)

    def _packed(self, values: Array) -> NDArray[Any]:
        values = np.ascontiguousarray(values, dtype=np.float64)
        if self._width == 1:
            bits, codes = np.unique(values.view(np.int64), return_inverse=True)
            known = [self._place.setdefault(b, len(self._place)) for b in bits.tolist()]
            if len(self._place) <= _MOST:
                self._table = np.array(list(self._place), dtype=np.int64).view(np.float64)
                return np.array(known, dtype=np.uint8)[codes]
            self._width = 4
        if self._width == 4:
            with np.errstate(over="ignore"):
                short = values.astype(np.float32)
            if np.array_equal(short, values, equal_nan=True):
                return short
            self._width = _WIDE
        return np.array(values, dtype=np.float64)

    def _unpacked(self, values: NDArray[Any]) -> Array:
        found: Array = (
            self._table[values] if values.dtype == np.uint8 else values.astype(np.float64)
        )
        return found

    def _one(self) -> NDArray[Any]:
        """The parts as one array, in the widest form that one of them has."""
        if len(self._parts) != 1:
            width = max((p.dtype.itemsize for p in self._parts), default=_WIDE)
            made = np.empty(self._rows, {1: np.uint8, 4: np.float32, _WIDE: np.float64}[width])
            start = 0
            for k, part in enumerate(self._parts):
                wide = part if part.dtype == made.dtype else self._unpacked(part)
                made[start : start + len(part)] = wide
                start += len(part)
                self._parts[k] = part[:0]
            self._parts = [made]
        return self._parts[0]
