"""Values of one input: B numbers, texts or lists, and which of them are valid."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from derl_grammar.records import record
from derl_grammar.types import Bool, Number, Type

Mask = NDArray[np.bool_]
Offsets = NDArray[np.int64]
Floats = NDArray[np.float64]


class Ragged(NamedTuple):
    """Lists of B rollouts: all values behind one another, and where each list starts (B + 1)."""

    values: Any
    offsets: Offsets

    @property
    def lengths(self) -> Offsets:
        """The number of steps of each rollout, (B,)."""
        return np.diff(self.offsets)

    def permuted(self, order: NDArray[np.int64]) -> Ragged:
        """The same lists in another order."""
        lengths = self.lengths[order]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        index = np.repeat(self.offsets[:-1][order] - offsets[:-1], lengths)
        return Ragged(self.values[index + np.arange(len(index))], offsets)

    def kept(self, rows: Mask) -> Ragged:
        """The same lists, empty in all other rows."""
        lengths = self.lengths
        keep = np.repeat(rows, lengths)
        ends = np.cumsum(np.where(rows, lengths, 0))
        return Ragged(self.values[keep], np.concatenate([[0], ends]))


class Rows(Sequence[Any]):
    """Ragged lists as a sequence of B rows, each a view on its values."""

    __slots__ = ("flat",)

    def __init__(self, flat: Ragged) -> None:
        self.flat = flat

    def __len__(self) -> int:
        return len(self.flat.offsets) - 1

    def __iter__(self) -> Iterator[Any]:
        bounds = self.flat.offsets.tolist()
        return (self.flat.values[a:b] for a, b in itertools.pairwise(bounds))

    @overload
    def __getitem__(self, at: int) -> Any: ...
    @overload
    def __getitem__(self, at: slice) -> list[Any]: ...
    def __getitem__(self, at: int | slice) -> Any:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        i = range(len(self))[at]
        return self.flat.values[self.flat.offsets[i] : self.flat.offsets[i + 1]]


@record
class Values:
    """B values of one input and which of them are valid (None: all).

    Numbers and conditions are float64 arrays; texts and lists are sequences. `flat` has lists of
    numbers as one array, once that was made. `golds` has the texts of every row where some rows
    hold several of which any is right; `data` has the first.
    """

    data: Any
    valid: Mask | None
    flat: Ragged | None = None
    golds: Sequence[Sequence[str]] | None = None

    def ragged(self) -> Ragged:
        """Lists of numbers or conditions as one array with offsets; invalid rows are empty."""
        if self.flat is not None:
            return self.flat if self.valid is None else self.flat.kept(self.valid)
        valid = [True] * len(self.data) if self.valid is None else self.valid.tolist()
        rows = [v if ok else () for v, ok in zip(self.data, valid, strict=True)]
        return flattened(rows)

    def rows(self, valid: Mask | None) -> Any:
        """The values of the valid rows alone."""
        if valid is None:
            return self.data
        if isinstance(self.data, np.ndarray):
            return self.data[valid]
        return [v for v, keep in zip(self.data, valid.tolist(), strict=True) if keep]


def flattened(rows: Sequence[Any]) -> Ragged:
    """Lists of numbers, None being an empty one, as one array; NaN for what is no number."""
    lengths = np.fromiter((0 if v is None else len(v) for v in rows), np.int64, len(rows))
    present = [v for v in rows if v is not None]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    if all(isinstance(v, list | tuple) for v in present):
        array = _array(list(itertools.chain.from_iterable(present)))
        if array is not None:
            return Ragged(array, offsets)
    return Ragged(np.concatenate([np.zeros(0), *map(_numbers_of, present)]), offsets)


def _array(steps: Any) -> Floats | None:
    """Values as floats when all are numbers or conditions; None otherwise."""
    try:
        array = np.asarray(steps)
    except ValueError:  # lists of different lengths inside
        return None
    return array.astype(np.float64) if array.dtype.kind in "biuf" and array.ndim == 1 else None


def _numbers_of(steps: Any) -> Floats:
    """The values of one list; NaN for what is no number."""
    array = _array(steps)
    if array is not None:
        return array
    plain = [as_float(x) if is_number(x) and x is not None else math.nan for x in steps]
    return np.array(plain, dtype=np.float64)


def as_float(value: Any) -> float:
    """A number as float64; one that is beyond it is infinite.

    >>> as_float(-(10**400))
    -inf
    """
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def is_number(value: Any) -> bool:
    """Whether a value can stand in a column of numbers; None is a missing one."""
    return value is None or isinstance(value, int | float | np.number | np.bool_)


def outside(values: Floats, kind: Type) -> Mask:
    """Which numbers are no value of their type; NaN is none of any."""
    found: Mask
    if isinstance(kind, Bool):
        found = (values != 0) & (values != 1)
    elif isinstance(kind, Number) and kind.values is not None:
        found = ~np.isin(values, np.asarray(kind.values))
    elif isinstance(kind, Number):
        found = ~((values >= kind.lo) & (values <= kind.hi) & np.isfinite(values))
    else:
        found = np.isnan(values)
    return found


def within(values: Floats, kind: Type) -> bool:
    """Whether all numbers are seen at a glance to be values of their type; most columns are."""
    if not isinstance(kind, Number) or kind.values is not None or not len(values):
        return False
    lo, hi = values.min(), values.max()  # NaN, if there is one
    return bool(lo >= kind.lo and hi <= kind.hi and -math.inf < lo and hi < math.inf)


def where(mask: Mask) -> list[int]:
    """The rows that a mask marks."""
    return [int(i) for i in np.flatnonzero(mask)]
