"""Types of data columns that nobody declared, read off their values."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from typing import Any

from derl_grammar.types import Bool, List, Number, Text, Type

_NAME = re.compile(r"[A-Za-z_]\w*")
_ASSIGNED = re.compile(r"^[ \t]*+([A-Za-z_]\w*+)[ \t]*+=(?!=)", re.M)


def infer_columns(
    text: str, data: Mapping[str, Sequence[Any]], known: Collection[str]
) -> dict[str, Type]:
    """Types of the data columns that `text` mentions, neither assigns nor has declared in `known`.

    >>> infer_columns("n = len_a\\nreward = n * ok", {"len_a": [1, 5], "n": [0], "ok": [True]}, ())
    {'len_a': Number(lo=1.0, hi=5.0, values=None), 'ok': Bool()}
    """
    assigned = set(_ASSIGNED.findall(text))
    found = {}
    for name in dict.fromkeys(_NAME.findall(text)):
        if name in data and name not in known and name not in assigned:
            kind = infer_type(data[name])
            if kind is not None:
                found[name] = kind
    return found


def infer_type(values: Sequence[Any]) -> Type | None:
    """The type of values, missing ones aside; None when they have no common type.

    Numbers get the range they span, at least as wide as [0, 1] when they are all equal: one value
    says nothing of a range.
    """
    present = [v for v in values if v is not None]
    kinds = {type(v) for v in present}
    if not kinds:
        return None
    if kinds <= {bool}:
        return Bool()
    if kinds <= {str}:
        return Text()
    if kinds <= {bool, int, float}:
        return _number(present)
    if kinds <= {list}:
        item = infer_type(list(chain.from_iterable(present)))
        return None if item is None or isinstance(item, List) else List(item)
    return None


def _number(values: Sequence[float]) -> Number | None:
    try:
        finite = [x for x in map(float, values) if math.isfinite(x)]
    except OverflowError:  # an integer beyond the floats
        return None
    if not finite:
        return Number()
    low, high = min(finite), max(finite)
    return Number(min(low, 0.0), max(high, 1.0)) if low == high else Number(low, high)
