"""Golds that are lists: any of the texts in a row is right, so a primitive takes the best of them.

Data sets hold one gold a row, or several spellings of it, `["1/2", "0.5"]`. What compares with a
gold and gives a verdict, or a share in [0, 1], is computed for each of them and keeps the largest;
anything else has no meaning for a list, and says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from derl_grammar.types import Bool, Number, Optional, Type
from derl_runtime.applying import apply_primitive
from derl_runtime.faults import Fault, fault
from derl_runtime.reading import ColumnError, Reader
from derl_runtime.sources import Apply, Literal
from derl_runtime.values import Values


def apply_to_golds(batch: Reader, source: Apply, inputs: Sequence[Any]) -> Values:
    """The values of a primitive, of the best gold in rows that hold several.

    Raises ColumnError for a primitive that is no verdict and no share in [0, 1].
    """
    lists = [v for v in inputs if isinstance(v, Values) and v.golds is not None]
    if not lists:
        return apply_primitive(batch, source, inputs)
    names = [str(a) for a, v in zip(source.args, inputs, strict=True) if v in lists]
    if len(lists) > 1 or source.lifted or not _share(source.type):
        raise ColumnError(
            f"the column {names[0]!r} holds lists of texts: {source} cannot take the best of them; "
            "give it one text a row"
        )
    golds = lists[0].golds
    assert golds is not None
    counts = np.fromiter(map(len, golds), np.int64, batch.rows)
    owners = np.repeat(np.arange(batch.rows), counts)
    spread = Reader({}, len(owners), batch.log, batch.cache)
    every = [v if isinstance(v, Literal) or not isinstance(v, Values) else _spread(v, owners)
             for v in inputs]  # fmt: skip
    found = apply_primitive(spread, source, every)
    return _best(batch, found, owners, spread.faults)


def _share(kind: Type) -> bool:
    inner = kind.item if isinstance(kind, Optional) else kind
    return isinstance(inner, Bool) or (
        isinstance(inner, Number) and inner.lo >= 0 and inner.hi <= 1
    )


def _spread(values: Values, owners: Any) -> Values:
    """The values of each row once for each of its golds; golds themselves one after the other."""
    valid = None if values.valid is None else values.valid[owners]
    if values.golds is not None:
        return Values([gold for row in values.golds for gold in row], valid)
    data = values.data
    if isinstance(data, np.ndarray):
        return Values(data[owners], valid)
    rows = owners.tolist()
    return Values([data[r] for r in rows], valid)


def _best(batch: Reader, found: Values, owners: Any, faults: Sequence[Fault]) -> Values:
    """The largest value of each row; a row is lost when all its golds are."""
    best = np.full(batch.rows, -np.inf)
    there = np.isfinite(found.data) if found.valid is None else found.valid
    np.maximum.at(best, owners[there], found.data[there])
    valid = best > -np.inf
    lost = [int(r) for r in np.flatnonzero(~valid)]
    for one in faults:
        rows = lost or sorted({int(owners[r]) for r in one.rows})
        batch.faults.append(fault(one.kind, one.name, rows, one.message))
    return Values(np.where(valid, best, np.nan), None if valid.all() else valid)
