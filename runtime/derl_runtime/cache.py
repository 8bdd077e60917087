"""What primitives returned, kept by content: the same texts are not read twice by costly ones."""

from __future__ import annotations

import hashlib
import sys
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np

# Where hashing a column is cheap beside evaluating the primitive: SHA-256 takes 0.4 ms of 1,024
# texts of 280 characters, a parse tens of milliseconds; a scan takes a few and is done again.
COSTS = frozenset({"parse", "process"})
_BYTES = 64 * 2**20


class Cache:
    """Values by key, at most `limit` bytes of them; the least recently used go first.

    Threads may share it. A limit of 0 keeps nothing.
    """

    def __init__(self, limit: int = _BYTES) -> None:
        self.limit = limit
        self.bytes = 0
        self.hits = 0
        self._entries: OrderedDict[object, tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: object) -> Any:
        """The values kept under `key`, or None."""
        with self._lock:
            found = self._entries.get(key)
            if found is None:
                return None
            self.hits += 1
            self._entries.move_to_end(key)
            return found[0]

    def put(self, key: object, values: Any) -> None:
        """Keep values; those larger than the whole cache are not kept."""
        size = size_of(values)
        if size > self.limit:
            return
        with self._lock:
            if key in self._entries:
                self.bytes -= self._entries.pop(key)[1]
            self._entries[key] = (values, size)
            self.bytes += size
            while self.bytes > self.limit:
                self.bytes -= self._entries.popitem(last=False)[1][1]

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self.bytes = 0

    def __len__(self) -> int:
        return len(self._entries)


# One for the process: rewards that score the same batch share what their primitives cost.
CACHE = Cache()


def size_of(values: Any) -> int:
    """About how many bytes the values of a column take, what keeping them costs included."""
    if isinstance(values, np.ndarray) and values.dtype != object:
        return 200 + values.nbytes
    if isinstance(values, str):
        return sys.getsizeof(values)
    if isinstance(values, Sequence | np.ndarray):
        return 200 + sum(16 + size_of(v) for v in values)
    return 32


def digest(column: Any) -> bytes:
    """A hash of the content of one argument: B texts, numbers or lists, or a literal.

    Arguments of different kinds never share one: the kind and all lengths are hashed too. Raises
    TypeError for values that are none of these.
    """
    found = hashlib.sha256()
    _feed(found, column)
    return found.digest()


def _feed(found: Any, column: Any) -> None:
    if isinstance(column, np.ndarray) and column.dtype != object:
        found.update(f"array {column.dtype.str} {column.shape};".encode())
        found.update(np.ascontiguousarray(column).data)
    elif isinstance(column, list | tuple) and all(type(v) is str for v in column):
        texts = [v.encode("utf-8", "surrogatepass") for v in column]
        found.update(f"texts {len(texts)};".encode())
        found.update(np.fromiter(map(len, texts), np.int64, len(texts)).data)
        found.update(b"".join(texts))
    elif isinstance(column, str):
        _feed(found, [column])
        found.update(b"literal;")
    elif column is None or isinstance(column, bool | int | float):
        found.update(f"{type(column).__name__} {column!r};".encode())
    elif isinstance(column, Sequence | np.ndarray):
        found.update(f"rows {len(column)};".encode())
        for row in column:
            _feed(found, row)
    else:
        raise TypeError(f"cannot hash a column of {type(column).__name__}")
