"""Turning one Python value per rollout into the arrays primitives return.

NumPy is imported when a primitive runs, not when its signature is read: checking a reward must
start in a few milliseconds.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Bools = NDArray[np.bool_]
    Floats = NDArray[np.float64]


def per_row(*columns: Sequence[str] | str) -> tuple[Sequence[str], ...]:
    """The columns, with a literal (a plain string) repeated for every row.

    >>> per_row(["a", "b"], "5")
    (['a', 'b'], ['5', '5'])
    """
    sizes = (len(column) for column in columns if not isinstance(column, str))
    size = next(sizes, 1)
    return tuple([c] * size if isinstance(c, str) else c for c in columns)


MOST_PARTS = 4096
"""Values that a list read out of one text holds at most."""

LONGEST_READ = 65_536
"""Characters that functions read which take longer than a search: 20 ms a megabyte are promised."""


LONGEST_SCANNED = 262_144
"""Characters that functions read which stop at every match, for the same reason."""


def arrow(texts: Sequence[str]) -> Any:
    """The texts as an Arrow array; lone surrogates, which UTF-8 has not, become '?'."""
    import pyarrow as pa

    try:
        return _built(texts)
    except UnicodeEncodeError:
        return _built([t.encode("utf-8", "replace").decode("utf-8") for t in texts])
    except pa.ArrowCapacityError:
        return pa.array(texts, pa.large_string())


def _built(texts: Sequence[str]) -> Any:
    import pyarrow as pa

    # pa.array is three times as fast, but imports pandas where it is installed: half a second and
    # 57 MB. A process that has it already (a trainer's does) pays nothing.
    if "pandas" in sys.modules:
        return pa.array(texts, pa.large_string())
    builder = pa.lib.StringBuilder()
    builder.append_values(texts)
    return builder.finish().cast(pa.large_string())


def bools(values: Iterable[bool], size: int) -> Bools:
    """`size` truth values as an array."""
    import numpy as np

    return np.fromiter(values, dtype=np.bool_, count=size)


def floats(values: Iterable[float], size: int) -> Floats:
    """`size` numbers as a float64 array."""
    import numpy as np

    return np.fromiter(values, dtype=np.float64, count=size)


def two_valued(flags: Any, low: float, high: float) -> Floats:
    """`high` where the flag is set, `low` elsewhere: exactly these two floats."""
    import numpy as np

    return np.where(np.asarray(flags, dtype=np.bool_), high, low)


def segment_means(rows: Sequence[Sequence[float]], part: int, parts: int) -> Floats:
    """The mean of the `part`-th of `parts` slices of each row (counted from 0); 0 if it is empty.

    Slice k of n values is `values[k*n // parts : (k+1)*n // parts]`: the slices share no value,
    leave none out, and a remainder goes to the later ones.
    """
    import numpy as np

    lengths = np.fromiter((len(row) for row in rows), dtype=np.int64, count=len(rows))
    if not lengths.any():
        return np.zeros(len(rows))
    values = np.concatenate([*(np.asarray(row, dtype=np.float64) for row in rows), [0.0]])
    offsets = np.cumsum(lengths) - lengths
    starts = offsets + part * lengths // parts
    stops = offsets + (part + 1) * lengths // parts
    # The closing 0.0 keeps every index valid; every second sum is a gap between two slices.
    sums = np.add.reduceat(values, np.stack([starts, stops], axis=1).ravel())[::2]
    counts = stops - starts
    means: Floats = np.divide(sums, counts, out=np.zeros(len(rows)), where=counts > 0)
    return means
