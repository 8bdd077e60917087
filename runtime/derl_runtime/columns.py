"""Columns in: any array or list of B rows becomes checked texts, numbers or lists, with a mask."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from derl_grammar.types import Bool, List, Number, Optional, Text, Type
from derl_runtime.faults import Fault, fault
from derl_runtime.sources import Apply, Column, Literal, Source, plain

Mask = NDArray[np.bool_]
Offsets = NDArray[np.int64]
LARGEST_TEXT = 10**9
LONGEST_LIST = 10**6


class ColumnError(ValueError):
    """A column is missing or holds something else than the program needs."""


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


@dataclass(frozen=True, slots=True)
class Values:
    """B values of one input and which of them are valid (None: all).

    Numbers and conditions are float64 arrays; texts and lists are Python lists.
    """

    data: Any
    valid: Mask | None

    def ragged(self) -> Ragged:
        """Lists of numbers or conditions as one array with offsets; invalid rows are empty."""
        valid = [True] * len(self.data) if self.valid is None else self.valid.tolist()
        rows = [v if ok else () for v, ok in zip(self.data, valid, strict=True)]
        lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
        flat = np.array([x for row in rows for x in row], dtype=np.float64)
        return Ragged(flat, np.concatenate([[0], np.cumsum(lengths)]))


def _plain(data: Any) -> Any:
    """Arrow and torch columns as NumPy arrays or lists."""
    if hasattr(data, "to_pylist"):
        return data.to_pylist()
    if hasattr(data, "detach"):
        return data.detach().cpu().numpy()
    if hasattr(data, "to_numpy"):
        return data.to_numpy()
    return data


def rows_in(columns: Mapping[str, Any]) -> int:
    """The number of rows B that all columns share; ColumnError when they differ."""
    sizes = {name: len(values) for name, values in columns.items() if hasattr(values, "__len__")}
    if len(set(sizes.values())) > 1:
        shown = ", ".join(f"{name}: {size}" for name, size in sizes.items())
        raise ColumnError(f"the columns have different numbers of rows ({shown})")
    return next(iter(sizes.values()), 0)


def _where(mask: Mask) -> list[int]:
    return [int(i) for i in np.flatnonzero(mask)]


class Batch:
    """One batch of rollouts: evaluates each input once and collects the faults."""

    def __init__(self, columns: Mapping[str, Any], rows: int | None = None) -> None:
        self.columns = columns
        self.rows = rows_in(columns) if rows is None else rows
        self.faults: list[Fault] = []
        self._done: dict[Source, Values] = {}

    def values(self, source: Column | Apply) -> Values:
        """The values of an input, each computed once per batch."""
        if source not in self._done:
            self._done[source] = self._evaluate(source)
        return self._done[source]

    def _evaluate(self, source: Column | Apply) -> Values:
        if isinstance(source, Column):
            return self._read(source.name, source.type)
        if source.name is not None and source.name in self.columns:
            return self._read(source.name, source.type)
        return self._apply(source)

    def _read(self, name: str, kind: Type) -> Values:
        if name not in self.columns:
            have = ", ".join(sorted(self.columns)) or "none"
            raise ColumnError(f"the column {name!r} ({kind}) is missing; the data has: {have}")
        data = _plain(self.columns[name])
        # Not np.ndim: it copies a list, and fails on a ragged one.
        if isinstance(data, int | float) or getattr(data, "ndim", None) == 0:
            data = np.full(self.rows, data)
        optional = isinstance(kind, Optional)
        inner = kind.item if isinstance(kind, Optional) else kind
        if isinstance(inner, Text | List):
            return self._objects(name, data, inner, optional)
        return self._numbers(name, data, inner, optional)

    def _objects(self, name: str, data: Sequence[Any], kind: Type, optional: bool) -> Values:
        """Texts, or lists of steps; None is a missing value."""
        wanted: Any = str if isinstance(kind, Text) else (list, tuple, np.ndarray)
        missing = []
        for row, value in enumerate(data):
            if value is None:
                missing.append(row)
            elif not isinstance(value, wanted):
                raise ColumnError(
                    f"the column {name!r} must be {kind}, but row {row} holds "
                    f"{type(value).__name__}: {value!r:.60}"
                )
            elif wanted is str and len(value) > LARGEST_TEXT:
                raise ColumnError(f"the column {name!r}, row {row}: more than {LARGEST_TEXT} chars")
        if missing and not optional:
            self.faults.append(fault("missing", name, missing, "no value"))
        data = list(data)
        bad = self._check_items(name, data, kind) if isinstance(kind, List) else []
        return Values(data, self._all_but([*missing, *bad]))

    def _all_but(self, rows: list[int]) -> Mask | None:
        if not rows:
            return None
        valid = np.ones(self.rows, dtype=bool)
        valid[rows] = False
        return valid

    def _check_items(self, name: str, data: list[Any], kind: List) -> list[int]:
        """The rows whose list holds a value that is none of the declared; they are reported."""
        item = kind.item
        lengths = np.fromiter((0 if v is None else len(v) for v in data), np.int64, self.rows)
        if (lengths > LONGEST_LIST).any():
            raise ColumnError(f"{name!r} has a list of more than {LONGEST_LIST} values")
        present = [v for v in data if v is not None]
        if isinstance(item, Text):
            wrong = np.array([not isinstance(x, str) for v in present for x in v], dtype=bool)
        else:
            wrong = _outside(np.concatenate([np.zeros(0), *map(_numbers_of, present)]), item)
        if not wrong.any():
            return []
        owners = np.repeat(np.arange(self.rows), lengths)
        rows = sorted({int(r) for r in owners[wrong]})
        values = itertools.chain.from_iterable(present)
        first = next(itertools.islice(values, int(np.argmax(wrong)), None))
        message = f"a list holds {first!r:.60}, which is no value of {item}"
        self.faults.append(fault("out_of_range", name, rows, message))
        return rows

    def _numbers(self, name: str, data: Any, kind: Type, optional: bool) -> Values:
        try:
            array = np.asarray(data)
            if array.dtype == object:
                array = np.array([math.nan if v is None else v for v in array], dtype=object)
                if any(isinstance(v, str) for v in array):
                    raise TypeError
            elif array.dtype.kind not in "biuf":
                raise TypeError
            values = array.astype(np.float64)
        except (TypeError, ValueError):
            bad = next((i for i, v in enumerate(data) if not _is_number(v)), 0)
            raise ColumnError(
                f"the column {name!r} must be {kind}, but row {bad} holds "
                f"{type(data[bad]).__name__}: {data[bad]!r:.60}"
            ) from None
        if values.ndim != 1:
            raise ColumnError(f"the column {name!r} must be {kind}: one value a row, not a list")
        missing = np.isnan(values)
        if missing.any() and not optional:
            self.faults.append(fault("missing", name, _where(missing), "no value (null or NaN)"))
        return self._in_range(name, values, kind, ~missing)

    def _in_range(self, name: str, values: NDArray[np.float64], kind: Type, valid: Mask) -> Values:
        """Holds values to their declared range: what the checker assumed is made true here."""
        infinite = np.isinf(values)
        outside = valid & _outside(values, kind)
        for bad, cls in ((infinite, "nonfinite"), (outside & ~infinite, "out_of_range")):
            if bad.any():
                first = values[np.argmax(bad)]
                message = f"{first:.12g} is no value of {kind}"
                self.faults.append(fault(cls, name, _where(bad), message))
        valid = valid & ~infinite & ~outside
        if valid.all():
            return Values(values, None)
        return Values(np.where(valid, values, np.nan), valid)

    def _apply(self, source: Apply) -> Values:
        """Calls a primitive once, on the rows where all its inputs are valid."""
        inputs = [a.value if isinstance(a, Literal) else self.values(a) for a in source.args]
        masks = [v.valid for v in inputs if isinstance(v, Values) and v.valid is not None]
        valid = np.logical_and.reduce(masks) if masks else None
        args = [_rows(v, valid) if isinstance(v, Values) else v for v in inputs]
        call = _by_step(source) if source.lifted else source.primitive.fn
        count = self.rows if valid is None else int(valid.sum())
        label = str(source)
        if count == 0:
            return self._nothing(source.type, valid)
        try:
            returned = call(*args)
        except Exception as error:  # noqa: BLE001 - a user's primitive may raise anything; counted
            rows = _where(valid) if valid is not None else list(range(self.rows))
            message = f"{type(error).__name__}: {str(error)[:200]!r}"
            self.faults.append(fault("crash", label, rows, message))
            return self._nothing(source.type, np.zeros(self.rows, dtype=bool))
        return self._returned(label, source.type, returned, valid, count)

    def _nothing(self, kind: Type, valid: Mask | None) -> Values:
        mask = np.zeros(self.rows, dtype=bool) if valid is None else valid
        if isinstance(kind, Text | List):
            return Values([None] * self.rows, mask)
        return Values(np.full(self.rows, np.nan), mask)

    def _returned(
        self, label: str, kind: Type, returned: Any, valid: Mask | None, count: int
    ) -> Values:
        if len(returned) != count:
            rows = _where(valid) if valid is not None else list(range(self.rows))
            message = f"returned {len(returned)} values for {count} rows"
            self.faults.append(fault("protocol", label, rows, message))
            return self._nothing(kind, np.zeros(self.rows, dtype=bool))
        optional = isinstance(kind, Optional)
        inner = kind.item if isinstance(kind, Optional) else kind
        if isinstance(inner, Text | List):
            data: list[Any] = [None] * self.rows
            for row, value in zip(_rows_of(valid, self.rows), returned, strict=True):
                data[row] = value
            if isinstance(inner, Text):
                return Values(data, valid)
            bad = self._all_but(self._check_items(label, data, inner))
            if bad is None or valid is None:
                return Values(data, valid if bad is None else bad)
            return Values(data, valid & bad)
        values = np.full(self.rows, np.nan)
        target = slice(None) if valid is None else valid
        values[target] = np.asarray(returned, dtype=np.float64)
        present = ~np.isnan(values)
        expected = np.ones(self.rows, dtype=bool) if valid is None else valid
        if not optional and not present[expected].all():
            rows = _where(expected & ~present)
            self.faults.append(fault("nonfinite", label, rows, "returned NaN"))
        return self._in_range(label, values, inner, present)


def _by_step(source: Apply) -> Callable[..., list[Any]]:
    """A primitive of one text, applied to every text of every list; lists come back."""
    lists = [not isinstance(a, Literal) and isinstance(plain(a), List) for a in source.args]

    def call(*args: Any) -> list[Any]:
        first = next(a for a, many in zip(args, lists, strict=True) if many)
        lengths = [len(v) for v in first]
        flat = [
            [x for row in a for x in row] if many
            else a if isinstance(a, str | float | bool)
            else [x for x, steps in zip(a, lengths, strict=True) for _ in range(steps)]
            for a, many in zip(args, lists, strict=True)
        ]  # fmt: skip
        returned = list(source.primitive.fn(*flat)) if sum(lengths) else []
        ends = itertools.accumulate(lengths, initial=0)
        return [returned[a:b] for a, b in itertools.pairwise(ends)]

    return call


def _outside(values: NDArray[np.float64], kind: Type) -> Mask:
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


def _numbers_of(steps: Any) -> NDArray[np.float64]:
    """The values of one list; NaN for what is no number."""
    try:
        array = np.asarray(steps)
    except ValueError:  # lists of different lengths inside
        array = np.array(steps, dtype=object)
    if array.dtype.kind in "biuf" and array.ndim == 1:
        return array.astype(np.float64)
    plain = [float(x) if _is_number(x) and x is not None else math.nan for x in steps]
    return np.array(plain, dtype=np.float64)


def _is_number(value: Any) -> bool:
    return value is None or isinstance(value, int | float | np.number | np.bool_)


def _rows_of(valid: Mask | None, rows: int) -> list[int]:
    return list(range(rows)) if valid is None else _where(valid)


def _rows(values: Values, valid: Mask | None) -> Any:
    if valid is None:
        return values.data
    if isinstance(values.data, np.ndarray):
        return values.data[valid]
    return [v for v, keep in zip(values.data, valid, strict=True) if keep]
