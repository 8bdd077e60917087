"""Numbers behind the findings: correlations, misordered pairs, saturation, outliers, direction."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derl_dsl.tools.evaluate.summary import Sliced, applicable, correlation, counted, known
from derl_grammar.records import record

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
# Of millions of rows so many are worked on at once.
_CHUNK = 1 << 17


@record
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


@record
class Misorder:
    """The pairs of a right and a wrong row of one group.

    In `above` of the `pairs` the wrong row scores higher, in `tied` the same. `rows` are the wrong
    rows above a right one, `examples` pairs of rows (right, wrong), one pair a group; both with
    the widest gap first.
    """

    pairs: int
    above: int
    tied: int
    rows: Rows
    examples: tuple[tuple[int, int], ...]


@record
class Outliers:
    """Rows far from the rest; `distance` is the farthest from the median, in MAD.

    `stretch` is how many times the range shrinks without them.
    """

    rows: Rows
    distance: float | None
    stretch: float


def rows_where(column: Any, test: Callable[[Any], NDArray[np.bool_]]) -> Rows:
    """The rows of a column, whole or kept small, whose values pass."""
    found = [np.zeros(0, dtype=np.int64)]
    for start in range(0, len(column), _CHUNK):
        found.append(start + np.flatnonzero(test(column[start : start + _CHUNK])))
    return np.concatenate(found)


def first_rows(groups: Rows) -> Rows:
    """The first row of each group; groups are numbered as they first occur.

    >>> first_rows(np.array([0, 1, 0, 2])).tolist()
    [0, 1, 3]
    """
    found, last = [np.zeros(0, dtype=np.int64)], -1
    for start in range(0, len(groups), _CHUNK):
        highest = np.maximum.accumulate(groups[start : start + _CHUNK])
        found.append(start + np.flatnonzero(np.diff(np.maximum(highest, last), prepend=last) > 0))
        last = max(last, int(highest[-1]))
    return np.concatenate(found)


class _Ranked:
    """The ranks of the values of a column, from 0; equal values share the mean of theirs."""

    def __init__(self, column: Sliced, distinct: Array, counts: Rows) -> None:
        self.column, self.distinct = column, distinct
        self.shared = np.cumsum(counts) - counts + (counts - 1) / 2

    def __len__(self) -> int:
        return len(self.column)

    def __getitem__(self, rows: slice, /) -> Array:
        values = self.column[rows]
        place = np.minimum(np.searchsorted(self.distinct, values), len(self.distinct) - 1)
        return np.where(np.isnan(values), np.nan, self.shared[place])


def relate(x: Sliced, y: Sliced) -> Relation:
    """Correlate two (B,) columns, NaN = not applicable.

    >>> r = relate(np.array([1.0, 2.0, 30.0, np.nan]), np.array([0.0, 1.0, 2.0, 3.0]))
    >>> r.n, round(r.spearman, 12)
    (3, 1.0)
    """
    first = counted(some for _, _, some, _ in known(x, y))
    count = int(first[1].sum())
    if count < 2:
        return Relation(count, None, None)
    second = counted(some for _, _, _, some in known(x, y))
    spearman = correlation(_Ranked(x, *first), _Ranked(y, *second))
    return Relation(count, correlation(x, y), spearman)


def misorder(reward: Sliced, outcome: Sliced, groups: Rows | None, examples: int) -> Misorder:
    """Count the pairs in which a wrong row outscores a right one; all (B,), NaN = left out.

    Without groups all rows are one.

    >>> found = misorder(np.array([0.2, 0.9]), np.array([1.0, 0.0]), np.array([0, 0]), 5)
    >>> found.pairs, found.above, found.tied, found.rows.tolist(), found.examples
    (1, 1, 0, [1], ((0, 1),))
    """
    counts = np.zeros(3, dtype=np.int64)
    above: list[tuple[Array, Rows]] = []
    widest: list[tuple[Array, Rows, Rows]] = []
    for rows in _whole_groups(groups, len(reward)):
        paid, told = _taken(reward, rows), _taken(outcome, rows)
        known = ~np.isnan(paid) & ~np.isnan(told)
        if not known.any():
            continue
        rows, paid, right = rows[known], paid[known], told[known] > 0.5
        group = np.zeros(len(rows), np.int64) if groups is None else groups[rows].astype(np.int64)
        group -= group.min()
        counts += _counts(paid, group, right)
        above.append(_above(rows, paid, group, right))
        widest.append(_widest(rows, paid, group, right, examples))
    if not above:
        return Misorder(0, 0, 0, np.zeros(0, np.int64), ())
    gaps, found = (np.concatenate(columns) for columns in zip(*above, strict=True))
    found = found[np.lexsort((found, -gaps))]
    wide, good, bad = (np.concatenate(columns) for columns in zip(*widest, strict=True))
    order = [i for i in np.argsort(-wide, kind="stable")[:examples] if wide[i] > 0]
    pairs = tuple((int(good[i]), int(bad[i])) for i in order)
    every, wrong, tied = (int(count) for count in counts)
    return Misorder(every, wrong, tied, found, pairs)


def _taken(column: Sliced, rows: Rows) -> Array:
    """The values of rows in rising order: of the stretch that holds them."""
    found: Array = column[int(rows[0]) : int(rows[-1]) + 1][rows - rows[0]]
    return found


def _whole_groups(groups: Rows | None, count: int) -> Iterator[Rows]:
    """The rows, some hundred thousand at a time, those of a group together."""
    if groups is None:
        if count:
            yield np.arange(count)
        return
    ends = np.cumsum(np.bincount(groups))
    first = 0
    while first < len(ends):
        before = int(ends[first - 1]) if first else 0
        last = max(first + 1, int(np.searchsorted(ends, before + _CHUNK, side="right")))
        yield rows_where(groups, partial(_between, first, last))
        first = last


def _between(first: int, last: int, groups: Rows) -> NDArray[np.bool_]:
    return (groups >= first) & (groups < last)


def _counts(reward: Array, group: Rows, right: NDArray[np.bool_]) -> list[int]:
    """The pairs of a right and a wrong row of one group, those in which the wrong one is above, and
    those that tie."""
    _, level = np.unique(reward, return_inverse=True)
    # One key orders by group, then by reward: a group's wrong rows are one stretch of it.
    span = int(level.max()) + 1
    key = group * span + level
    wrong = np.sort(key[~right])
    first = np.searchsorted(wrong, group[right] * span)
    last = np.searchsorted(wrong, (group[right] + 1) * span)
    below = np.searchsorted(wrong, key[right], side="left")
    not_above = np.searchsorted(wrong, key[right], side="right")
    return [int((a - b).sum()) for a, b in ((last, first), (last, not_above), (not_above, below))]


def _above(rows: Rows, reward: Array, group: Rows, right: NDArray[np.bool_]) -> tuple[Array, Rows]:
    """The wrong rows that outscore the lowest right one of their group, and by how much."""
    lowest = np.full(int(group.max()) + 1, np.inf)
    np.minimum.at(lowest, group[right], reward[right])
    found = np.flatnonzero(~right & (reward > lowest[group]))
    return reward[found] - lowest[group[found]], rows[found]


def _widest(
    rows: Rows, reward: Array, group: Rows, right: NDArray[np.bool_], count: int
) -> tuple[Array, Rows, Rows]:
    """Of each group the lowest right and the highest wrong row, and how far they are apart."""
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
    return reward[bad] - reward[good], rows[good], rows[bad]


def at_bound(values: Sliced) -> tuple[float, float]:
    """The end that most rows sit at, and their share of the applicable rows."""
    distinct, counts = counted(applicable(values))
    end = 0 if counts[0] >= counts[-1] else -1
    return float(distinct[end]), float(counts[end] / counts.sum())


def outliers(values: Sliced, distance: float, few: float) -> Outliers | None:
    """Rows beyond `distance` MAD of the median, or a share below `few` that doubles the range.

    None when there are none; a component of two values has no outliers.
    """
    distinct, counts = counted(applicable(values))
    if len(distinct) <= 2:
        return None
    # Scaled to [-1, 1], so that differences do not overflow.
    scaled = distinct / (np.abs(distinct).max() or 1.0)
    off = np.abs(scaled - _median(scaled, counts))
    outwards = np.argsort(-off, kind="stable")
    spread = _median(off[outwards[::-1]], counts[outwards[::-1]])
    far = off > distance * spread if spread > 0 else np.zeros(len(off), dtype=bool)
    if not far.any():
        # The values farthest out, of rows fewer than the share `few`.
        most = int(np.ceil(few * counts.sum())) - 1
        far[outwards[np.cumsum(counts[outwards]) <= most]] = True
        if not far.any() or _stretch(scaled, far) < 2:
            return None
        rest = scaled[~far]
        far &= (scaled < rest.min()) | (scaled > rest.max())
    known = distinct[far]
    found = rows_where(values, lambda some: np.isin(some, known))
    where = np.searchsorted(distinct, _at(values, found))
    reach = float(off.max() / spread) if spread > 0 else None
    return Outliers(found[np.argsort(-off[where], kind="stable")], reach, _stretch(scaled, far))


def _at(column: Sliced, rows: Rows) -> Array:
    """The values of rows in rising order, some of the column at a time."""
    cuts = np.searchsorted(rows, np.arange(0, len(column) + _CHUNK, _CHUNK))
    parts = (rows[a:b] for a, b in itertools.pairwise(cuts))
    return np.concatenate([np.zeros(0), *(_taken(column, part) for part in parts if len(part))])


def _median(values: Array, counts: Rows) -> float:
    """The median of ordered values that occur so often."""
    ends = np.cumsum(counts)
    middle = np.array([(ends[-1] - 1) // 2, ends[-1] // 2])
    return float(values[np.searchsorted(ends, middle, side="right")].mean())


def _stretch(values: Array, far: NDArray[np.bool_]) -> float:
    rest = values[~far]
    inner = float(rest.max() - rest.min())
    return float(values.max() - values.min()) / inner if inner > 0 else np.inf


def directions(components: Mapping[str, Sliced], reward: Sliced) -> dict[str, float]:
    """How the reward moves with each component, the others held: standardised slopes.

    From a least-squares fit over the rows where all apply; 0 for what does not vary there.
    """
    if not components:
        return {}
    columns = [*components.values(), reward]
    count, largest, sums = 0, np.zeros(len(columns)), np.zeros(len(columns))
    for table in _tables(columns):
        count += len(table)
        largest = np.maximum(largest, np.abs(table).max(axis=0, initial=0.0))
    if count < 2:
        return dict.fromkeys(components, 0.0)
    largest = np.where(largest > 0, largest, 1.0)
    for table in _tables(columns):
        sums += (table / largest).sum(axis=0)
    products = np.zeros((len(columns), len(columns)))
    for table in _tables(columns):
        centred = table / largest - sums / count
        products += centred.T @ centred
    deviation = np.sqrt(np.diag(products) / count)
    deviation = np.where(deviation > 1e-12, deviation, np.inf)
    products /= count * np.outer(deviation, deviation)
    slopes = np.linalg.lstsq(products[:-1, :-1], products[:-1, -1], rcond=1e-10)[0]
    return dict(zip(components, map(float, slopes), strict=True))


def _tables(columns: Sequence[Sliced]) -> Iterator[Array]:
    """The rows where all columns apply, some at a time."""
    for start in range(0, len(columns[0]), _CHUNK):
        table = np.column_stack([c[start : start + _CHUNK] for c in columns])
        yield table[~np.isnan(table).any(axis=1)]
