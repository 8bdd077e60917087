"""What restricted source may touch: exact types, listed methods, nothing else.

A refusal is remembered, so that source which swallows every exception is told all the same.
"""

from __future__ import annotations

import collections
import operator
import re
from collections.abc import Callable, Iterable
from types import GeneratorType, SimpleNamespace
from typing import Any

_SCALARS = (str, int, float, bool, type(None))
_DEEPEST = 32

_DICT = "get items keys values pop popitem setdefault update copy clear"
_METHODS: dict[type, frozenset[str]] = {
    kind: frozenset(names.split())
    for kind, names in {
        str: "capitalize casefold center count endswith expandtabs find index isalnum isalpha "
        "isascii isdecimal isdigit isidentifier islower isnumeric isprintable isspace istitle "
        "isupper join ljust lower lstrip partition removeprefix removesuffix replace rfind rindex "
        "rjust rpartition rsplit rstrip split splitlines startswith strip swapcase title upper "
        "zfill",
        list: "append extend insert pop remove index count sort reverse copy clear",
        tuple: "index count",
        dict: _DICT,
        set: "add discard remove pop clear copy union intersection difference "
        "symmetric_difference issubset issuperset isdisjoint update",
        frozenset: "union intersection difference symmetric_difference issubset issuperset "
        "isdisjoint",
        float: "is_integer",
        int: "bit_length bit_count",
        collections.Counter: _DICT + " most_common elements total subtract",
        collections.defaultdict: _DICT,
        re.Pattern: "search match fullmatch findall finditer sub subn split pattern groups",
        re.Match: "group groups groupdict start end span",
    }.items()
}
_READABLE = (
    str,
    list,
    tuple,
    dict,
    range,
    re.Match,
    collections.Counter,
    collections.defaultdict,
)
_WRITABLE = (dict, list, collections.Counter, collections.defaultdict)
_EMPTY: dict[int, int] = {}
_VIEWS: tuple[Iterable[Any], ...] = (_EMPTY.keys(), _EMPTY.values(), _EMPTY.items())
_ITERABLE: frozenset[type] = frozenset(
    [
        str,
        list,
        tuple,
        dict,
        set,
        frozenset,
        range,
        enumerate,
        zip,
        map,
        filter,
        reversed,
        GeneratorType,
        collections.Counter,
        collections.defaultdict,
        *map(type, _VIEWS),
        *(type(iter(v)) for v in (*_VIEWS, "", "é", [], (), set[int](), range(0))),
        type(reversed([])),
        type(reversed({})),
        type(re.finditer("", "")),
        type(collections.Counter().elements()),
    ]
)
_IN_PLACE = {
    "+=": operator.iadd,
    "-=": operator.isub,
    "*=": operator.imul,
    "/=": operator.itruediv,
    "%=": operator.imod,
    "**=": operator.ipow,
    "<<=": operator.ilshift,
    ">>=": operator.irshift,
    "|=": operator.ior,
    "^=": operator.ixor,
    "&=": operator.iand,
    "//=": operator.ifloordiv,
}


class Forbidden(Exception):
    """What restricted source tried and may not do."""


class Guards:
    """The guards of one run; `refused` says what they had to refuse first."""

    def __init__(self, modules: dict[str, SimpleNamespace]) -> None:
        self.refused = ""
        self.modules = modules

    def refuse(self, what: str) -> Forbidden:
        """Remember a refusal, and the exception that tells it."""
        self.refused = self.refused or what
        return Forbidden(what)

    def getattr(self, value: Any, name: str) -> Any:
        """`value.name`, for listed methods of exact types and for modules' listed parts."""
        kind = type(value)
        if kind is SimpleNamespace and type(name) is str and not name.startswith("_"):
            if name in vars(value):
                return vars(value)[name]
            raise self.refuse(f"a module here has no part {name!r}")
        if kind in _METHODS and name in _METHODS[kind]:
            return getattr(value, name)
        raise self.refuse(f"{kind.__name__}.{name} is not available to a primitive")

    def getitem(self, value: Any, key: Any) -> Any:
        """`value[key]`."""
        if type(value) in _READABLE:
            return value[key]
        raise self.refuse(f"a value of type {type(value).__name__} has no items here")

    def getiter(self, value: Any) -> Any:
        """What a loop runs over."""
        if type(value) in _ITERABLE:
            return value
        raise self.refuse(f"a value of type {type(value).__name__} cannot be looped over here")

    def write(self, value: Any) -> Any:
        """The target of an assignment to an item."""
        if type(value) in _WRITABLE:
            return value
        raise self.refuse(f"a value of type {type(value).__name__} cannot be written to")

    def inplace(self, op: str, left: Any, right: Any) -> Any:
        """`left op= right` for a name."""
        if op == "%=":
            return self.modulo(left, right)
        if op not in _IN_PLACE:
            raise self.refuse(f"{op} is not available to a primitive")
        operate: Callable[[Any, Any], Any] = _IN_PLACE[op]
        return operate(left, right)

    def inplace_item(self, value: Any, key: Any, op: str, right: Any) -> None:
        """`value[key] op= right`."""
        target = self.write(value)
        target[key] = self.inplace(op, target[key], right)

    def modulo(self, left: Any, right: Any) -> Any:
        """`left % right`; formatting takes plain values alone."""
        if type(left) in (str, bytes):
            self.plain(right)
        return left % right

    def apply(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        """`function(*args, **kwargs)`; both are exact tuples and dicts by now."""
        return function(*args, **kwargs)

    def unpack(self, value: Any, spec: dict[str, Any], getiter: Any) -> list[Any]:
        """The parts of `value`, nested ones too, for an assignment to several names."""
        parts = list(self.getiter(value))
        if len(parts) >= spec["min_len"]:
            for at, inner in spec["childs"]:
                parts[at] = self.unpack(parts[at], inner, getiter)
        return parts

    def iter_unpack(self, value: Any, spec: dict[str, Any], getiter: Any) -> Iterable[Any]:
        """What a loop over several names runs over."""
        for item in self.getiter(value):
            yield self.unpack(item, spec, getiter)

    def plain(self, value: Any, depth: int = 0) -> Any:
        """`value` where it is plain data all through: its text then tells nothing else."""
        kind = type(value)
        if kind in _SCALARS:
            return value
        if depth > _DEEPEST:
            raise self.refuse("data that nests deeper than 32 is not turned into text")
        if kind in (list, tuple, set, frozenset):
            for item in value:
                self.plain(item, depth + 1)
            return value
        if kind in (dict, collections.Counter, collections.defaultdict):
            for key, item in value.items():
                self.plain(key, depth + 1)
                self.plain(item, depth + 1)
            return dict(value)
        raise self.refuse(f"a value of type {kind.__name__} cannot be turned into text")

    def text(self, value: Any = "") -> str:
        """`str(value)` of plain data."""
        return str(self.plain(value))

    def importer(self, name: str, *rest: Any) -> SimpleNamespace:
        """`import name`, for the listed modules."""
        level = rest[3] if len(rest) > 3 else 0
        if level == 0 and name in self.modules:
            return self.modules[name]
        listed = ", ".join(self.modules)
        raise self.refuse(f"{name} cannot be imported; a primitive has {listed}")

    def isinstance(self, value: Any, kinds: Any) -> bool:
        """`isinstance` with the plain types."""
        asked = kinds if type(kinds) is tuple else (kinds,)
        plain = tuple(str if k == self.text else k for k in asked)
        if any(type(k) is not type for k in plain):
            raise self.refuse("isinstance takes str, int, float, bool, list, tuple, dict or set")
        return isinstance(value, plain)
