"""Rows in JSON: one object a line, or an array of objects.

A block of lines goes to Arrow's reader, which parses in compiled code and makes Python values only
of the columns that are wanted. What it gives stands only where it is what Python's `json` would
have given: plain texts, conditions, numbers that a float64 holds exactly, and lists of these.
A block with anything else (objects within rows, columns of mixed types, infinite numbers, lone
surrogates, a broken line) is read again line by line by `json`, which also says what is wrong with
which line. Texts that look like dates stay texts. Arrow recurses over nested values in C++: a line
with many brackets never reaches it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from derl_runtime.data.blocks import BLOCK_BYTES, BLOCK_ROWS, Block, Wanted
from derl_runtime.data.places import Opened, Place, opened
from derl_runtime.data.problems import BadRow, DataError, DataProblem, failed

_BOM = b"\xef\xbb\xbf"
_SPACE = b" \t\r\n"
# So many brackets in one line are read by Python, which knows when it is too deep.
_MOST_BRACKETS = 500
_BUT_BRACKETS = bytes(set(range(256)) - set(b"[{\n"))
_EXACT = float(1 << 53)
# An escape that is cut is told of where it begins, so far from the end.
_ESCAPE = 12
# After so many blocks in succession that Arrow could not give, it is not asked again.
_PATIENCE = 3


def json_blocks(place: Place, wanted: Wanted, bad: BadRow) -> Iterator[Block]:
    """The rows of a file of JSON, by its first sign: lines of objects, or an array."""
    with opened(place) as file:
        head = file.file.read(BLOCK_BYTES).removeprefix(_BOM)
        if place.kind == ".json" and head.lstrip(_SPACE)[:1] == b"[":
            yield from _array(file, head, place, wanted, bad)
        else:
            yield from _lines(file, head, place, wanted, bad)


def _lines(file: Opened, head: bytes, place: Place, wanted: Wanted, bad: BadRow) -> Iterator[Block]:
    reader = _Lines(place.name, wanted, bad)
    begun: list[bytes] = []
    for piece in chain([head], iter(lambda: file.file.read(BLOCK_BYTES), b"")):
        end = piece.rfind(b"\n") + 1
        if not end:
            begun.append(piece)
            continue
        yield from reader.blocks(b"".join([*begun, piece[:end]]), file.share)
        begun = [piece[end:]]
    yield from reader.blocks(b"".join(begun), 1.0)


class _Lines:
    """Blocks of lines of one file, and how far it is read."""

    def __init__(self, name: str, wanted: Wanted, bad: BadRow) -> None:
        self.name, self.wanted, self.bad = name, wanted, bad
        self.line = 1
        self.refused = 0
        self.texts: dict[str, pa.DataType] = {}

    def blocks(self, raw: bytes, share: float) -> Iterator[Block]:
        """The rows of whole lines, where there are any."""
        if not raw:
            return
        found = self._by_arrow(raw) if self.refused < _PATIENCE else None
        if found is None:
            self.refused += 1
            found = self._by_line(raw)
        else:
            self.refused = 0
        self.line += raw.count(b"\n")
        if found.rows:
            yield replace(found, share=share)

    def _by_arrow(self, raw: bytes) -> Block | None:
        signs = raw.translate(None, _BUT_BRACKETS)
        objects = _objects(raw)
        # Arrow 26 dies of a null where the first object belongs.
        if objects is None or max(map(len, signs.split(b"\n"))) > _MOST_BRACKETS:
            return None
        try:
            table = self._parsed(raw)
            names = tuple(table.column_names)
            dated = {f.name: _as_text(f.type) for f in table.schema if _is_time(f.type)}
            if dated:
                self.texts |= dated
                table = self._parsed(raw)
            if table.num_rows != objects:
                return None
            chosen = [name for name in names if self.wanted is None or name in self.wanted]
            columns = {name: _exactly(table[name]) for name in chosen}
        except (pa.ArrowException, UnicodeDecodeError):
            return None  # what is wrong with it is found line by line
        if None in columns.values():
            return None
        return Block(columns, table.num_rows, names)

    def _parsed(self, raw: bytes) -> pa.Table:
        schema = pa.schema(self.texts) if self.texts else None
        return pj.read_json(
            pa.py_buffer(raw),
            read_options=pj.ReadOptions(block_size=max(1 << 20, len(raw) // 2)),
            parse_options=pj.ParseOptions(explicit_schema=schema),
        )

    def _by_line(self, raw: bytes) -> Block:
        rows = _Rows(self.wanted)
        for number, line in enumerate(raw.split(b"\n"), start=self.line):
            try:
                row = _row(self.name, number, line)
            except DataError as error:
                self.bad(error.problem)
                continue
            if row is not None:
                rows.add(row)
        return rows.block()


def _objects(raw: bytes) -> int | None:
    """How many lines begin an object; None where one holds something else."""
    lines = [line for line in raw.split(b"\n") if line and not line.isspace()]
    return len(lines) if all(line[:1] == b"{" for line in lines) else None


def _is_time(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind):
        return _is_time(kind.value_type)
    return bool(pa.types.is_temporal(kind))


def _as_text(kind: pa.DataType) -> pa.DataType:
    return pa.list_(_as_text(kind.value_type)) if pa.types.is_list(kind) else pa.string()


def _exactly(column: pa.ChunkedArray) -> Any:
    """The column where its values are those that `json` reads; None otherwise."""
    kind = column.type
    # Texts may be no UTF-8, and lists of null alone come out of Arrow 26 shorter than they say.
    column.validate(full=True)
    plain = (pa.types.is_null, pa.types.is_boolean, pa.types.is_string, pa.types.is_int64)
    if any(is_one(kind) for is_one in plain):
        return column
    if pa.types.is_float64(kind):
        ends = pc.min_max(column).as_py()
        inside = ends["min"] is None or (ends["min"] > -_EXACT and ends["max"] < _EXACT)
        return column if inside else None
    if pa.types.is_list(kind):
        inner = pa.chunked_array([c.flatten() for c in column.chunks], kind.value_type)
        return None if _exactly(inner) is None else column
    return None


class _Rows:
    """Rows as they come, turned into columns."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.columns: dict[str, list[Any]] = {}
        self.names: dict[str, None] = {}
        self.rows = 0

    def add(self, row: dict[str, Any]) -> None:
        """One more row; a key that it lacks gives None."""
        columns, rows = self.columns, self.rows
        self.names.update(dict.fromkeys(row))
        for name, value in row.items():
            if self.wanted is not None and name not in self.wanted:
                continue
            if name not in columns:
                columns[name] = [None] * rows
            columns[name].append(value)
        self.rows = rows = rows + 1
        for values in columns.values():
            if len(values) < rows:
                values.append(None)

    def block(self) -> Block:
        """What was added."""
        return Block(dict(self.columns), self.rows, tuple(self.names))


