"""Statistics of scores: one component over all rows, over groups, and against an outcome."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from derl_grammar.records import record

Array = NDArray[np.float64]
BINS = 8
# Of millions of rows so many are worked on at once where a whole column more would be in the way.
_CHUNK = 1 << 18


@record
class Histogram:
    """Counts of equal bins over [lo, hi]: a single one for equal values, none for no values."""

    lo: float
    hi: float
    counts: tuple[int, ...]


@record
class Summary:
    """What the values of one component look like.

    Mean, standard deviation (of the rows as they are: ddof 0), minimum and maximum are over the
    rows where the component applies, None where it applies to none. `not_applicable` is the share
    of rows that are NaN. `zero_variance_groups` is the share of groups without two different
    values, from which group-normalised training learns nothing; None without groups.
    """

    rows: int
    not_applicable: float
    mean: float | None
    std: float | None
    min: float | None
    max: float | None
    zero_variance_groups: float | None
    histogram: Histogram


@record
class Agreement:
    """How a reward goes with an outcome, over the `rows` where both apply.

    `agreement` is the share of equal rows and `disagreements` the other rows (counted from 0), when
    both hold only 0 and 1, else None. `correlation` is Pearson's, None when either is constant.
    `ranking` is the share of pairs of a right (outcome > 0.5) and a wrong row in which the right
    one scores higher, ties counting half; None when all are right or all wrong.
    """

    rows: int
    agreement: float | None
    disagreements: NDArray[np.int64] | None
    correlation: float | None
    ranking: float | None


def group_codes(keys: Sequence[Hashable]) -> NDArray[np.int64]:
    """The group of each row as a number, in the order of first occurrence; keys may be anything.

    >>> group_codes(["b", "a", "b"]).tolist()
    [0, 1, 0]
    """
    known: dict[Hashable, int] = {}
    return np.array([known.setdefault(key, len(known)) for key in keys], dtype=np.int64)


class Sliced(Protocol):
    """A column that gives some of its values at a time: an array, or one that is kept small."""

    def __len__(self) -> int: ...
    def __getitem__(self, rows: slice, /) -> Array: ...


def summarise(values: Sliced, groups: NDArray[np.int64] | None = None, bins: int = BINS) -> Summary:
    """Summarise (B,) float64 values, NaN = not applicable; `groups` as from `group_codes`.

    >>> summarise(np.array([0.0, 1.0, np.nan, 1.0])).not_applicable
    0.25
    """
    count, first, low, high = 0, 0.0, np.inf, -np.inf
    for present in applicable(values):
        first = first if count else float(present[0])
        count += len(present)
        low, high = min(low, float(present.min())), max(high, float(present.max()))
    flat = None if groups is None else zero_variance_groups(values, groups)
    missing = 1 - count / len(values) if len(values) else 0.0
    if not count:
        empty = Histogram(0.0, 0.0, ())
        return Summary(len(values), missing, None, None, None, None, flat, empty)
    # Around the first value: equal values then have exactly no deviation.
    middle = sum(float((present - first).sum()) for present in applicable(values)) / count
    mean = float(np.clip(first + middle, low, high))
    square = sum(float(np.square(present - first - middle).sum()) for present in applicable(values))
    std = float(np.sqrt(square / count))
    shape = _histogram(values, low, high, count, bins)
    return Summary(len(values), missing, mean, std, low, high, flat, shape)


def applicable(values: Sliced) -> Iterator[Array]:
    """The applicable values, some at a time."""
    for start in range(0, len(values), _CHUNK):
        some = values[start : start + _CHUNK]
        some = some[~np.isnan(some)]
        if len(some):
            yield some


def zero_variance_groups(values: Sliced, groups: NDArray[np.int64]) -> float | None:
    """The share of groups without two different applicable values; None when there is no group."""
    if not len(groups):
        return None
    flat = flat_groups(values, groups)
    return float(1 - np.count_nonzero(~flat) / len(flat))


def flat_groups(values: Sliced, groups: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each group, by its number, lacks two different applicable values.

    >>> flat_groups(np.array([1.0, 0.0, 1.0]), group_codes(["a", "a", "b"])).tolist()
    [False, True]
    """
    count = int(groups.max(initial=-1)) + 1
    lows, highs = np.full(count, np.inf), np.full(count, -np.inf)
    for start in range(0, len(values), _CHUNK):
        some, inside = values[start : start + _CHUNK], groups[start : start + _CHUNK]
        applies = ~np.isnan(some)
        np.minimum.at(lows, inside[applies], some[applies])
        np.maximum.at(highs, inside[applies], some[applies])
    return ~(highs > lows)


def histogram(present: Array, bins: int = BINS) -> Histogram:
    """Count finite values in `bins` equal bins from their minimum to their maximum.

    >>> histogram(np.array([0.0, 0.1, 1.0]), bins=2)
    Histogram(lo=0.0, hi=1.0, counts=(2, 1))
    """
    if not len(present):
        return Histogram(0.0, 0.0, ())
    return _histogram(present, float(present.min()), float(present.max()), len(present), bins)


