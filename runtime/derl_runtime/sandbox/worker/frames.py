"""The frames between host and worker: exact lengths, plain bytes, nothing that is executed.

A job is written by the host and read by the worker; a reply the other way round, and the host
believes nothing of it: what is longer, shorter or other than it has to be is refused.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from . import answers

# Kinds of jobs.
DECLARE, CALL, PROBE = 0, 1, 2
# A submitted program that its tests ask, those tests, and a program run as a script on an input.
PROGRAM, EXAM, SCRIPT = 3, 4, 5
# A call that answers row by row, so that what a row does costs that row.
ROWS = 6
# A trusted script that answers lines of text until it is ended.
SERVE = 7
# Status bytes of a reply; the rest name failures.
VALUES, DECLARATIONS = 0, 1
FAILURES = {
    2: "oom",
    3: "violation",
    4: "crash",
    5: "protocol",
    6: "nonfinite",
    7: "compile_error",
    8: "cpu",
}
LONGEST_MESSAGE = 400
LONGEST_DECLARATION = 1 << 16
# Kinds of columns: texts, numbers, truth values; the capital is one list a row.
KINDS = "tnbTNB"

_JOB = struct.Struct("<4sBIIIHQ")
_MAGIC = b"DERL"
_HEAD = struct.Struct("<BI")
# An answer by rows: the source is loaded, then a record a row, then how it failed where it did.
READY = b"L"
# Of a number its mark and value; of a text or a list its mark and length, then its bytes.
_ROW = struct.Struct("<Bd")
_LONG_ROW = struct.Struct("<BQ")
_PRESENT, _ABSENT, _LONG, _LAST = 0, 1, 2, 255
_SHORT = struct.Struct("<H")
_COUNT = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker does: `kind` over the columns, or an action to probe the walls with."""

    kind: int
    source: str
    function: str
    rows: int
    columns: tuple[Sequence[Any], ...] = ()
    memory: int = 0


class Malformed(Exception):
    """Bytes that are no frame of this protocol."""


def job_header(
    kind: int, source: bytes, function: bytes, rows: int, columns: int, memory: int
) -> bytes:
    """The first bytes of a job; the encoded columns follow."""
    head = _JOB.pack(_MAGIC, kind, len(source), len(function), rows, columns, memory)
    return head + source + function


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.view = memoryview(data)
        self.at = 0

    def take(self, size: int) -> memoryview:
        if size < 0 or self.at + size > len(self.view):
            raise Malformed("a frame ends early")
        piece = self.view[self.at : self.at + size]
        self.at += size
        return piece

    def unpack(self, form: struct.Struct) -> tuple[Any, ...]:
        return form.unpack(self.take(form.size))

    def array(self, code: str, count: int) -> array[Any]:
        out = array(code)
        out.frombytes(self.take(count * 8))
        return out

    def text(self, size: int) -> str:
        return _decoded(self.take(size))

    def end(self) -> None:
        if self.at != len(self.view):
            raise Malformed("a frame has surplus bytes")


def _decoded(data: memoryview) -> str:
    try:
        return str(data, "utf-8", "surrogatepass")
    except UnicodeDecodeError:
        raise Malformed("a text is no UTF-8") from None


def decode_job(data: bytes) -> Job:
    """The job in `data`; raises Malformed."""
    reader = _Reader(data)
    magic, kind, source, function, rows, columns, memory = reader.unpack(_JOB)
    if magic != _MAGIC:
        raise Malformed("no job")
    text, name = reader.text(source), reader.text(function)
    decoded = tuple(_column(reader, rows) for _ in range(columns))
    reader.end()
    return Job(kind, text, name, rows, decoded, memory)


def _column(reader: _Reader, rows: int) -> Sequence[Any]:
    kind = chr(reader.take(1)[0])
    if kind not in KINDS:
        raise Malformed(f"unknown kind of column {kind!r}")
    if kind.islower():
        return _VALUES_OF[kind](reader, rows)
    counts = reader.array("q", rows)
    items = _VALUES_OF[kind.lower()](reader, sum(c for c in counts if c > 0))
    out: list[list[Any] | None] = []
    at = 0
    for count in counts:
        out.append(None if count < 0 else list(items[at : at + count]))
        at += max(count, 0)
    return out


def _texts(reader: _Reader, rows: int) -> list[str | None]:
    lengths = reader.array("q", rows)
    data = reader.take(sum(n for n in lengths if n > 0))
    out: list[str | None] = []
    at = 0
    for length in lengths:
        if length < 0:
            out.append(None)
        else:
            out.append(_decoded(data[at : at + length]))
            at += length
    return out


def _numbers(reader: _Reader, rows: int) -> list[float | None]:
    return [None if v != v else v for v in reader.array("d", rows)]


def _truths(reader: _Reader, rows: int) -> list[bool | None]:
    return [None if v != v else v != 0 for v in reader.array("d", rows)]


_VALUES_OF: dict[str, Callable[[_Reader, int], list[Any]]] = {
    "t": _texts,
    "n": _numbers,
    "b": _truths,
}


def escaped(text: str) -> str:
    """A message that can be printed: one line, capped, control characters written out."""
    out = "".join(c if c.isprintable() else _written(c) for c in text[:LONGEST_MESSAGE])
    return out[:LONGEST_MESSAGE]


