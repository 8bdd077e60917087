"""Values between a submitted program and its tests: plain data by copy, all else by number.

The two live in processes of their own. What one sends is JSON: numbers, texts, truth values and
None as they are, containers and a few types of the standard library tagged, builtins by name.
Anything else stays where it is and goes over as a number, its *handle*; the other side holds a
stand-in for it (`standin.Far`). A reader builds plain data of exact types and runs nothing.
"""

from __future__ import annotations

import builtins
import json
import math
import os
import struct
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from types import ModuleType
from typing import Any

from .words import words

LONGEST = 16 << 20
_SIZE = struct.Struct("<I")
_PLAIN_INTEGER = 1 << 62
# Builtins that are the same on both sides. None of them runs text or reaches into a frame.
_FUNCTIONS = words(
    "abs all any ascii bin bool bytes bytearray callable chr complex dict divmod enumerate filter "
    "float frozenset hash hex int isinstance issubclass iter len list map max min next oct ord pow "
    "range repr reversed round set slice sorted str sum tuple zip"
)
NAMED = {name: getattr(builtins, name) for name in _FUNCTIONS} | {
    name: value
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, BaseException)
}
_NAMES = {id(value): name for name, value in NAMED.items()}
_TIMES: dict[str, Callable[..., Any]] = {"date": date, "datetime": datetime, "time": time,
                                         "timedelta": timedelta}  # fmt: skip


class Gone(Exception):
    """The other side ended, or sent what is no message."""


def packed(message: Any) -> bytes:
    """A message as bytes; raises ValueError where it is too large."""
    data = json.dumps(message, separators=(",", ":")).encode("ascii")
    if len(data) > LONGEST:
        raise ValueError("a value is too large to be passed on")
    return _SIZE.pack(len(data)) + data


def send(descriptor: int, data: bytes) -> None:
    """Write one message; raises Gone."""
    at = 0
    while at < len(data):
        try:
            at += os.write(descriptor, data[at : at + (1 << 20)])
        except OSError:
            raise Gone from None


def receive(descriptor: int) -> Any:
    """Read one message; raises Gone."""
    (size,) = _SIZE.unpack(_exactly(descriptor, _SIZE.size))
    if size > LONGEST:
        raise Gone
    try:
        return json.loads(_exactly(descriptor, size))
    except (ValueError, RecursionError):
        raise Gone from None


