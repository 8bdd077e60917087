"""What the values of a column are, seen part by part: its type, and which rows have one value."""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Iterable, Sequence
from hashlib import blake2b
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derl_grammar.types import Bool, List, Number, Text, Type
from derl_runtime import arrow
from derl_runtime.reading import ColumnError

_PLAIN = {bool, int, float}
_DIGEST = 16


class Seen:
    """The type of the values that were added so far, missing ones aside.

    >>> seen = Seen()
    >>> seen.add([1, None]); seen.add([2.5])
    >>> seen.type()
    Number(lo=1.0, hi=2.5, values=None)
    """

    def __init__(self) -> None:
        self.kinds: set[type] = set()
        self.lo, self.hi = math.inf, -math.inf
        self.beyond = False
        self.item: Seen | None = None

    def add(self, values: Any) -> None:
        """More values of the column: a list, a NumPy array or an Arrow array."""
        if hasattr(values, "to_pylist"):
            values = self._arrow(values)
        elif isinstance(values, np.ndarray) and values.dtype.kind in "biuf":
            values = self._array(values)
        elif not isinstance(values, list | tuple):
            values = list(values)
        present = [v for v in values if v is not None]
        kinds = {type(v) for v in present}
        self.kinds |= kinds
        if kinds & _PLAIN:
            self._numbers([v for v in present if type(v) in _PLAIN])
        if kinds == {list}:
            self._items(list(chain.from_iterable(present)))

    def type(self) -> Type | None:
        """The type; None when they have no common one, or there are none.

        Numbers get the range they span, at least as wide as [0, 1] when they are all equal: one
        value says nothing of a range.
        """
        kinds = self.kinds
        if not kinds:
            return None
        if kinds <= {bool}:
            return Bool()
        if kinds <= {str}:
            return Text()
        if kinds <= _PLAIN:
            return self._number()
        if kinds <= {list}:
            item = None if self.item is None else self.item.type()
            return None if item is None or isinstance(item, List) else List(item)
        return None

    def _number(self) -> Number | None:
        if self.beyond:
            return None
        if self.lo > self.hi:
            return Number()
        if self.lo == self.hi:
            return Number(min(self.lo, 0.0), max(self.hi, 1.0))
        return Number(self.lo, self.hi)

    def _numbers(self, values: Iterable[Any]) -> None:
        try:
            finite = [x for x in map(float, values) if math.isfinite(x)]
        except OverflowError:  # an integer beyond the floats
            self.beyond = True
            return
        if finite:
            self._span(min(finite), max(finite))

    def _span(self, lo: float, hi: float) -> None:
        self.lo, self.hi = min(self.lo, lo), max(self.hi, hi)

    def _items(self, values: Any) -> None:
        self.item = self.item or Seen()
        self.item.add(values)

    def _array(self, values: NDArray[Any]) -> list[Any]:
        if len(values) and values.ndim == 1:
            self.kinds.add(bool if values.dtype.kind == "b" else float)
            finite = values[np.isfinite(values)]
            if len(finite):
                self._span(float(finite.min()), float(finite.max()))
            return []
        found: list[Any] = values.tolist()
        return found

    def _arrow(self, values: Any) -> Any:
        """Sees what it can without Python values; gives the rest as a list."""
        kind = values.type
        if values.null_count == len(values):
            return []
        if str(kind) in ("string", "large_string", "string_view"):
            self.kinds.add(str)
            return []
        if str(kind) == "bool" or str(kind).startswith(("int", "uint", "float", "double")):
            return self._array(arrow.plain(values.drop_null()))
        if str(kind).startswith("list<") and hasattr(values, "flatten"):
            parts = values.chunks if hasattr(values, "chunks") else [values]
            self.kinds.add(list)
            self.item = self.item or Seen()
            for part in parts:
                self.item.add(part.flatten())
            return []
        return arrow.listed(values)


def infer_type(values: Sequence[Any]) -> Type | None:
    """The type of the values of a column; see `Seen`."""
    seen = Seen()
    seen.add(values)
    return seen.type()


