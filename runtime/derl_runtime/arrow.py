"""Arrow arrays as NumPy arrays, by their buffers.

Arrow's own conversion imports pandas where it is installed: half a second and 57 MB that no
question about rows needs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_DTYPES = {"halffloat": "float16", "float": "float32", "double": "float64"}


def plain(array: Any) -> NDArray[Any]:
    """Arrow's numbers or conditions as a NumPy array; where one is missing, all are floats.

    >>> import pyarrow as pa
    >>> plain(pa.array([1, None, 3])).tolist(), plain(pa.array([True, False])).tolist()
    ([1.0, nan, 3.0], [True, False])
    """
    if hasattr(array, "chunks"):
        array = array.chunk(0) if array.num_chunks == 1 else array.combine_chunks()
    held, values = array.buffers()
    rows = slice(array.offset, array.offset + len(array))
    kind = str(array.type)
    found: NDArray[Any]
    if values is None:
        found = np.zeros(len(array))
    elif kind == "bool":
        found = _bits(values)[rows]
    else:
        found = np.frombuffer(values, _DTYPES.get(kind, kind))[rows]
    return np.where(_bits(held)[rows], found, np.nan) if array.null_count else found


# What Python raises for a value that it has no kind for: an unknown time zone, a year 30,000.
_NO_VALUE = (ValueError, LookupError, ArithmeticError)


def listed(array: Any) -> list[Any]:
    """Arrow's values as Python's; None for one that Python has no kind for."""
    try:
        return list(array.to_pylist())
    except _NO_VALUE:
        return [value_of(scalar) for scalar in array]


def value_of(scalar: Any) -> Any:
    """One value of Arrow's as Python's; None for one that Python has no kind for."""
    try:
        return scalar.as_py()
    except _NO_VALUE:
        return None


def _bits(buffer: Any) -> NDArray[np.bool_]:
    return np.unpackbits(np.frombuffer(buffer, np.uint8), bitorder="little").view(np.bool_)