def _histogram(values: Sliced, low: float, high: float, count: int, bins: int) -> Histogram:
    # Halved first: the width of a range may exceed the largest float.
    width = high / 2 - low / 2
    if width == 0:
        return Histogram(low, high, (count,))
    counts = np.zeros(bins, dtype=np.int64)
    for present in applicable(values):
        place = (present / 2 - low / 2) / width * bins
        counts += np.bincount(np.minimum(place.astype(np.int64), bins - 1), minlength=bins)
    return Histogram(low, high, tuple(int(n) for n in counts))


def agree(reward: Sliced, outcome: Sliced) -> Agreement:
    """Compare (B,) rewards with (B,) outcomes, NaN = not applicable in either.

    >>> a = agree(np.array([1.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.0]))
    >>> a.disagreements.tolist(), a.ranking
    ([2], 0.75)
    """
    rows, binary, different = 0, True, [np.zeros(0, np.int64)]
    for start, both, x, y in known(reward, outcome):
        rows += len(x)
        binary = binary and bool((((x == 0) | (x == 1)) & ((y == 0) | (y == 1))).all())
        if binary:
            different.append(start + np.flatnonzero(both)[x != y])
    share, others = None, None
    if rows and binary:
        others = np.concatenate(different)
        share = 1 - len(others) / rows
    return Agreement(rows, share, others, correlation(reward, outcome), _ranking(reward, outcome))


def known(x: Sliced, y: Sliced) -> Iterator[tuple[int, NDArray[np.bool_], Array, Array]]:
    """The rows where both apply, some at a time: where these begin, which apply, their values."""
    for start in range(0, len(x), _CHUNK):
        some, other = x[start : start + _CHUNK], y[start : start + _CHUNK]
        both = ~np.isnan(some) & ~np.isnan(other)
        yield start, both, some[both], other[both]


def correlation(x: Sliced, y: Sliced) -> float | None:
    """Pearson's correlation over the rows where both apply; None when either is constant."""
    count, sums = 0, np.zeros(2)
    low, high = np.full(2, np.inf), np.full(2, -np.inf)
    for _, _, *pair in known(x, y):
        if len(pair[0]):
            count += len(pair[0])
            low = np.minimum(low, [v.min() for v in pair])
            high = np.maximum(high, [v.max() for v in pair])
    if count < 2 or (low == high).any():
        return None
    # Scaled to [-1, 1] first, so that squares neither overflow nor vanish.
    scale = np.maximum(np.abs(low), np.abs(high))
    for _, _, *pair in known(x, y):
        sums += [float((v / s).sum()) for v, s in zip(pair, scale, strict=True)]
    products = np.zeros(3)
    for _, _, *pair in known(x, y):
        a, b = (v / s - m for v, s, m in zip(pair, scale, sums / count, strict=True))
        products += [float((a * b).sum()), float((a * a).sum()), float((b * b).sum())]
    size = float(np.sqrt(products[1]) * np.sqrt(products[2]))
    return float(np.clip(products[0] / size, -1, 1)) if size > 0 else None


def _ranking(x: Sliced, outcome: Sliced) -> float | None:
    """The Mann-Whitney share: pairs that are in order, ties half."""
    good, bad = (
        counted(some[(told > 0.5) == right] for _, _, some, told in known(x, outcome))
        for right in (True, False)
    )
    rights, wrongs = (int(counts.sum()) for _, counts in (good, bad))
    if not rights or not wrongs:
        return None
    below = np.append(0, np.cumsum(bad[1]))
    found = sum(
        int(below[np.searchsorted(bad[0], good[0], side)] @ good[1]) for side in ("left", "right")
    )
    return found / (2 * rights * wrongs)


def counted(parts: Iterable[Array]) -> tuple[Array, NDArray[np.int64]]:
    """The distinct values of all parts in their order, and how often each occurs.

    >>> [found.tolist() for found in counted([np.array([2.0, 1.0]), np.array([2.0])])]
    [[1.0, 2.0], [1, 2]]
    """
    found: list[tuple[Array, NDArray[np.int64]]] = []
    waiting = 0
    for part in parts:
        found.append(np.unique(part, return_counts=True))
        waiting += len(found[-1][0])
        if waiting > _CHUNK + 2 * len(found[0][0]):
            found = [_merged(found)]
            waiting = len(found[0][0])
    return _merged(found)


def _merged(found: Sequence[tuple[Array, NDArray[np.int64]]]) -> tuple[Array, NDArray[np.int64]]:
    if not found:
        return np.zeros(0), np.zeros(0, np.int64)
    values, counts = (np.concatenate(columns) for columns in zip(*found, strict=True))
    order = np.argsort(values, kind="stable")
    values, counts = values[order], counts[order]
    first = np.flatnonzero(np.diff(values, prepend=np.nan) != 0)
    return values[first], np.add.reduceat(counts, first) if len(first) else counts