def _written(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


# Replies, written by the worker.


def values_reply(values: Sequence[float | None]) -> bytes:
    """A value for each row; None is not applicable."""
    numbers = array("d", [0.0 if v is None else v for v in values])
    absent = bytes(1 if v is None else 0 for v in values)
    return _HEAD.pack(VALUES, len(values)) + numbers.tobytes() + absent


def row_record(value: float | bytes | None) -> bytes:
    """The value of one row, as a call that answers row by row sends it.

    A text or a list is given as `answers.encode` has it.
    """
    if isinstance(value, bytes):
        return _LONG_ROW.pack(_LONG, len(value)) + value
    return _ROW.pack(value is None, 0.0 if value is None else value)


def last_record(cls: str, message: str) -> bytes:
    """What ends such an answer early: how the row at hand failed."""
    return bytes((_LAST,)) + failure_reply(cls, message)


def failure_reply(cls: str, message: str) -> bytes:
    """A failure of class `cls` with its message, capped and escaped."""
    status = next(code for code, name in FAILURES.items() if name == cls)
    data = escaped(message).encode("utf-8", "replace")
    return _HEAD.pack(status, len(data)) + data


def declarations_reply(functions: Iterable[Sequence[str]]) -> bytes:
    """The declared functions, each as its strings: name, return type, doc, parameters by twos."""
    listed = list(functions)
    parts = []
    for strings in listed:
        parts.append(_SHORT.pack(len(strings)))
        for string in strings:
            data = string.encode("utf-8", "replace")
            parts += [_SHORT.pack(len(data)), data]
    body = b"".join(parts)
    if len(body) > LONGEST_DECLARATION:
        raise ValueError("the declarations are too long")
    return _HEAD.pack(DECLARATIONS, len(listed)) + body


# Replies, read by the host.


def longest_reply(kind: int, rows: int) -> int:
    """The bytes the longest reply to a job can have."""
    body = rows * 9 if kind in (CALL, ROWS) else LONGEST_DECLARATION if kind == DECLARE else 0
    most = LONGEST_MESSAGE * 4
    return _HEAD.size + 1 + (body + most if kind == ROWS else max(body, most))


def read_failure(data: bytes) -> tuple[str, str] | None:
    """Class and message where `data` is a failure; None where it is something else.

    Raises Malformed.
    """
    if len(data) < _HEAD.size:
        raise Malformed("the reply ends early")
    status, size = _HEAD.unpack_from(data)
    if status in (VALUES, DECLARATIONS):
        return None
    if status not in FAILURES:
        raise Malformed(f"unknown status {status}")
    message = data[_HEAD.size :]
    if len(message) != size or size > LONGEST_MESSAGE * 4:
        raise Malformed("the message has another length than it says")
    return FAILURES[status], escaped(message.decode("utf-8", "replace"))


def read_values(data: bytes, rows: int) -> tuple[memoryview, bytes]:
    """The float64 values and, for each row, whether it is not applicable; raises Malformed."""
    status, count = _HEAD.unpack_from(data)
    if status != VALUES or count != rows:
        raise Malformed(f"{count} values for {rows} rows")
    if len(data) != _HEAD.size + rows * 9:
        raise Malformed("the reply has another length than it says")
    numbers = memoryview(data)[_HEAD.size : _HEAD.size + rows * 8]
    absent = data[_HEAD.size + rows * 8 :]
    if absent.strip(b"\x00\x01"):
        raise Malformed("a mark of absence is neither 0 nor 1")
    return numbers, absent


Record = float | tuple[bytes, Any] | None
"""The value of a row: a number, a text or a list with its kind, or none."""


def read_rows(data: memoryview) -> tuple[list[Record], int, bytes | None]:
    """The values of the whole records of an answer by rows, their bytes, the failure that ends it.

    The failure is None where there is none, or not yet all of it. Raises Malformed.
    """
    values: list[Record] = []
    at, size = 0, _ROW.size
    while at < len(data):
        other = next((k for k in range(at, len(data), size) if data[k] > _ABSENT), len(data))
        end = at + (other - at) // size * size
        values += [None if mark else value for mark, value in _ROW.iter_unpack(data[at:end])]
        at = end
        if other == len(data):
            break
        if data[at] == _LAST:
            return values, at, bytes(data[at + 1 :])
        if data[at] != _LONG:
            raise Malformed("the mark of a row is none")
        if at + size > len(data):
            break
        _, length = _LONG_ROW.unpack_from(data, at)
        if length > answers.LONGEST_VALUE + 1:
            raise Malformed("the value of a row is too long")
        if at + size + length > len(data):
            break
        try:
            values.append(answers.decode(bytes(data[at + size : at + size + length])))
        except answers.NoAnswer as error:
            raise Malformed(str(error)) from None
        at += size + length
    return values, at, None


def read_declarations(data: bytes) -> list[list[str]]:
    """The strings of each declared function; raises Malformed."""
    status, count = _HEAD.unpack_from(data)
    if status != DECLARATIONS:
        raise Malformed("no declarations")
    reader = _Reader(data)
    reader.take(_HEAD.size)
    out: list[list[str]] = []
    for _ in range(count):
        (strings,) = reader.unpack(_SHORT)
        if strings < 3 or strings % 2 == 0:
            raise Malformed("a declaration has too few strings")
        out.append([_string(reader) for _ in range(strings)])
    reader.end()
    return out


def _string(reader: _Reader) -> str:
    (size,) = reader.unpack(_SHORT)
    try:
        return str(reader.take(size), "utf-8")
    except UnicodeDecodeError:
        raise Malformed("a string is no UTF-8") from None
