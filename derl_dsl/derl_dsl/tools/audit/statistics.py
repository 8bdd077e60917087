"""Numbers behind the findings: correlations, misordered pairs, saturation, outliers, direction."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from derl_dsl.tools.evaluate.summary import agree

Array = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Relation:
    """How two columns go together over the `n` rows where both apply.

    `pearson` is the point-biserial correlation when one of them is 0/1; None when one is constant.
    """

    n: int
    pearson: float | None
    spearman: float | None

    @property
    def noise(self) -> float:
        """The correlation that chance alone gives now and then: two standard errors."""
        return 2 / math.sqrt(max(self.n, 1))


@dataclass(frozen=True, slots=True)
class Misorder:
    """The pairs of a right and a wrong row of one group.

    In `above` of the `pairs` the wrong row scores higher, in `tied` the same. `rows` are the wrong
    rows above a right one, `examples` pairs of rows (right, wrong), one pair a group; both with
    the widest gap first.
    """

    pairs: int
    above: int
    tied: int
    rows: tuple[int, ...]
    examples: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Outliers:
    """Rows far from the rest; `distance` is the farthest from the median, in MAD.

    `stretch` is how many times the range shrinks without them.
    """

    rows: Rows
    distance: float | None
    stretch: float


def ranks(values: Array) -> Array:
    """Ranks from 0; equal values share the mean of theirs.

    >>> ranks(np.array([5.0, 1.0, 5.0])).tolist()
    [1.5, 0.0, 1.5]
    """
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    shared = np.cumsum(counts) - counts + (counts - 1) / 2
    found: Array = shared[place].astype(np.float64)
    return found


def relate(x: Array, y: Array) -> Relation:
    """Correlate two (B,) columns, NaN = not applicable.

    >>> r = relate(np.array([1.0, 2.0, 30.0, np.nan]), np.array([0.0, 1.0, 2.0, 3.0]))
    >>> r.n, round(r.spearman, 12)
    (3, 1.0)
    """
    both = ~np.isnan(x) & ~np.isnan(y)
    x, y = x[both], y[both]
    if len(x) < 2:
        return Relation(len(x), None, None)
    return Relation(len(x), agree(x, y).correlation, agree(ranks(x), ranks(y)).correlation)


def misorder(reward: Array, outcome: Array, groups: Rows, examples: int) -> Misorder:
    """Count the pairs in which a wrong row outscores a right one; all (B,), NaN = left out.

    >>> misorder(np.array([0.2, 0.9]), np.array([1.0, 0.0]), np.array([0, 0]), 5)
    Misorder(pairs=1, above=1, tied=0, rows=(1,), examples=((0, 1),))
    """
    rows = np.flatnonzero(~np.isnan(reward) & ~np.isnan(outcome))
    if not len(rows):
        return Misorder(0, 0, 0, (), ())
    group, right = groups[rows], outcome[rows] > 0.5
    _, level = np.unique(reward[rows], return_inverse=True)
    # One key orders by group, then by reward: a group's wrong rows are one stretch of it.
    span = int(level.max()) + 1
    key = group * span + level
    wrong = np.sort(key[~right])
    first = np.searchsorted(wrong, group[right] * span)
    last = np.searchsorted(wrong, (group[right] + 1) * span)
    below = np.searchsorted(wrong, key[right], side="left")
    not_above = np.searchsorted(wrong, key[right], side="right")
    return Misorder(
        pairs=int((last - first).sum()),
        above=int((last - not_above).sum()),
        tied=int((not_above - below).sum()),
        rows=_above(rows, reward[rows], group, right),
        examples=_widest(rows, reward[rows], group, right, examples),
    )


def _above(rows: Rows, reward: Array, group: Rows, right: NDArray[np.bool_]) -> tuple[int, ...]:
    """The wrong rows that outscore the lowest right one of their group."""
    lowest = np.full(int(group.max()) + 1, np.inf)
    np.minimum.at(lowest, group[right], reward[right])
    found = np.flatnonzero(~right & (reward > lowest[group]))
    widest = np.argsort(lowest[group[found]] - reward[found], kind="stable")
    return tuple(rows[found[widest]].tolist())


def _widest(
    rows: Rows, reward: Array, group: Rows, right: NDArray[np.bool_], count: int
) -> tuple[tuple[int, int], ...]:
    """Of each group the lowest right and the highest wrong row, the widest gap first."""
    order = np.lexsort((reward, group))
    good, bad = order[right[order]], order[~right[order]][::-1]
    if len(np.unique(group)) > 1:
        good_groups, first_good = np.unique(group[good], return_index=True)
        bad_groups, first_bad = np.unique(group[bad], return_index=True)
        _, a, b = np.intersect1d(good_groups, bad_groups, True, return_indices=True)
        good, bad = good[first_good[a]], bad[first_bad[b]]
    else:
        shown = min(len(good), len(bad), count)
        good, bad = good[:shown], bad[:shown]
    gap = reward[bad] - reward[good]
    widest = np.argsort(-gap, kind="stable")[:count]
    return tuple((int(rows[good[i]]), int(rows[bad[i]])) for i in widest if gap[i] > 0)


def at_bound(values: Array) -> tuple[float, float, Rows]:
    """The end that most rows sit at, their share of the applicable rows, and the other rows."""
    rows = np.flatnonzero(~np.isnan(values))
    present = values[rows]
    low, high = present.min(), present.max()
    bound = low if (present == low).sum() >= (present == high).sum() else high
    others = rows[present != bound]
    return float(bound), 1 - len(others) / len(rows), others


def outliers(values: Array, distance: float, few: float) -> Outliers | None:
    """Rows beyond `distance` MAD of the median, or a share below `few` that doubles the range.

    None when there are none; a component of two values has no outliers.
    """
    rows = np.flatnonzero(~np.isnan(values))
    present = values[rows]
    if len(np.unique(present[:1000])) <= 2 and len(np.unique(present)) <= 2:
        return None
    # Scaled to [-1, 1], so that differences do not overflow.
    present = present / (np.abs(present).max() or 1.0)
    off = np.abs(present - np.median(present))
    spread = float(np.median(off))
    far = off > distance * spread if spread > 0 else np.zeros(len(rows), dtype=bool)
    if not far.any():
        # The rows farthest out, fewer than the share `few`.
        count = int(np.ceil(few * len(rows))) - 1
        far[np.argsort(-off, kind="stable")[:count]] = True
        if not far.any() or _stretch(present, far) < 2:
            return None
        rest = present[~far]
        far &= (present < rest.min()) | (present > rest.max())
    ordered = np.argsort(-off, kind="stable")
    found = rows[ordered[far[ordered]]]
    most = float(off.max() / spread) if spread > 0 else None
    return Outliers(found, most, _stretch(present, far))


def _stretch(values: Array, far: NDArray[np.bool_]) -> float:
    rest = values[~far]
    inner = float(rest.max() - rest.min())
    return float(values.max() - values.min()) / inner if inner > 0 else np.inf


def directions(components: Mapping[str, Array], reward: Array) -> dict[str, float]:
    """How the reward moves with each component, the others held: standardised slopes.

    From a least-squares fit over the rows where all apply; 0 for what does not vary there.
    """
    if not components:
        return {}
    table = np.column_stack([*components.values(), reward])
    table = table[~np.isnan(table).any(axis=1)]
    if len(table) < 2:
        return dict.fromkeys(components, 0.0)
    largest = np.abs(table).max(axis=0)
    table = table / np.where(largest > 0, largest, 1.0)
    table = table - table.mean(axis=0)
    deviation = table.std(axis=0)
    table = table / np.where(deviation > 1e-12, deviation, np.inf)
    slopes = np.linalg.lstsq(table[:, :-1], table[:, -1], rcond=None)[0]
    return dict(zip(components, map(float, slopes), strict=True))
