"""Values of a column of which some rows failed: what a primitive returns that ran elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from derl_grammar.records import record

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@record
class RowFailure:
    """Why some rows have no value: a class of fault, words, and the rows.

    `caused` says that the text under judgement is why: its rows have a value then, the failing one.
    """

    kind: str
    message: str
    rows: tuple[int, ...]
    caused: bool = False


@record
class Partial:
    """B values, NaN where a row failed, and the failures; an array to NumPy."""

    values: NDArray[np.float64]
    failures: tuple[RowFailure, ...]

    def __len__(self) -> int:
        return len(self.values)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        import numpy as np

        return np.array(self.values, dtype=dtype, copy=copy)

    def tolist(self) -> list[float]:
        """The values as a list."""
        return list(map(float, self.values))


def with_failures(
    values: Sequence[float],
    failed: Mapping[int, tuple[str, str]],
    caused: Mapping[int, tuple[str, str]] | None = None,
) -> Partial:
    """The values with the failed rows as NaN; `failed` maps a row to a class and a message.

    This is where it is decided what is not applicable: rows that nobody could judge. What the text
    itself has `caused` (a hang, a crash) is reported, and keeps the value that says it has failed.

    >>> found = with_failures([1.0, 0.0], {1: ("timeout", "no verdict after 2 s")})
    >>> found.tolist(), found.failures[0].rows
    ([1.0, nan], (1,))
    """
    import numpy as np

    array = np.array(values, dtype=np.float64)
    rows: dict[tuple[str, str, bool], list[int]] = {}
    for row, why in failed.items():
        array[row] = np.nan
        rows.setdefault((*why, False), []).append(row)
    for row, why in (caused or {}).items():
        rows.setdefault((*why, True), []).append(row)
    found = (RowFailure(kind, words, tuple(at), own) for (kind, words, own), at in rows.items())
    return Partial(array, tuple(found))
