"""Writing rows: JSON lines and Parquet, whole or not at all."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from derl_runtime.data.places import JSON_SUFFIXES, PARQUET_SUFFIXES
from derl_runtime.data.problems import failed, reason

_KINDS = "use a .jsonl file (one JSON object a line) or a .parquet file"
Table = Mapping[str, Sequence[Any]]


def write_rows(path: str | os.PathLike[str], columns: Table) -> None:
    """Write columns of equal length as JSON lines or Parquet, whole or not at all.

    NumPy arrays are welcome; NaN is written as null. Raises DataError when the file cannot be
    written or a value has no place in its format, and ValueError when the lengths differ.
    """
    write_batches(path, [columns])


def write_batches(path: str | os.PathLike[str], batches: Iterable[Table]) -> None:
    """`write_rows` of rows that come in batches with the same columns."""
    path = Path(path)
    kind = path.suffix.lower()
    write: Callable[[Path, Iterator[Table]], None]
    if kind in PARQUET_SUFFIXES:
        write = _write_parquet
    elif kind in JSON_SUFFIXES:
        write = _write_json_lines
    else:
        raise failed(path, f"unknown kind of data file {kind!r}", _KINDS)
    with replacing(path) as unfinished:
        write(unfinished, _even(batches))


def _even(batches: Iterable[Table]) -> Iterator[Table]:
    for columns in batches:
        lengths = {name: len(values) for name, values in columns.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns differ in length: {lengths}")
        yield columns


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its place when the block ends well and vanishes otherwise."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield unfinished
        os.replace(unfinished, path)
    except OSError as error:
        raise failed(path, f"cannot write: {reason(error)}", "check folder and rights") from error
    except UnicodeEncodeError as error:
        message = "cannot write: a text holds characters that are no Unicode (a lone surrogate)"
        raise failed(path, message, "write .jsonl, which can escape them") from error
    except _NotWritable as error:
        raise failed(path, f"cannot write: {error}", "drop the value or the column") from error
    finally:
        unfinished.unlink(missing_ok=True)


class _NotWritable(Exception):
    """A value the format has no place for."""


def _write_json_lines(path: Path, batches: Iterator[Table]) -> None:
    before = 0
    with path.open("w", encoding="ascii", newline="\n") as file:
        for columns in batches:
            lists = [_plain(values) for values in columns.values()]
            for number, row in enumerate(zip(*lists, strict=True), start=1):
                values = dict(zip(columns, map(_without_nan, row), strict=True))
                try:
                    file.write(json.dumps(values, allow_nan=False) + "\n")
                except (TypeError, ValueError) as error:
                    raise _NotWritable(
                        f"row {before + number} does not fit JSON ({error})"
                    ) from error
            before += len(lists[0]) if lists else 0


def _plain(values: Sequence[Any]) -> list[Any]:
    """NumPy arrays (and lists of NumPy values) as Python values."""
    whole: list[Any] = values.tolist() if hasattr(values, "tolist") else list(values)
    return [value.tolist() if hasattr(value, "tolist") else value for value in whole]


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return None if math.isnan(value) else value
    return [_without_nan(item) for item in value] if isinstance(value, list | tuple) else value


def _write_parquet(path: Path, batches: Iterator[Table]) -> None:
    writer = None
    with path.open("wb") as file:
        try:
            for columns in batches:
                table = _arrow(columns, None if writer is None else writer.schema)
                writer = writer or pq.ParquetWriter(file, table.schema)
                writer.write_table(table)
        finally:
            if writer is not None:
                writer.close()


def _arrow(columns: Table, schema: pa.Schema | None) -> pa.Table:
    arrays = {}
    for name, values in columns.items():
        kind = None if schema is None else schema.field(name).type
        try:
            # from_pandas: NaN becomes null
            arrays[name] = pa.array(values, kind, from_pandas=True)
        except pa.ArrowException as error:
            raise _NotWritable(f"column {name!r} does not fit Parquet ({error})") from error
    return pa.table(arrays)
