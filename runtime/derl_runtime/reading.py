"""Reading columns: any array or list of B rows becomes checked texts, numbers or lists, masked."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derl_grammar.types import List, Optional, Text, Type
from derl_runtime import arrow, conversations
from derl_runtime.cache import CACHE, Cache, digest
from derl_runtime.faults import Fault, FaultLog, fault
from derl_runtime.values import (
    Mask,
    Ragged,
    Rows,
    Values,
    as_float,
    flattened,
    is_number,
    outside,
    where,
    within,
)

LARGEST_TEXT = 10**9
LONGEST_LIST = 10**6


class ColumnError(ValueError):
    """A column is missing (`missing`: its name) or holds something else than the program needs."""

    def __init__(self, message: str, missing: str | None = None) -> None:
        super().__init__(message)
        self.missing = missing


def _plain(data: Any) -> Any:
    """Arrow and torch columns as NumPy arrays, ragged lists or Python lists.

    Numbers and lists of numbers are taken as they lie in memory; texts become Python's own.
    """
    if hasattr(data, "to_pylist"):
        return _from_arrow(data)
    if hasattr(data, "detach"):
        return data.detach().cpu().numpy()
    if hasattr(data, "to_numpy"):
        return data.to_numpy()
    return data


def _from_arrow(data: Any) -> Any:
    import pyarrow as pa

    if isinstance(data, pa.ChunkedArray):
        data = data.chunk(0) if data.num_chunks == 1 else data.combine_chunks()
    kind = data.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return arrow.plain(data)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        item = kind.value_type
        if not data.null_count and (pa.types.is_integer(item) or pa.types.is_floating(item)):
            # flatten, unlike values, knows of slices.
            values = arrow.plain(data.flatten())
            offsets = arrow.plain(data.offsets).astype(np.int64)
            return Ragged(values.astype(np.float64, copy=False), offsets - offsets[0])
    return arrow.listed(data)


def rows_in(columns: Mapping[str, Any]) -> int:
    """The number of rows B that all columns share; ColumnError when they differ."""
    sizes = {
        name: len(values.offsets) - 1 if isinstance(values, Ragged) else len(values)
        for name, values in columns.items()
        if hasattr(values, "__len__")
    }
    if len(set(sizes.values())) > 1:
        shown = ", ".join(f"{name}: {size}" for name, size in sizes.items())
        raise ColumnError(f"the columns have different numbers of rows ({shown})")
    return next(iter(sizes.values()), 0)


@dataclass(slots=True)
class Whole:
    """The rows that a batch is a part of: the names of their columns, how many came before, and of
    columns of texts which had a text in any part, and what the others held instead."""

    names: Collection[str]
    done: int = 0
    texts: set[str] = field(default_factory=set)
    others: dict[str, str] = field(default_factory=dict)

    def refuse(self) -> None:
        """Raise ColumnError for a column of texts that held none in all parts."""
        for name, message in self.others.items():
            if name not in self.texts:
                raise ColumnError(message)


class Reader:
    """The columns of one batch as they come in, and the faults found on the way; `of` is what it is
    a part of, if it is one.

    `log` knows which primitives are quarantined and counts their failures; without one nothing is.
    """

    def __init__(
        self,
        columns: Mapping[str, Any],
        rows: int | None = None,
        log: FaultLog | None = None,
        cache: Cache = CACHE,
        of: Whole | None = None,
    ) -> None:
        self.of = of
        self.first = 0 if of is None else of.done
        self.columns = columns
        self.rows = rows_in(columns) if rows is None else rows
        self.log = log
        self.cache = cache
        self.faults: list[Fault] = []
        self._digests: dict[int, tuple[Any, bytes]] = {}

    def digest(self, argument: Any) -> bytes:
        """The content hash of an argument of primitives, each computed once per batch."""
        found = self._digests.get(id(argument))
        if found is None:
            # The argument is kept with its hash, so that its id stays its own.
            found = self._digests[id(argument)] = (argument, digest(argument))
        return found[1]

    def failed(self, primitive: str) -> None:
        """Count a call of a primitive that broke as a whole towards its quarantine."""
        if self.log is not None:
            self.log.failed(primitive)

    def called(self, primitive: str, rows: int, lost: int) -> None:
        """Count a call of an untrusted primitive, of whose rows some may be lost."""
        if self.log is not None:
            self.log.called(primitive, rows, lost)

    def read(self, name: str, kind: Type) -> Values:
        """A column as values of a type; ColumnError when it holds something else."""
        data = self.columns.get(name)
        if name not in self.columns:
            data = conversations.column(name, self.columns)
            if data is None:
                known = self.columns if self.of is None else self.of.names
                have = ", ".join(sorted(known)) or "none"
                message = f"the column {name!r} ({kind}) is missing; the data has: {have}"
                raise ColumnError(message, missing=name)
        data = data if isinstance(data, Ragged) else _plain(data)
        # Not np.ndim: it copies a list, and fails on a ragged one.
        if isinstance(data, int | float) or getattr(data, "ndim", None) == 0:
            data = np.full(self.rows, data)
        optional = isinstance(kind, Optional)
        inner = kind.item if isinstance(kind, Optional) else kind
        if isinstance(data, Ragged):
            if not isinstance(inner, List) or isinstance(inner.item, Text):
                raise ColumnError(f"the column {name!r} must be {kind}, but holds lists of numbers")
            data = Rows(data)
        if isinstance(inner, Text | List):
            return self._objects(name, data, inner, optional)
        return self._numbers(name, data, inner, optional)

    def _objects(self, name: str, data: Any, kind: Type, optional: bool) -> Values:
        """Texts, or lists of steps; None is a missing value."""
        data = data if isinstance(data, Rows | list) else list(data)
        if kind == Text() and set(map(type, data)) == {str} and max(map(len, data)) <= LARGEST_TEXT:
            if self.of is not None:
                self.of.texts.add(name)
            return Values(data, None)
        lost: list[int] = []
        golds = conversations.golds_of(name, data) if kind == Text() else {}
        if golds:
            data = [golds[k][0] if k in golds else v for k, v in enumerate(data)]
        if kind == Text():
            data, lost = self._texts(name, data, conversations.text_of, kind)
        elif kind == List(Text()):
            data, lost = self._texts(name, data, conversations.texts_of, kind)
        elif isinstance(data, list) and any(map(_nothing, data)):
            # A frame has NaN where it has no list.
            data = [None if _nothing(v) else v for v in data]
        missing = [] if isinstance(data, Rows) else self._missing(name, data, kind)
        told = set(lost)
        silent = [row for row in missing if row not in told]
        if silent and not optional:
            self.faults.append(fault("missing", name, silent, "no value"))
        flat, bad = self.steps(name, data, kind) if isinstance(kind, List) else (None, [])
        several = [golds.get(k, [v]) for k, v in enumerate(data)] if golds else None
        return Values(data, self._all_but([*missing, *bad]), flat, several)

    def _texts(
        self, name: str, data: Sequence[Any], read: Callable[[str, Any], Any], kind: Type
    ) -> tuple[Sequence[Any], list[int]]:
        """Texts out of what holds texts (conversations, parts, numbers), and the rows of the rest.

        Those are a fault, told here.
        """
        if kind == Text() and all(type(v) is str for v in data):
            if self.of is not None and len(data):
                self.of.texts.add(name)
            return data, []
        found = [None if _nothing(v) else read(name, v) for v in data]
        lost = [k for k, v in enumerate(data) if found[k] is None and not _nothing(v)]
        some = len(lost) < sum(not _nothing(v) for v in data)
        if self.of is not None and some:
            self.of.texts.add(name)
        if lost:
            first = data[lost[0]]
            what = f"row {self.first + lost[0]} holds {type(first).__name__}: {first!r:.60}"
            message = f"the column {name!r} must be {kind}, but {what}"
            if self.of is not None:
                self.of.others.setdefault(name, message)
            elif not some:
                raise ColumnError(message)
            self.faults.append(fault("out_of_range", name, lost, f"{what}, which is no {kind}"))
        return found, lost

    def _missing(self, name: str, data: Sequence[Any], kind: Type) -> list[int]:
        """The rows without a value; ColumnError for one of another type."""
        wanted: Any = str if isinstance(kind, Text) else (list, tuple, np.ndarray)
        missing = []
        for row, value in enumerate(data):
            if value is None:
                missing.append(row)
            elif not isinstance(value, wanted):
                raise ColumnError(
                    f"the column {name!r} must be {kind}, but row {self.first + row} holds "
                    f"{type(value).__name__}: {value!r:.60}"
                )
            elif wanted is str and len(value) > LARGEST_TEXT:
                at = self.first + row
                raise ColumnError(f"the column {name!r}, row {at}: more than {LARGEST_TEXT} chars")
        return missing

    def _all_but(self, rows: list[int]) -> Mask | None:
        if not rows:
            return None
        valid = np.ones(self.rows, dtype=bool)
        valid[rows] = False
        return valid

    def steps(self, name: str, data: Sequence[Any], kind: List) -> tuple[Ragged | None, list[int]]:
        """Lists of numbers as one array, and the rows whose list holds no value of its type.

        Those are reported.
        """
        item = kind.item
        flat = None
        if isinstance(item, Text):
            lengths = np.fromiter((0 if v is None else len(v) for v in data), np.int64, self.rows)
        else:
            flat = data.flat if isinstance(data, Rows) else flattened(data)
            lengths = flat.lengths
        long = np.flatnonzero(lengths > LONGEST_LIST).tolist()
        if long:
            message = f"a list has more than {LONGEST_LIST:,} values"
            self.faults.append(fault("out_of_range", name, long, message))
        if flat is None:
            present = (x for v in data if v is not None for x in v)
            wrong = np.array([not isinstance(x, str) for x in present], dtype=bool)
        else:
            wrong = outside(flat.values, item)
        if not wrong.any():
            return flat, long
        owners = np.repeat(np.arange(self.rows), lengths)
        rows = sorted({int(r) for r in owners[wrong]})
        values = itertools.chain.from_iterable(v for v in data if v is not None)
        first = next(itertools.islice(values, int(np.argmax(wrong)), None))
        message = f"a list holds {_shown(first)}, which is no value of {item}"
        self.faults.append(fault("out_of_range", name, rows, message))
        return flat, sorted({*rows, *long})

    def _numbers(self, name: str, data: Any, kind: Type, optional: bool) -> Values:
        try:
            array = np.asarray(data)
            if array.dtype == object:
                array = np.array([math.nan if v is None else v for v in array], dtype=object)
                if not all(map(is_number, array)):
                    raise TypeError
                array = np.array(list(map(as_float, array)))
            elif array.dtype.kind not in "biuf":
                raise TypeError
            # As it lies in memory if it can be; kernels are compiled for writable, dense arrays.
            values: NDArray[np.float64] = np.require(array, np.float64, ["C", "W"])
        except (TypeError, ValueError):
            bad = next((i for i, v in enumerate(data) if not is_number(v)), 0)
            raise ColumnError(
                f"the column {name!r} must be {kind}, but row {self.first + bad} holds "
                f"{type(data[bad]).__name__}: {data[bad]!r:.60}"
            ) from None
        if values.ndim != 1:
            raise ColumnError(f"the column {name!r} must be {kind}: one value a row, not a list")
        if within(values, kind):
            return Values(values, None)
        missing = np.isnan(values)
        if missing.any() and not optional:
            self.faults.append(fault("missing", name, where(missing), "no value (null or NaN)"))
        return self.in_range(name, values, kind, ~missing)

    def in_range(self, name: str, values: NDArray[np.float64], kind: Type, valid: Mask) -> Values:
        """Holds values to their declared range: what the checker assumed is made true here."""
        infinite = np.isinf(values)
        beyond = valid & outside(values, kind)
        for bad, cls in ((infinite, "nonfinite"), (beyond & ~infinite, "out_of_range")):
            if bad.any():
                first = values[np.argmax(bad)]
                message = f"{first:.12g} is no value of {kind}"
                self.faults.append(fault(cls, name, where(bad), message))
        valid = valid & ~infinite & ~beyond
        if valid.all():
            return Values(values, None)
        return Values(np.where(valid, values, np.nan), valid)


def _nothing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)


def _shown(value: Any) -> str:
    plain = value.item() if isinstance(value, np.generic) else value
    return f"{plain!r:.60}"
