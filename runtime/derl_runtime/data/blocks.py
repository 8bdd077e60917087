"""A block: some rows of one file as columns, as they were read."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from derl_grammar.records import record

# How much of a file is read at once. A block's rows are Python values for a moment, which takes a
# few times as much.
BLOCK_BYTES = 2 << 20
BLOCK_ROWS = 8192

_LEAST_ROWS = 16


def rows_at_once(rows: int, size: int) -> int:
    """How many of `rows` that take `size` bytes together make a block of the usual size."""
    return max(_LEAST_ROWS, min(BLOCK_ROWS, BLOCK_BYTES * rows // max(1, size)))


Wanted = Collection[str] | None
"""The names of the columns to read; None for all."""


@record
class Block:
    """Rows as columns of equal length, lists or Arrow arrays.

    `names` are the columns that the rows have, in the order in which they first occur, wanted or
    not; `share` is how much of the file is read by then.
    """

    columns: dict[str, Any]
    rows: int
    names: tuple[str, ...]
    share: float = 1.0
