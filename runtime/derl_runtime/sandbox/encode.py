"""Columns of the host as the bytes of a job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from derl_runtime.sandbox.worker.frames import CALL, job_header

_TRUTHS = (bool, np.bool_)


def encode_column(values: Sequence[Any] | np.ndarray[Any, Any]) -> list[bytes]:
    """A column as bytes: texts, numbers or truth values, or one list of these a row.

    None, and NaN among numbers, is a row without a value. Raises TypeError for anything else.
    """
    if isinstance(values, np.ndarray) and values.dtype.kind in "fiub":
        if values.ndim != 1:
            raise TypeError(f"a column has one dimension, not {values.ndim}")
        numeric = b"b" if values.dtype.kind == "b" else b"n"
        return [numeric, np.ascontiguousarray(values, dtype="<f8").tobytes()]
    listed = values.tolist() if isinstance(values, np.ndarray) else values
    first = next((v for v in listed if v is not None), None)
    if isinstance(first, list | tuple | np.ndarray):
        return _encode_lists(listed)
    kind = _kind(first)
    return [kind.encode(), *_encode_flat(kind, listed)]


def _kind(value: Any) -> str:
    if value is None or isinstance(value, str):
        return "t"
    if isinstance(value, _TRUTHS):
        return "b"
    if isinstance(value, int | float | np.integer | np.floating):
        return "n"
    raise TypeError(f"a column holds texts, numbers, bools or lists of these, not {value!r:.80}")


def _encode_flat(kind: str, values: Sequence[Any]) -> list[bytes]:
    if kind != "t":
        numbers = [np.nan if v is None else v for v in values]
        try:
            return [np.asarray(numbers, dtype="<f8").tobytes()]
        except (TypeError, ValueError, OverflowError) as error:
            raise TypeError(f"a column of numbers holds something else: {error}") from None
    try:
        texts = [None if v is None else v.encode("utf-8", "surrogatepass") for v in values]
    except AttributeError:
        raise TypeError("a column of texts holds something else") from None
    lengths = np.array([-1 if t is None else len(t) for t in texts], dtype="<i8")
    return [lengths.tobytes(), *(t for t in texts if t)]


def _encode_lists(rows: Sequence[Any]) -> list[bytes]:
    counts = np.array([-1 if r is None else len(r) for r in rows], dtype="<i8")
    items = [item for r in rows if r is not None for item in r]
    kind = _kind(next((i for i in items if i is not None), None))
    return [kind.upper().encode(), counts.tobytes(), *_encode_flat(kind, items)]


def encode_job(
    kind: int,
    source: str,
    function: str = "",
    rows: int = 0,
    columns: Sequence[list[bytes]] = (),
    memory: int = 0,
) -> list[bytes]:
    """The pieces of a job, columns encoded before."""
    data = source.encode("utf-8", "surrogatepass")
    head = job_header(kind, data, function.encode("utf-8", "replace"), rows, len(columns), memory)
    return [head, *(piece for column in columns for piece in column)]


def encode_call(
    source: str,
    function: str,
    columns: Sequence[Sequence[Any] | np.ndarray[Any, Any]],
    rows: int,
    kind: int = CALL,
) -> list[bytes]:
    """The pieces of a call (CALL or ROWS); TypeError or ValueError for columns that are none."""
    for number, column in enumerate(columns):
        if len(column) != rows:
            raise ValueError(f"column {number} has {len(column)} rows, not {rows}")
    return encode_job(kind, source, function, rows, [encode_column(c) for c in columns])
