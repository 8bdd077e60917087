"""Reading and writing rows: JSON lines and Parquet, as columns of Python values."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from derl_runtime import conversations
from derl_runtime.dumps import recognise

JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
PARQUET_SUFFIXES = (".parquet", ".pq")
_KINDS = "use a .jsonl file (one JSON object a line) or a .parquet file"

Columns = dict[str, list[Any]]


@dataclass(frozen=True, slots=True)
class DataProblem:
    """What is wrong with a data file; `line` counts from 1 and is None where lines mean nothing."""

    path: str
    line: int | None
    message: str
    hint: str

    def __str__(self) -> str:
        at = self.path if self.line is None else f"{self.path}:{self.line}"
        return f"{at}: {self.message}; {self.hint}"


class DataError(Exception):
    """A data file that cannot be read or written; `problem` says where and what to do."""

    def __init__(self, problem: DataProblem) -> None:
        super().__init__(problem)
        self.problem = problem

    def __str__(self) -> str:
        return str(self.problem)


def _error(path: Path, message: str, hint: str, line: int | None = None) -> DataError:
    return DataError(DataProblem(str(path), line, message, hint))


def read_rows(path: str | os.PathLike[str]) -> Columns:
    """The rows of a file as columns of equal length, in the order their names first occur.

    A key that a row lacks gives None. Blank lines are skipped. The JSON literals NaN and Infinity
    become the floats they name: they are the reader's to report. Raises DataError for a file that
    cannot be read, is no such file, or holds no rows; nothing is skipped in silence.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if path.is_dir():
        raise _error(path, "is a directory", _KINDS)
    if kind not in JSON_SUFFIXES + PARQUET_SUFFIXES:
        raise _error(path, f"unknown kind of data file {kind!r}", _KINDS)
    try:
        columns = _read_parquet(path) if kind in PARQUET_SUFFIXES else _read_json_lines(path)
    except FileNotFoundError as error:
        raise _error(path, "no such file", "check the path") from error
    except OSError as error:
        raise _error(path, _reason(error), "check that the file can be read") from error
    if not columns:
        raise _error(path, "holds no rows", "give at least one row with at least one column")
    return columns


def read_logs(path: str | os.PathLike[str], said: Callable[[str], None] | None = None) -> Columns:
    """`read_rows` of logged rollouts: dumps of trainers under our names, conversations as columns.

    A folder is its data files one after the other, in the order of their numbers. `said` gets a
    note of what a dump was taken for; message lists become the columns of suite `chat`.
    """
    path = Path(path)
    files = _files_of(path) if path.is_dir() else [path]
    columns, note = recognise(_joined([read_rows(file) for file in files]))
    if note is not None and said is not None:
        said(f"{path}: {note}")
    return {name: list(v) for name, v in conversations.read_logs(columns).items()}


def _files_of(folder: Path) -> list[Path]:
    """The data files of a folder, as its trainer numbered them."""
    kinds = JSON_SUFFIXES + PARQUET_SUFFIXES
    found = [f for f in folder.iterdir() if f.suffix.lower() in kinds and f.is_file()]
    if not found:
        raise _error(folder, "is a folder without data files", _KINDS)
    return sorted(found, key=lambda f: ([int(n) for n in re.findall(r"[0-9]+", f.stem)], f.name))


def _joined(parts: Sequence[Columns]) -> Columns:
    """Rows of several files as one; a column that a file lacks gives None there."""
    if len(parts) == 1:
        return parts[0]
    names = dict.fromkeys(name for part in parts for name in part)
    joined: Columns = {name: [] for name in names}
    for part in parts:
        rows = len(next(iter(part.values())))
        for name, values in joined.items():
            values += part.get(name) or [None] * rows
    return joined


def _reason(error: OSError) -> str:
    return (error.strerror or str(error) or type(error).__name__).lower()


def _read_json_lines(path: Path) -> Columns:
    columns: Columns = {}
    rows = 0
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            row = _json_row(path, number, raw)
            if row is None:
                continue
            for name, value in row.items():
                if name not in columns:
                    columns[name] = [None] * rows
                columns[name].append(value)
            rows += 1
            if len(row) < len(columns):
                for values in columns.values():
                    if len(values) < rows:
                        values.append(None)
    return columns