def _row(path: str, line: int, raw: bytes) -> dict[str, Any] | None:
    """The object on one line, None for a blank one; raises DataError."""
    fix = "fix or drop the line"
    try:
        text = raw.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        message = f"not UTF-8: {error.reason} at byte {error.start + 1} of the line"
        raise failed(path, message, "save the file as UTF-8", line) from error
    if not text:
        return None
    try:
        row = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        message = f"not valid JSON: {error.msg} at column {error.colno}"
        raise failed(path, message, fix, line) from error
    except RecursionError as error:
        raise failed(path, "not valid JSON: nested too deeply", fix, line) from error
    except ValueError as error:  # an integer of more digits than Python converts
        raise failed(path, f"not valid JSON: {error}", fix, line) from error
    if not isinstance(row, dict):
        raise failed(path, _no_object(row), "write one object a line", line)
    return row


_DECODER = json.JSONDecoder()


def _no_object(row: object) -> str:
    found = {list: "a list", str: "a string", type(None): "null"}.get(type(row), "a value")
    return f"expected a JSON object, found {found}"


def _array(file: Opened, head: bytes, place: Place, wanted: Wanted, bad: BadRow) -> Iterator[Block]:
    """The objects of an array, which is read piece by piece."""
    text = _Text(file.file, head, place.name)
    text.skip("[")
    rows = _Rows(wanted)
    size = 0
    while text.peek() != "]":
        line = text.line
        before = text.taken
        row = text.value()
        if isinstance(row, dict):
            rows.add(row)
        else:
            bad(DataProblem(place.name, line, _no_object(row), "hold objects alone"))
        size += text.taken - before
        if text.peek() == ",":
            text.skip(",")
            if text.peek() == "]":
                raise text.error("a comma before the end of the array")
        elif text.peek() != "]":
            raise text.error("expected a comma or ] after a row")
        if size > BLOCK_BYTES or rows.rows >= BLOCK_ROWS:
            yield replace(rows.block(), share=file.share)
            rows, size = _Rows(wanted), 0
    text.skip("]")
    if text.peek():
        raise text.error("something follows the array")
    if rows.rows:
        yield rows.block()


class _Text:
    """JSON text that is read on when a value does not end in what is there."""

    def __init__(self, file: Any, head: bytes, name: str) -> None:
        self.file, self.name, self.rest = file, name, head
        self.text, self.at, self.line, self.taken = "", 0, 1, 0
        self._more()

    def _more(self) -> bool:
        raw = self.rest + self.file.read(BLOCK_BYTES)
        if not raw:
            return False
        whole = raw
        for cut in range(4):  # the last character may have its other bytes in the next piece
            whole = raw[: len(raw) - cut]
            try:
                more = whole.decode("utf-8")
                break
            except UnicodeDecodeError as error:
                if len(whole) - error.start > 4 or cut == 3:
                    message = f"not UTF-8: {error.reason}"
                    raise failed(self.name, message, "save the file as UTF-8") from error
        self.rest = raw[len(whole) :]
        self.text, self.at = self.text[self.at :] + more, 0
        return bool(more)

    def peek(self) -> str:
        """The next character that is no space; the empty text at the end."""
        while True:
            while self.at < len(self.text) and self.text[self.at] in " \t\r\n":
                self.line += self.text[self.at] == "\n"
                self.at += 1
            if self.at < len(self.text):
                return self.text[self.at]
            if not self._more():
                return ""

    def skip(self, sign: str) -> None:
        """Go on behind a sign."""
        if self.peek() != sign:
            raise self.error(f"expected {sign}")
        self.at += 1

    def value(self) -> Any:
        """The next value."""
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self.text, self.at)
            except json.JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated") or error.pos >= len(self.text) - _ESCAPE
                if cut and self._more():
                    continue
                raise self.error(error.msg, error.pos) from error
            except RecursionError as error:
                raise self.error("nested too deeply") from error
            except ValueError as error:
                raise self.error(str(error)) from error
            if end == len(self.text) and self._more():
                continue  # a number may go on
            self.line += self.text.count("\n", self.at, end)
            self.taken += end - self.at
            self.at = end
            return value

    def error(self, message: str, at: int | None = None) -> Exception:
        """What is wrong here."""
        line = self.line + (0 if at is None else self.text.count("\n", self.at, at))
        return failed(self.name, f"not valid JSON: {message}", "fix the array", line)