def _exactly(descriptor: int, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        try:
            piece = os.read(descriptor, min(size - len(data), 1 << 20))
        except OSError:
            raise Gone from None
        if not piece:
            raise Gone
        data += piece
    return bytes(data)


class Codec:
    """Writes and reads values for one side; keeps what stays here by its handle."""

    def __init__(
        self, stand_in: Callable[[int, Any, Codec], Any], named: Mapping[str, Any]
    ) -> None:
        self.kept: list[Any] = []
        self.numbers: dict[int, int] = {}
        self.stand_in = stand_in
        self.named = named  # the builtins that the other side may name
        self.saw_nan = False

    def write(self, value: Any) -> Any:
        """The value as it goes over."""
        kind = type(value)
        if value is None or kind is bool or kind is str or kind is float:
            return value
        if kind is int:
            return value if -_PLAIN_INTEGER < value < _PLAIN_INTEGER else ["i", hex(value)]
        writer = _WRITERS.get(kind)
        if writer is not None:
            return writer(self, value)
        if id(value) in _NAMES and NAMED[_NAMES[id(value)]] is value:
            return ["z", _NAMES[id(value)]]
        handle = getattr(kind, "derl_handle", None)
        if handle is not None:  # a stand-in goes back to where it came from
            return ["h", handle(value)]
        return ["m", self.keep(value), *self._told(value)]

    def keep(self, value: Any) -> int:
        """The handle of what stays here."""
        known = self.numbers.get(id(value))
        if known is not None:
            return known
        self.kept.append(value)
        self.numbers[id(value)] = len(self.kept) - 1
        return len(self.kept) - 1

    def _told(self, value: Any) -> list[Any]:
        """What the other side is told of an object that stays here."""
        if isinstance(value, ModuleType):
            return ["module", value.__name__]
        if isinstance(value, type):
            if issubclass(value, BaseException):
                return ["exception", value.__name__, self.ancestors(value)]
            return ["class", value.__name__]
        base = next((t for t in type(value).__mro__ if t in _BASES), None)
        if base is not None:
            return ["object", "", self.write(_BASES[base](value))]
        return ["callable" if callable(value) else "object", ""]

    def ancestors(self, kind: type) -> list[Any]:
        """An exception class: its own ancestors by number and name, then the first builtin one."""
        found: list[Any] = []
        for each in kind.__mro__:
            if each.__module__ == "builtins":
                return [*found, each.__name__]
            found.append([self.keep(each), each.__name__])
        return found

    def read(self, data: Any) -> Any:
        """The value of what came over; raises Gone for what is none."""
        if not isinstance(data, list):
            if isinstance(data, float) and data != data:
                self.saw_nan = True
            if isinstance(data, dict):
                raise Gone
            return data
        try:
            tag, rest = data[0], data[1:]
            if tag == "h":
                return self.kept[rest[0]] if rest[0] >= 0 else None
            if tag == "m":
                return self.stand_in(rest[0], rest[1:], self)
            return _READERS[tag](self, rest)
        except (IndexError, KeyError, TypeError, ValueError, ArithmeticError):
            raise Gone from None


def _pairs(codec: Codec, value: Any) -> list[Any]:
    return [[codec.write(k), codec.write(v)] for k, v in value.items()]


def _items(tag: str) -> Callable[[Codec, Iterable[Any]], list[Any]]:
    return lambda codec, value: [tag, *map(codec.write, value)]


def _mapping(tag: str) -> Callable[[Codec, Any], list[Any]]:
    return lambda codec, value: [tag, *_pairs(codec, value)]


def _when(_: Codec, value: Any) -> list[Any]:
    if type(value) is timedelta:
        return ["T", "timedelta", value.days, value.seconds, value.microseconds]
    names = ("year month day " if isinstance(value, date) else "") + (
        "" if type(value) is date else "hour minute second microsecond"
    )
    return ["T", type(value).__name__, *(getattr(value, name) for name in names.split())]


_WRITERS: dict[type, Callable[[Codec, Any], Any]] = {
    list: _items("l"), tuple: _items("t"), set: _items("s"), frozenset: _items("f"),
    dict: _mapping("d"), defaultdict: _mapping("d"), Counter: _mapping("C"),
    OrderedDict: _mapping("O"),
    deque: lambda c, v: ["q", v.maxlen, *map(c.write, v)],
    bytes: lambda _, v: ["b", v.hex()], bytearray: lambda _, v: ["B", v.hex()],
    complex: lambda _, v: ["c", v.real, v.imag],
    range: lambda c, v: ["r", *map(c.write, (v.start, v.stop, v.step))],
    Decimal: lambda _, v: ["D", str(v)],
    Fraction: lambda _, v: ["F", hex(v.numerator), hex(v.denominator)],
    type(...): lambda _, v: ["e"],
    date: _when, datetime: _when, time: _when, timedelta: _when,
}  # fmt: skip
# What an object of a class of the program is as data, where its class is derived from a plain one.
_BASES: dict[type, Callable[[Any], Any]] = {
    int: int.__int__, float: float.__float__, str: lambda v: "".join(str.__iter__(v)),
    list: lambda v: list(list.__iter__(v)), tuple: lambda v: tuple(tuple.__iter__(v)),
    dict: lambda v: dict(dict.items(v)), set: lambda v: set(set.__iter__(v)),
}  # fmt: skip


def _dict(kind: Callable[[Any], Any]) -> Callable[[Codec, list[Any]], Any]:
    return lambda codec, rest: kind({codec.read(k): codec.read(v) for k, v in rest})


def _decimal(codec: Codec, rest: list[Any]) -> Decimal:
    value = Decimal(rest[0])
    codec.saw_nan |= value.is_nan()
    return value


def _complex(codec: Codec, rest: list[Any]) -> complex:
    value = complex(*rest)
    codec.saw_nan |= math.isnan(value.real) or math.isnan(value.imag)
    return value


_READERS: dict[str, Callable[[Codec, list[Any]], Any]] = {
    "i": lambda _, r: int(r[0], 16),
    "l": lambda c, r: [*map(c.read, r)], "t": lambda c, r: tuple(map(c.read, r)),
    "s": lambda c, r: {*map(c.read, r)}, "f": lambda c, r: frozenset(map(c.read, r)),
    "d": _dict(dict), "C": _dict(Counter), "O": _dict(OrderedDict),
    "q": lambda c, r: deque(map(c.read, r[1:]), r[0]),
    "b": lambda _, r: bytes.fromhex(r[0]), "B": lambda _, r: bytearray.fromhex(r[0]),
    "c": _complex, "r": lambda c, r: range(*map(c.read, r)), "D": _decimal,
    "F": lambda _, r: Fraction(int(r[0], 16), int(r[1], 16)), "e": lambda _, r: ...,
    "T": lambda _, r: _TIMES[r[0]](*r[1:]), "z": lambda c, r: c.named[r[0]],
}  # fmt: skip
