"""Applying a primitive to the columns of a batch: once, held to its type, every failure a fault."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from derl_grammar.types import List, Optional, Text, Type
from derl_runtime import cache
from derl_runtime.faults import CLASSES, fault, words_of
from derl_runtime.reading import Reader
from derl_runtime.sandbox_settings import SandboxSettings
from derl_runtime.sources import Apply, Literal, is_optional, plain
from derl_runtime.untrusted import Failed, PrimitiveFailed, Untrusted, sandbox
from derl_runtime.values import Mask, Values, where


class Garbage(Exception):
    """A primitive returned something that is no column of its type."""


def apply_primitive(batch: Reader, source: Apply, inputs: Sequence[Any]) -> Values:
    """The values of a primitive on the rows where all its inputs are valid.

    `inputs` are the Values of its arguments, or literals. Rows that fail are not valid, or have the
    primitive's declared default.
    """
    if source.primitive.fills:
        inputs = [
            _filled(v) if isinstance(v, Values) and is_optional(a) else v  # type: ignore[arg-type]
            for a, v in zip(source.args, inputs, strict=True)
        ]
    masks = [v.valid for v in inputs if isinstance(v, Values) and v.valid is not None]
    valid = np.logical_and.reduce(masks) if masks else None
    count = batch.rows if valid is None else int(valid.sum())
    if count == 0:
        return nothing(source.type, batch.rows)
    args = [v.rows(valid) if isinstance(v, Values) else v for v in inputs]
    if not any(isinstance(v, Values) for v in inputs):
        # Of literals alone: the first stands for the column that the function expects.
        args[:1] = [[a] * count for a in args[:1]]
    returned, failures = _returned(batch, source, args, count)
    expected = np.ones(batch.rows, dtype=bool) if valid is None else valid
    found = _held(batch, source, returned, failures, expected)
    default = source.primitive.default
    if default is None or found.valid is None:
        return found
    data = np.where(expected & ~found.valid, default, found.data)
    return Values(data, None if expected.all() else expected)


def _filled(values: Values) -> Values:
    """Values of which none is missing: None, or NaN, stands where one was."""
    if values.valid is None or isinstance(values.data, np.ndarray):
        return Values(values.data, None)
    pairs = zip(values.data, values.valid.tolist(), strict=True)
    return Values([v if ok else None for v, ok in pairs], None)


def nothing(kind: Type, rows: int) -> Values:
    """No value in any row."""
    mask = np.zeros(rows, dtype=bool)
    if isinstance(kind.item if isinstance(kind, Optional) else kind, Text | List):
        return Values([None] * rows, mask)
    return Values(np.full(rows, np.nan), mask)


def _returned(
    batch: Reader, source: Apply, args: list[Any], count: int
) -> tuple[Any, tuple[Failed, ...]]:
    """What the primitive returned for `count` rows, from the cache where it is kept there.

    What failed is never kept, and None stands for a call that failed whole.
    """
    primitive, everything = source.primitive, range(count)
    if batch.log is not None and not batch.log.admits(primitive.name):
        message = f"not called: it failed {batch.log.limit} times before"
        return None, (Failed("quarantined", message, everything),)
    key = _key(batch, source, args)
    kept = None if key is None else batch.cache.get(key)
    if kept is not None:
        return kept, ()
    try:
        if isinstance(primitive.fn, Untrusted) and not source.lifted:
            returned, failures = primitive.fn.run(args, count)
        else:
            returned = _column(_function(source)(*args), count)
            failures = _failures(returned)
    except Garbage as error:
        returned, failures = None, (Failed("protocol", str(error), everything),)
        batch.failed(primitive.name)
    except Exception as error:  # noqa: BLE001 - a user's primitive may raise anything; counted
        kind = _class(getattr(error, "kind", None))
        message = str(error) if kind != "crash" else words_of(error)
        returned, failures = None, (Failed(kind, message, everything),)
        batch.failed(primitive.name)
    else:
        # A trusted primitive that tells of rows which failed works, however many they are.
        lost = sum(len(f.rows) for f in failures) if isinstance(primitive.fn, Untrusted) else 0
        batch.called(primitive.name, count, lost)
    if not failures and key is not None:
        batch.cache.put(key, returned)
    return returned, failures


def _function(source: Apply) -> Callable[..., Any]:
    """What computes a column; a primitive that runs programs is given the sandbox to do so."""
    if source.lifted:
        return _by_step(source)
    if getattr(source.primitive, "sandboxed", False):
        return partial(source.primitive.fn, sandbox=sandbox(SandboxSettings()))
    return source.primitive.fn


def _failures(returned: Any) -> tuple[Failed, ...]:
    """The failures of single rows that a primitive reports with its values."""
    told = getattr(returned, "failures", ())
    return tuple(
        Failed(_class(f.kind), f.message, f.rows, getattr(f, "caused", False)) for f in told
    )


def _class(kind: object) -> str:
    """A class of fault; what names none is a crash."""
    return kind if isinstance(kind, str) and kind in CLASSES else "crash"


def _key(batch: Reader, source: Apply, args: list[Any]) -> object | None:
    """The key of a call in the cache; None for primitives that are cheaper than hashing."""
    if source.primitive.cost not in cache.COSTS or not batch.cache.limit:
        return None
    return (source.primitive.fn, source.lifted, *map(batch.digest, args))


def _column(returned: Any, count: int) -> Any:
    """What was returned when it is a column of `count` rows; raises Garbage otherwise."""
    if isinstance(returned, str | bytes) or not hasattr(returned, "__len__"):
        raise Garbage(f"returned {type(returned).__name__}, not one value a row")
    if len(returned) != count:
        raise Garbage(f"returned {len(returned)} values for {count} rows")
    return returned


def _held(
    batch: Reader, source: Apply, returned: Any, failures: Sequence[Failed], expected: Mask
) -> Values:
    """The values held to the primitive's type; what fails is reported and not valid."""
    label, kind = str(source), source.type
    rows = np.flatnonzero(expected)
    lost = np.zeros(batch.rows, dtype=bool)
    for failure in _merged(failures):
        there = sorted({int(r) for f in failure for r in rows[list(f.rows)]})
        lost[there] = True
        batch.faults.append(fault(failure[0].kind, label, there, failure[0].message))
    if returned is None:
        return nothing(kind, batch.rows)
    inner = kind.item if isinstance(kind, Optional) else kind
    try:
        if isinstance(inner, Text | List):
            return _objects(batch, label, kind, returned, expected, lost)
        values = np.full(batch.rows, np.nan)
        values[expected] = _floats(returned)
    except Garbage as error:
        batch.failed(source.primitive.name)
        batch.faults.append(fault("protocol", label, where(expected), str(error)))
        return nothing(kind, batch.rows)
    present = ~np.isnan(values)
    missing = expected & ~present & ~lost
    if not isinstance(kind, Optional) and missing.any():
        batch.faults.append(fault("nonfinite", label, where(missing), "returned NaN"))
    return batch.in_range(label, values, inner, present)


