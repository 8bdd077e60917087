"""Texts and lists that a function gives: bounded, plain, the same checks on both sides of the wall.

The worker encodes what was declared; the host, which believes nothing, decodes only bytes that such
a value has: a kind, then UTF-8, 64-bit floats, bytes of 0 and 1, or lengths and UTF-8.
"""

from __future__ import annotations

import math
import struct
from array import array
from typing import Any

from .outcome import Failed

LONGEST_VALUE = 1 << 16
"""Bytes of one text, or of one list, at most."""
LONGEST_LIST = 4096
TEXT, NUMBERS, TRUTHS, TEXTS = b"t", b"N", b"B", b"T"

_COUNT = struct.Struct("<H")
_LENGTH = struct.Struct("<I")


class NoAnswer(Exception):
    """Bytes that are no text and no list."""


def kind_of(returns: str) -> bytes:
    """The kind of answer that a declared type has; empty for a number or a bool.

    >>> kind_of("list[number[0, 1]]?"), kind_of("text"), kind_of("bool")
    (b'N', b't', b'')
    """
    if returns.startswith("text"):
        return TEXT
    if returns.startswith("list["):
        item = returns[5:]
        return TEXTS if item[0] == "t" else NUMBERS if item[0] == "n" else TRUTHS
    return b""


def encode(kind: bytes, value: Any, what: str) -> bytes:
    """A text or a list as bytes, held to its kind; raises Failed, whose message names `what`.

    Only exact types pass: what is derived from them may say anything of itself.
    """
    wanted = str if kind == TEXT else list
    if type(value) is not wanted:
        raise Failed("protocol", f"{what} is a value of type {type(value).__name__}")
    if len(value) > (LONGEST_VALUE if kind == TEXT else LONGEST_LIST):
        raise Failed("protocol", f"{what} is too long: {len(value)}")
    data = _list(kind, value, what) if isinstance(value, list) else _text(value, what)
    if len(data) > LONGEST_VALUE:
        raise Failed("protocol", f"{what} has {len(data)} bytes; at most {LONGEST_VALUE} are read")
    return kind + data


def _text(value: Any, what: str) -> bytes:
    if type(value) is not str:
        raise Failed("protocol", f"{what} holds a value of type {type(value).__name__}")
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise Failed("protocol", f"{what} holds a lone surrogate") from None


def _list(kind: bytes, items: list[Any], what: str) -> bytes:
    if kind == TEXTS:
        texts = [_text(item, what) for item in items]
        return b"".join((_COUNT.pack(len(texts)), *(_LENGTH.pack(len(t)) for t in texts), *texts))
    if kind == TRUTHS:
        odd = [item for item in items if type(item) is not bool]
        if odd:
            raise Failed("protocol", f"{what} holds a value of type {type(odd[0]).__name__}")
        return bytes(items)
    return array("d", [_number(item, what) for item in items]).tobytes()


def _number(value: Any, what: str) -> float:
    if type(value) not in (float, int, bool):
        raise Failed("protocol", f"{what} holds a value of type {type(value).__name__}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Failed("nonfinite", f"{what} holds a value that is NaN or infinite")
    return number


def decode(data: bytes) -> tuple[bytes, Any]:
    """The kind and the value of some bytes; raises NoAnswer."""
    kind, body = data[:1], data[1:]
    if len(body) > LONGEST_VALUE:
        raise NoAnswer("a value is too long")
    if kind == TEXT:
        return kind, _decoded(body)
    if kind == TEXTS:
        return kind, _texts(body)
    if kind == TRUTHS:
        if len(body) > LONGEST_LIST or body.strip(b"\x00\x01"):
            raise NoAnswer("a list of bools holds something else")
        return kind, [b == 1 for b in body]
    if kind == NUMBERS:
        if len(body) % 8 or len(body) > LONGEST_LIST * 8:
            raise NoAnswer("a list of numbers has another length")
        numbers = array("d", body).tolist()
        if not all(map(math.isfinite, numbers)):
            raise NoAnswer("a list holds a value that is NaN or infinite")
        return kind, numbers
    raise NoAnswer("an unknown kind of value")


def _texts(body: bytes) -> list[str]:
    if len(body) < _COUNT.size:
        raise NoAnswer("a list of texts ends early")
    (count,) = _COUNT.unpack_from(body)
    at = _COUNT.size + count * _LENGTH.size
    if count > LONGEST_LIST or at > len(body):
        raise NoAnswer("a list of texts ends early")
    found = []
    for (length,) in _LENGTH.iter_unpack(body[_COUNT.size : at]):
        if at + length > len(body):
            raise NoAnswer("a list of texts ends early")
        found.append(_decoded(body[at : at + length]))
        at += length
    if at != len(body):
        raise NoAnswer("a list of texts has surplus bytes")
    return found


def _decoded(data: bytes) -> str:
    try:
        return str(data, "utf-8")
    except UnicodeDecodeError:
        raise NoAnswer("a text is no UTF-8") from None