class Keys:
    """Which rows have equal values, for columns of any length: a code each, from 0 as they come.

    Keys are equal as Python has it: 1, 1.0 and True are one, 1 and "1" are two; lists of messages
    are equal when their JSON is. Of each part, distinct keys are kept as digests of 16 bytes.

    >>> keys = Keys("id"); keys.add(["b", "a"]); keys.add(["b", 1])
    >>> keys.codes().tolist()
    [0, 1, 0, 2]
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows = 0
        self.missing: tuple[int, Any] | None = None
        # Of each part: where its distinct keys begin, and which of them its rows have.
        self._places: list[tuple[int, NDArray[Any]]] = []
        self._digests = bytearray()
        self._codes: NDArray[np.int64] | None = None

    def add(self, values: Any) -> None:
        """The keys of more rows; of a column that lacks one they are of no use and not kept."""
        if self.missing is not None:
            self.rows += len(values)
            return
        places, distinct = _distinct(values)
        for k, key in enumerate(distinct):
            if self.missing is None and (key is None or key != key):
                row = int(np.flatnonzero(places == k)[0])
                self.missing = (self.rows + row, key)
                self._forget()
        if self.missing is None:
            entries = len(self._digests) // _DIGEST
            self._places.append((entries, places.astype(np.min_scalar_type(len(distinct)))))
            for key in distinct:
                self._digests += _digest(key)
        self.rows += len(places)
        self._codes = None

    def lack(self, rows: int) -> None:
        """More rows, without the column."""
        if rows and self.missing is None:
            self.missing = (self.rows, None)
            self._forget()
        self.rows += rows

    def codes(self) -> NDArray[np.int64]:
        """The code of each row, (B,); ColumnError for a row without a key."""
        if self.missing is not None:
            row, key = self.missing
            raise ColumnError(
                f"the group column {self.name!r} must name a group in each row, "
                f"but row {row} holds {key!r:.60}"
            )
        if self._codes is None:
            self._codes = self._coded()
        return self._codes

    def _forget(self) -> None:
        self._places, self._digests = [], bytearray()

    def _coded(self) -> NDArray[np.int64]:
        code = _numbered(np.frombuffer(self._digests, dtype=np.uint64).reshape(-1, 2))
        held = self._places
        self._forget()
        codes = np.empty(self.rows, dtype=np.int64)
        row = 0
        for entry, places in held:
            codes[row : row + len(places)] = code[entry:][places]
            row += len(places)
        return codes


def _numbered(digests: NDArray[np.uint64]) -> NDArray[np.int32]:
    """The number of each of (N, 2) digests among the distinct ones, in order of occurrence.

    There are millions of them: what is no longer needed is let go at once.
    """
    # Stable: of equal ones the first comes first.
    order = np.lexsort((digests[:, 1], digests[:, 0])).astype(np.int32)
    new = np.ones(len(order), dtype=bool)
    new[1:] = False
    for half in (digests[:, 0], digests[:, 1]):
        sorted_ = half[order]
        new[1:] |= sorted_[1:] != sorted_[:-1]
    firsts = order[new]
    rank = np.empty(len(firsts), dtype=np.int32)
    rank[np.argsort(firsts)] = np.arange(len(firsts), dtype=np.int32)
    number = np.empty(len(order), dtype=np.int32)
    number[order] = rank[np.cumsum(new, dtype=np.int32) - 1]
    return number


def _distinct(values: Any) -> tuple[NDArray[np.int64], list[Any]]:
    """The place of each value among the distinct ones, and these, in order of occurrence."""
    if hasattr(values, "dictionary_encode") and str(values.type) in ("string", "int64", "bool"):
        chunk = values.combine_chunks() if hasattr(values, "combine_chunks") else values
        coded = chunk.dictionary_encode("encode")
        if hasattr(coded, "chunks"):
            coded = coded.chunk(0)
        return arrow.plain(coded.indices).astype(np.int64), arrow.listed(coded.dictionary)
    if hasattr(values, "to_pylist"):
        values = arrow.listed(values)
    elif hasattr(values, "tolist"):
        values = values.tolist()
    known: dict[Hashable, int] = {}
    keys: list[Any] = []
    places = []
    for given in values:
        value = given.item() if isinstance(given, np.generic) else given
        key = ("json", text_key(value)) if isinstance(value, list | dict | tuple) else value
        place = known.setdefault(key, len(known))
        if place == len(keys):
            keys.append(value)
        places.append(place)
    return np.array(places, dtype=np.int64), keys


def text_key(value: Any) -> str:
    """A list or mapping as text that is the same for equal ones."""
    return json.dumps(value, sort_keys=True, default=str)


def _digest(key: Any) -> bytes:
    if isinstance(key, str):
        content = b"s" + key.encode("utf-8", "surrogatepass")
    elif isinstance(key, bool | int | float):
        whole = isinstance(key, int) or (math.isfinite(key) and key.is_integer())
        content = b"n" + str(int(key) if whole else key).encode()
    elif isinstance(key, list | dict | tuple):
        content = b"j" + text_key(key).encode("utf-8", "surrogatepass")
    else:
        content = b"o" + repr(key).encode("utf-8", "surrogatepass")
    return blake2b(content, digest_size=_DIGEST).digest()