def _merged(failures: Sequence[Failed]) -> list[list[Failed]]:
    """The failures by class: one fault each."""
    kinds = dict.fromkeys(f.kind for f in failures)
    return [[f for f in failures if f.kind == kind] for kind in kinds]


def _floats(returned: Any) -> Any:
    """Returned numbers as floats, None as NaN; raises Garbage for what is no number."""
    try:
        array = np.asarray(returned)
        if array.dtype == object:
            odd = next((v for v in array.ravel() if not isinstance(v, int | float | None)), None)
            if odd is None:
                array = np.array([np.nan if v is None else float(v) for v in array.ravel()])
    except (TypeError, ValueError, OverflowError) as error:
        raise Garbage(f"returned no column of numbers: {error}") from None
    if array.dtype.kind not in "biuf" or array.ndim != 1:
        raise Garbage(f"returned no column of numbers: {returned!r:.60}")
    return array


def _objects(
    batch: Reader, label: str, kind: Type, returned: Any, expected: Mask, lost: Mask
) -> Values:
    """Returned texts, or lists of steps; None is no value of an optional type, or of a lost row."""
    inner = kind.item if isinstance(kind, Optional) else kind
    wanted: Any = str if isinstance(inner, Text) else (list, tuple, np.ndarray)
    data: list[Any] = [None] * batch.rows
    valid = expected.copy()
    for row, value in zip(where(expected), returned, strict=True):
        if value is None and (isinstance(kind, Optional) or lost[row]):
            valid[row] = False
        elif not isinstance(value, wanted):
            raise Garbage(f"returned {type(value).__name__} where {kind} was declared")
        data[row] = value
    if not isinstance(inner, List):
        return Values(data, None if valid.all() else valid)
    flat, bad = batch.steps(label, data, inner)
    valid[bad] = False
    return Values(data, None if valid.all() else valid, flat)


def _by_step(source: Apply) -> Callable[..., list[Any]]:
    """A primitive of one text, applied to every text of every list; lists come back."""
    lists = [not isinstance(a, Literal) and isinstance(plain(a), List) for a in source.args]

    def call(*args: Any) -> list[Any]:
        first = next(a for a, many in zip(args, lists, strict=True) if many)
        lengths = [len(v) for v in first]
        flat = [
            [x for row in a for x in row] if many
            else a if isinstance(a, str | float | bool)
            else [x for x, steps in zip(a, lengths, strict=True) for _ in range(steps)]
            for a, many in zip(args, lists, strict=True)
        ]  # fmt: skip
        total = sum(lengths)
        found = _column(source.primitive.fn(*flat), total) if total else []
        for failure in [f for f in _failures(found) if not f.caused]:
            raise PrimitiveFailed(failure.kind, failure.message)
        returned = ["" if x is None else x for x in found]
        ends = itertools.accumulate(lengths, initial=0)
        return [returned[a:b] for a, b in itertools.pairwise(ends)]

    return call
