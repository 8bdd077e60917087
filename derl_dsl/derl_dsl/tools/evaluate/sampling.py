"""Whole groups of rollouts that fit into memory, out of any number of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from derl_dsl.tools.evaluate.kept import Rows
from derl_runtime.data import Rollouts, listed
from derl_runtime.reading import ColumnError

Columns = dict[str, Any]
"""Lists or Arrow arrays by name, as a file gives them."""
_PIECES = 64


def some_groups(rollouts: Rollouts, codes: Rows | None, most: int) -> Columns:
    """The rows of whole groups, `most` of them at the most, in the order of the file.

    All rows where they are no more than that; else of groups drawn without preference, the same
    ones each time. `codes` numbers the group of each row; without them a row is a group. Raises
    ColumnError where no group is as small.
    """
    rows = rollouts.rows
    if rows <= most:
        return _rows_of(rollouts, np.ones(rows, dtype=bool))
    codes = np.arange(rows) if codes is None else codes
    sizes = np.bincount(codes)
    drawn = np.random.default_rng(0).permutation(len(sizes))
    drawn = drawn[np.cumsum(sizes[drawn]) <= most]
    chosen = np.zeros(len(sizes), dtype=bool)
    chosen[drawn] = True
    if not len(drawn):
        raise ColumnError(f"a group has more than {most} rows; see the group column")
    chosen = chosen[codes]
    # Eight bytes a row, of no more use.
    del codes
    rollouts.forget_keys(None)
    return _rows_of(rollouts, chosen)


def neighbours(rollouts: Rollouts, size: int) -> Rows:
    """The group of each row where groups are so many neighbours; ColumnError for a cut one."""
    if size < 2 or rollouts.rows % size:
        raise ColumnError(f"{rollouts.rows} rows are no whole number of groups of {size}")
    return np.arange(rollouts.rows) // size


def _rows_of(rollouts: Rollouts, chosen: Any) -> Columns:
    taken = {name: _Taken() for name in rollouts.names}
    for part in rollouts.parts(title="drawing groups"):
        places = np.flatnonzero(chosen[part.first : part.first + part.rows])
        for name, column in taken.items():
            column.add(part.columns[name], places)
    return {name: column.whole() for name, column in taken.items()}


class _Taken:
    """Some values of a column: in Arrow, which takes a third of Python's texts, if it can be."""

    def __init__(self) -> None:
        self._done: list[Any] = []
        self._pieces: list[Any] = []

    def add(self, values: Any, places: Rows) -> None:
        """The values at some places of a part."""
        if hasattr(values, "take") and hasattr(values, "to_pylist"):
            # Not pa.array: that imports pandas where it is installed.
            rows = pa.Array.from_buffers(pa.int64(), len(places), [None, pa.py_buffer(places)])
            self._pieces.append(values.take(rows))
        else:
            held = listed(values)
            self._pieces.append([held[k] for k in places.tolist()])
        # A few rows a piece: an array's own needs are more than what it holds.
        if len(self._pieces) == _PIECES:
            self._close()

    def whole(self) -> Any:
        """All values as one column."""
        self._close()
        kinds = {p.type for p in self._done if hasattr(p, "type")} - {pa.null()}
        if len(kinds) == 1 and not any(isinstance(p, list) for p in self._done):
            (kind,) = kinds
            return pa.chunked_array([p.cast(kind) for p in self._done], kind)
        return [value for piece in self._done for value in listed(piece)]

    def _close(self) -> None:
        chunks = [c for p in self._pieces for c in getattr(p, "chunks", [p])]
        kinds = {getattr(c, "type", None) for c in chunks}
        self._done += (
            [pa.concat_arrays(chunks)] if len(kinds) == 1 and None not in kinds else chunks
        )
        self._pieces = []
