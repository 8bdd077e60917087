"""Suites with a name left out or turned round, for ablations; the rest stays as it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from derl_grammar.types import Bool, Number, Type, finite_number
from derl_primitives.primitive import Primitive, Suite


def without(suite: Suite, name: str) -> Suite:
    """The suite without a name. Raises ValueError for one it lacks, and for one of its outcome."""
    _check(suite, name)
    return replace(
        suite,
        primitives={n: p for n, p in suite.primitives.items() if n != name},
        bindings={n: b for n, b in suite.bindings.items() if n != name},
    )


def turned(suite: Suite, name: str) -> Suite:
    """The suite with a name that is high where it was low; of a bool it is `not`.

    Raises ValueError as `without` does, and for values that have no end to turn about.
    """
    _check(suite, name)
    if name in suite.primitives:
        return replace(
            suite, primitives={**suite.primitives, name: flipped(suite.primitives[name])}
        )
    binding = suite.bindings[name]
    changed = replace(binding, primitive=flipped(binding.primitive))
    return replace(suite, bindings={**suite.bindings, name: changed})


def flipped(primitive: Primitive) -> Primitive:
    """The primitive that is `lo + hi - x` where this one is x; `lo` and `hi` swap exactly.

    Its name and the first lines of its documentation stay: whoever writes formulas is not told.
    Raises ValueError where it gives no number within bounds.
    """
    returns, turn = _turned(primitive)

    def fn(*args: Any, **kwargs: Any) -> Any:
        found = primitive.fn(*args, **kwargs)
        if isinstance(found, list):
            # Rows that failed hold what happened instead of a number.
            return [turn(v).item() if isinstance(v, bool | int | float) else v for v in found]
        return turn(found)

    note = "Turned round: high where it would be low, low where it would be high."
    return replace(
        primitive,
        returns=returns,
        doc=f"{primitive.doc}\n\n{note}",
        fn=fn,
        good=False,
        per_word=0.0,
    )


def _turned(primitive: Primitive) -> tuple[Type, Callable[[Any], Any]]:
    """The type of the flipped values, and what flips them."""
    kind = primitive.returns
    if kind == Bool():
        return kind, lambda values: _array(values) == 0
    if not isinstance(kind, Number) or not kind.hi - kind.lo < float("inf"):
        raise ValueError(
            f"{primitive.name!r} gives {kind}, and only numbers within bounds and bool turn"
        )
    low, high = kind.lo, kind.hi

    def turn(values: Any) -> Any:
        import numpy as np

        x = _array(values)
        found = np.clip(low + high - x, low, high)
        return np.where(x == low, high, np.where(x == high, low, found))

    if kind.values is None:
        return kind, turn
    return finite_number(*turn(kind.values).tolist()), turn


def _array(values: Any) -> Any:
    import numpy as np

    return np.asarray(values, dtype=np.float64)


def _check(suite: Suite, name: str) -> None:
    known = suite.primitives.keys() | suite.bindings.keys()
    if name not in known:
        raise ValueError(f"no name {name!r}; there are {', '.join(sorted(known))}")
    if re.search(rf"\b{name}\b", suite.outcome or ""):
        raise ValueError(f"{name!r} is the outcome, which has to stay as it is")