def _json_row(path: Path, line: int, raw: bytes) -> dict[str, Any] | None:
    """The object on one line, or None for a blank one."""
    fix = "fix or drop the line"
    try:
        text = raw.decode("utf-8-sig" if line == 1 else "utf-8").strip()
    except UnicodeDecodeError as error:
        message = f"not UTF-8: {error.reason} at byte {error.start + 1} of the line"
        raise _error(path, message, "save the file as UTF-8", line) from error
    if not text:
        return None
    try:
        row = json.loads(text)
    except json.JSONDecodeError as error:
        message = f"not valid JSON: {error.msg} at column {error.colno}"
        raise _error(path, message, fix, line) from error
    except RecursionError as error:
        raise _error(path, "not valid JSON: nested too deeply", fix, line) from error
    except ValueError as error:  # an integer of more digits than Python converts
        raise _error(path, f"not valid JSON: {error}", fix, line) from error
    if not isinstance(row, dict):
        found = {list: "a list", str: "a string", type(None): "null"}.get(type(row), "a value")
        message = f"expected a JSON object, found {found}"
        raise _error(path, message, "write one object a line", line)
    return row


def _read_parquet(path: Path) -> Columns:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with path.open("rb") as file:  # first, so that a missing or locked file is an OSError of ours
        try:
            source = pq.ParquetFile(file)
            names = source.schema_arrow.names
            if len(set(names)) < len(names):
                double = next(name for name in names if names.count(name) > 1)
                raise _error(path, f"two columns are named {double!r}", "rename one of them")
            table = source.read()
            return {name: table[name].to_pylist() for name in names if table.num_rows}
        except (pa.ArrowException, OSError, ValueError) as error:
            message = f"not a readable Parquet file: {str(error).splitlines()[0]}"
            raise _error(path, message, "write the file again") from error


def write_rows(path: str | os.PathLike[str], columns: Mapping[str, Sequence[Any]]) -> None:
    """Write columns of equal length as JSON lines or Parquet, whole or not at all.

    NumPy arrays are welcome; NaN is written as null. Raises DataError when the file cannot be
    written or a value has no place in its format, and ValueError when the lengths differ.
    """
    path = Path(path)
    kind = path.suffix.lower()
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"columns differ in length: {lengths}")
    write: Callable[[Path, Mapping[str, Sequence[Any]]], None]
    if kind in PARQUET_SUFFIXES:
        write = _write_parquet
    elif kind in JSON_SUFFIXES:
        write = _write_json_lines
    else:
        raise _error(path, f"unknown kind of data file {kind!r}", _KINDS)
    with _replacing(path) as unfinished:
        write(unfinished, columns)


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its place when the block ends well and vanishes otherwise."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield unfinished
        os.replace(unfinished, path)
    except OSError as error:
        raise _error(path, f"cannot write: {_reason(error)}", "check folder and rights") from error
    except UnicodeEncodeError as error:
        message = "cannot write: a text holds characters that are no Unicode (a lone surrogate)"
        raise _error(path, message, "write .jsonl, which can escape them") from error
    except _NotWritable as error:
        raise _error(path, f"cannot write: {error}", "drop the value or the column") from error
    finally:
        unfinished.unlink(missing_ok=True)


class _NotWritable(Exception):
    """A value the format has no place for."""


def _write_json_lines(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    lists = [_plain(values) for values in columns.values()]
    with path.open("w", encoding="ascii", newline="\n") as file:
        for number, row in enumerate(zip(*lists, strict=True), start=1):
            values = dict(zip(columns, map(_without_nan, row), strict=True))
            try:
                file.write(json.dumps(values, allow_nan=False) + "\n")
            except (TypeError, ValueError) as error:
                raise _NotWritable(f"row {number} does not fit JSON ({error})") from error


def _plain(values: Sequence[Any]) -> list[Any]:
    """NumPy arrays (and lists of NumPy values) as Python values."""
    whole: list[Any] = values.tolist() if hasattr(values, "tolist") else list(values)
    return [value.tolist() if hasattr(value, "tolist") else value for value in whole]


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return None if math.isnan(value) else value
    return [_without_nan(item) for item in value] if isinstance(value, list | tuple) else value


def _write_parquet(path: Path, columns: Mapping[str, Sequence[Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays = {}
    for name, values in columns.items():
        try:
            arrays[name] = pa.array(values, from_pandas=True)  # from_pandas: NaN becomes null
        except pa.ArrowException as error:
            raise _NotWritable(f"column {name!r} does not fit Parquet ({error})") from error
    with path.open("wb") as file:
        pq.write_table(pa.table(arrays), file)
