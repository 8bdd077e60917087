"""Columns out of what libraries hold rows in: tables of Arrow, frames of pandas and polars, lists
of rows. None of these libraries is imported; what is given says by its methods what it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from derl_runtime.reading import ColumnError

_KINDS = "a mapping of columns, an Arrow table, a frame of pandas or polars, or a list of rows"


def as_columns(data: Any) -> Mapping[str, Any]:
    """The columns of some rows by name; a mapping is what it is.

    Raises ColumnError for what holds no rows.

    >>> as_columns([{"a": 1}, {"a": 2, "b": "x"}])
    {'a': [1, 2], 'b': [None, 'x']}
    """
    if isinstance(data, Mapping):
        return data
    if hasattr(data, "column_names") and hasattr(data, "column"):  # pyarrow, datasets
        return {str(name): _column(data, name) for name in data.column_names}
    if hasattr(data, "schema") and hasattr(data, "num_rows"):  # a record batch
        return {name: data.column(name) for name in data.schema.names}
    if hasattr(data, "columns") and hasattr(data, "__getitem__"):
        return {str(name): _series(data[name]) for name in data.columns}
    if isinstance(data, list | tuple) and all(isinstance(row, Mapping) for row in data):
        names = dict.fromkeys(str(name) for row in data for name in row)
        return {name: [row.get(name) for row in data] for name in names}
    raise ColumnError(f"expected {_KINDS}, not {type(data).__name__}")


def _column(table: Any, name: str) -> Any:
    held = getattr(table, "data", table)  # a dataset of Hugging Face keeps its table there
    return table.column(name) if held is table else table[name]


def _series(series: Any) -> Any:
    """One column of a frame: Arrow's from polars, NumPy's or a list from pandas, None for gaps."""
    if hasattr(series, "to_arrow"):
        return series.to_arrow()
    if getattr(series.dtype, "kind", "O") in "biuf" and hasattr(series.dtype, "char"):
        return series.to_numpy()
    plain = series.astype(object)
    return plain.where(series.notna(), None).tolist()
