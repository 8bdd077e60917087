"""Whole groups of rollouts that fit into memory, out of any number of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from derl_dsl.tools.evaluate.kept import Rows
from derl_runtime.data import Rollouts, listed
from derl_runtime.reading import ColumnError

Columns = dict[str, list[Any]]


def some_groups(rollouts: Rollouts, codes: Rows | None, most: int) -> Columns:
    """The rows of whole groups, `most` of them at the most, in the order of the file.

    All rows where they are no more than that; else of groups drawn without preference, the same
    ones each time. `codes` numbers the group of each row; without them a row is a group. Raises
    ColumnError where no group is as small.
    """
    rows = rollouts.rows
    if rows <= most:
        return rollouts.whole()
    codes = np.arange(rows) if codes is None else codes
    sizes = np.bincount(codes)
    drawn = np.random.default_rng(0).permutation(len(sizes))
    drawn = drawn[np.cumsum(sizes[drawn]) <= most]
    chosen = np.zeros(len(sizes), dtype=bool)
    chosen[drawn] = True
    if not len(drawn):
        raise ColumnError(f"a group has more than {most} rows; see the group column")
    return _rows_of(rollouts, chosen[codes])


def neighbours(rollouts: Rollouts, size: int) -> Rows:
    """The group of each row where groups are so many neighbours; ColumnError for a cut one."""
    if size < 2 or rollouts.rows % size:
        raise ColumnError(f"{rollouts.rows} rows are no whole number of groups of {size}")
    return np.arange(rollouts.rows) // size


def _rows_of(rollouts: Rollouts, chosen: Any) -> Columns:
    columns: Columns = {name: [] for name in rollouts.names}
    for part in rollouts.parts(title="drawing groups"):
        places = np.flatnonzero(chosen[part.first : part.first + part.rows])
        for name, values in columns.items():
            given = part.columns[name]
            if hasattr(given, "take") and hasattr(given, "to_pylist"):
                values += given.take(pa.array(places)).to_pylist()
            else:
                held = listed(given)
                values += [held[k] for k in places.tolist()]
    return columns
