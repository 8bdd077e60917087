"""Equal rewards: which inner run each formula of a group asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Asked = tuple[str, int]  # equivalence key, seed


def asked(
    keys: Sequence[str | None], before: Mapping[str, int], seed: int, repeats: str
) -> list[Asked | None]:
    """The run of each formula; None for one that fails the checker.

    Equal rewards of a group ask for one run. With `repeats = "average"` one that earlier steps
    proposed (`before` says how often) asks for a further seed.

    >>> asked(["a", "b", "a", None], {"a": 2}, 10, "average")
    [('a', 12), ('b', 10), ('a', 12), None]
    >>> asked(["a"], {"a": 2}, 10, "cache")
    [('a', 10)]
    """
    further = before if repeats == "average" else {}
    return [None if key is None else (key, seed + further.get(key, 0)) for key in keys]
