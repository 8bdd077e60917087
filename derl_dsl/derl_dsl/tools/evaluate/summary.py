"""Statistics of scores: one component over all rows, over groups, and against an outcome."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
BINS = 8


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of equal bins over [lo, hi]: a single one for equal values, none for no values."""

    lo: float
    hi: float
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a reward goes with an outcome, over the `rows` where both apply.

    `agreement` is the share of equal rows and `disagreements` the other rows (counted from 0), when
    both hold only 0 and 1, else None. `correlation` is Pearson's, None when either is constant.
    `ranking` is the share of pairs of a right (outcome > 0.5) and a wrong row in which the right
    one scores higher, ties counting half; None when all are right or all wrong.
    """

    rows: int
    agreement: float | None
    disagreements: tuple[int, ...] | None
    correlation: float | None
    ranking: float | None


def group_codes(keys: Sequence[Hashable]) -> NDArray[np.int64]:
    """The group of each row as a number, in the order of first occurrence; keys may be anything.

    >>> group_codes(["b", "a", "b"]).tolist()
    [0, 1, 0]
    """
    known: dict[Hashable, int] = {}
    return np.array([known.setdefault(key, len(known)) for key in keys], dtype=np.int64)


def summarise(values: Array, groups: NDArray[np.int64] | None = None, bins: int = BINS) -> Summary:
    """Summarise (B,) float64 values, NaN = not applicable; `groups` as from `group_codes`.

    >>> summarise(np.array([0.0, 1.0, np.nan, 1.0])).not_applicable
    0.25
    """
    applies = ~np.isnan(values)
    present = values[applies]
    mean = std = low = high = None
    if len(present):
        low, high = float(present.min()), float(present.max())
        # Around the first value: equal values then have exactly no deviation.
        shifted = present - present[0]
        mean = float(np.clip(present[0] + shifted.mean(), low, high))
        std = float(shifted.std())
    flat = None if groups is None else zero_variance_groups(values, groups)
    missing = 1 - len(present) / len(values) if len(values) else 0.0
    return Summary(len(values), missing, mean, std, low, high, flat, histogram(present, bins))


def zero_variance_groups(values: Array, groups: NDArray[np.int64]) -> float | None:
    """The share of groups without two different applicable values; None when there is no group."""
    if not len(groups):
        return None
    flat = flat_groups(values, groups)
    return float(1 - np.count_nonzero(~flat) / len(flat))


def flat_groups(values: Array, groups: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether each group, by its number, lacks two different applicable values.

    >>> flat_groups(np.array([1.0, 0.0, 1.0]), group_codes(["a", "a", "b"])).tolist()
    [False, True]
    """
    applies = ~np.isnan(values)
    count = int(groups.max(initial=-1)) + 1
    lows, highs = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(lows, groups[applies], values[applies])
    np.maximum.at(highs, groups[applies], values[applies])
    return ~(highs > lows)


def histogram(present: Array, bins: int = BINS) -> Histogram:
    """Count finite values in `bins` equal bins from their minimum to their maximum.

    >>> histogram(np.array([0.0, 0.1, 1.0]), bins=2)
    Histogram(lo=0.0, hi=1.0, counts=(2, 1))
    """
    if not len(present):
        return Histogram(0.0, 0.0, ())
    low, high = float(present.min()), float(present.max())
    # Halved first: the width of a range may exceed the largest float.
    width = high / 2 - low / 2
    if width == 0:
        return Histogram(low, high, (len(present),))
    place = (present / 2 - low / 2) / width * bins
    counts = np.bincount(np.minimum(place.astype(np.int64), bins - 1), minlength=bins)
    return Histogram(low, high, tuple(int(n) for n in counts))


def agree(reward: Array, outcome: Array) -> Agreement:
    """Compare (B,) rewards with (B,) outcomes, NaN = not applicable in either.

    >>> a = agree(np.array([1.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.0]))
    >>> a.disagreements, a.ranking
    ((2,), 0.75)
    """
    both = ~np.isnan(reward) & ~np.isnan(outcome)
    x, y = reward[both], outcome[both]
    share, others = None, None
    if len(x) and np.isin(x, (0.0, 1.0)).all() and np.isin(y, (0.0, 1.0)).all():
        different = np.flatnonzero(both)[x != y]
        share, others = 1 - len(different) / len(x), tuple(int(i) for i in different)
    return Agreement(len(x), share, others, _correlation(x, y), _ranking(x, y > 0.5))


def _correlation(x: Array, y: Array) -> float | None:
    if len(x) < 2 or x.min() == x.max() or y.min() == y.max():
        return None
    # Scaled to [-1, 1] first, so that squares neither overflow nor vanish.
    x, y = (v - v.mean() for v in (x / np.abs(x).max(), y / np.abs(y).max()))
    size = float(np.sqrt((x * x).sum()) * np.sqrt((y * y).sum()))
    return float(np.clip((x * y).sum() / size, -1, 1)) if size > 0 else None


def _ranking(x: Array, right: NDArray[np.bool_]) -> float | None:
    """The Mann-Whitney share: pairs that are in order, ties half."""
    good, bad = np.sort(x[right]), np.sort(x[~right])
    if not len(good) or not len(bad):
        return None
    below = np.searchsorted(bad, good, side="left").sum()
    not_above = np.searchsorted(bad, good, side="right").sum()
    return float((below + not_above) / (2 * len(good) * len(bad)))
