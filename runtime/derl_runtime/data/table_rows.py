"""Rows of tables: CSV, Parquet, Arrow (Feather)."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from derl_runtime.data.blocks import BLOCK_BYTES, BLOCK_ROWS, Block, Wanted, rows_at_once
from derl_runtime.data.places import Place, opened
from derl_runtime.data.problems import BadRow, DataProblem, failed

_CELL_BYTES = 1 << 30
# Numbers as programs write them: another spelling ("007", "1.50") is a text, and stays one.
_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]*)")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.0|\.[0-9]*[1-9])?(?:[eE][+-]?[0-9]+)?")
_CONDITIONS = {"true": True, "false": False, "True": True, "False": False}


def csv_blocks(place: Place, wanted: Wanted, bad: BadRow) -> Iterator[Block]:
    """The rows of a CSV file with a header; an empty cell is no value.

    A column is of numbers or conditions where all its cells are, else of texts: that is seen by
    reading the file once before.
    """
    kinds = _csv_kinds(place)
    rows: list[list[str]] = []
    size = 0
    for header, row, share in _csv_rows(place, bad):
        rows.append(row)
        size += sum(map(len, row))
        if size > BLOCK_BYTES or len(rows) >= BLOCK_ROWS:
            yield _csv_block(header, rows, kinds, wanted, share())
            rows, size = [], 0
    if rows:
        yield _csv_block(header, rows, kinds, wanted, 1.0)


def _csv_block(
    header: Sequence[str], rows: list[list[str]], kinds: Sequence[Callable[[str], Any]],
    wanted: Wanted, share: float,
) -> Block:  # fmt: skip
    columns = {
        name: [None if row[k] == "" else kinds[k](row[k]) for row in rows]
        for k, name in enumerate(header)
        if wanted is None or name in wanted
    }
    return Block(columns, len(rows), tuple(header), share)


def _csv_rows(
    place: Place, bad: BadRow
) -> Iterator[tuple[list[str], list[str], Callable[[], float]]]:
    """Each row with the header, cells as they are written, and what share of the file is read."""
    csv.field_size_limit(_CELL_BYTES)
    with opened(place) as file:
        reader = csv.reader(io.TextIOWrapper(file.file, "utf-8-sig", newline=""), strict=True)
        try:
            header = next(reader, [])
            _unique(place, header)
            for row in reader:
                if len(row) == len(header):
                    yield header, row, lambda: file.share
                elif row:
                    message = f"has {len(row)} cells, and the header {len(header)}"
                    hint = "fix or drop the row"
                    bad(DataProblem(place.name, reader.line_num, message, hint))
        except UnicodeDecodeError as error:
            message = f"not UTF-8: {error.reason}"
            raise failed(place.name, message, "save the file as UTF-8") from error
        except csv.Error as error:
            message = f"not valid CSV: {error}"
            raise failed(place.name, message, "fix the row", reader.line_num) from error


@lru_cache(maxsize=64)
def _csv_kinds(place: Place) -> tuple[Callable[[str], Any], ...]:
    """What reads the cells of each column."""
    candidates: list[list[Callable[[str], Any]]] = []
    for header, row, _ in _csv_rows(place, lambda problem: None):
        candidates = candidates or [[_whole, _condition, _number] for _ in header]
        for kinds, cell in zip(candidates, row, strict=True):
            if kinds and cell != "":
                kinds[:] = [kind for kind in kinds if _reads(kind, cell)]
    return tuple(kinds[0] if kinds else str for kinds in candidates)


def _reads(kind: Callable[[str], Any], cell: str) -> bool:
    try:
        kind(cell)
    except (KeyError, ValueError):
        return False
    return True


def _whole(cell: str) -> int:
    if _WHOLE.fullmatch(cell) is None:
        raise ValueError(cell)
    return int(cell)


def _number(cell: str) -> int | float:
    if _WHOLE.fullmatch(cell):
        return int(cell)
    if _NUMBER.fullmatch(cell) is None:
        raise ValueError(cell)
    return float(cell)


def _condition(cell: str) -> bool:
    return _CONDITIONS[cell]


def _unique(place: Place, names: Sequence[str]) -> None:
    if len(set(names)) < len(names):
        double = next(name for name in names if list(names).count(name) > 1)
        raise failed(place.name, f"two columns are named {double!r}", "rename one of them")


def parquet_blocks(place: Place, wanted: Wanted, bad: BadRow) -> Iterator[Block]:
    """The rows of a Parquet file, page by page: a row group need not fit into memory."""
    with opened(place) as file:
        try:
            source = pq.ParquetFile(file.file, buffer_size=1 << 16, pre_buffer=False)
            names = tuple(source.schema_arrow.names)
            _unique(place, names)
            chosen = [n for n in names if wanted is None or n in wanted]
            done, total = 0, max(1, source.metadata.num_rows)
            read = chosen or list(names[:1])
            # In threads each would keep memory of its own: 30 MB more for two.
            for batch in source.iter_batches(_rows_of(source), columns=read, use_threads=False):
                done += batch.num_rows
                columns = {n: batch.column(n) for n in chosen}
                yield Block(columns, batch.num_rows, names, done / total)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _unreadable(place, "Parquet", error) from error


def _rows_of(source: pq.ParquetFile) -> int:
    """How many rows make a block of the usual size."""
    meta = source.metadata
    size = sum(meta.row_group(k).total_byte_size for k in range(meta.num_row_groups))
    return rows_at_once(int(meta.num_rows), int(size))


def _unreadable(place: Place, kind: str, error: Exception) -> Exception:
    message = f"not a readable {kind} file: {str(error).splitlines()[0]}"
    return failed(place.name, message, "write the file again")


def arrow_blocks(place: Place, wanted: Wanted, bad: BadRow) -> Iterator[Block]:
    """The rows of an Arrow file (Feather) or stream."""
    with opened(place) as file:
        try:
            for batch in _record_batches(file.file):
                names = tuple(batch.schema.names)
                _unique(place, names)
                chosen = [n for n in names if wanted is None or n in wanted]
                count = rows_at_once(batch.num_rows, batch.nbytes)
                for start in range(0, batch.num_rows, count):
                    part = batch.slice(start, count)
                    yield Block(
                        {n: part.column(n) for n in chosen}, part.num_rows, names, file.share
                    )
        except (pa.ArrowException, OSError, ValueError) as error:
            raise _unreadable(place, "Arrow", error) from error


def _record_batches(file: IO[bytes]) -> Iterator[pa.RecordBatch]:
    head = file.read(6)
    file.seek(0)
    if head != b"ARROW1":
        yield from pa.ipc.open_stream(file)
        return
    source = pa.ipc.open_file(file)
    for k in range(source.num_record_batches):
        yield source.get_batch(k)
