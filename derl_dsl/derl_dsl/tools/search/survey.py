"""Figures of many score vectors at once, in compiled loops: order, spread, fingerprint."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

# Between 2**19 and 2**20, and no round number: plain fractions stay away from where steps change.
_STEPS = 1034783.7182818284


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def survey(
    scores: NDArray[np.float64],
    good: NDArray[np.int64],
    bad: NDArray[np.int64],
    offsets: NDArray[np.int64],
    still: NDArray[np.bool_],
    weights: NDArray[np.uint64],
    figures: NDArray[np.int64],
    ends: NDArray[np.float64],
    prints: NDArray[np.uint64],
) -> None:  # pragma: no cover - compiled
    """Fill the figures of each row of (K, B) scores.

    `figures` (K, 4): 1 if all are finite, pairs in order counted twice and ties once, groups that
    are spread, and those of them whose outcome is one throughout (`still`). `ends` (K, 2): the
    smallest and the largest score. `prints` (K,): a hash of the scores that a positive affine
    change leaves alone, and so does a negative one where more pairs are in the wrong order.
    """
    rows = scores.shape[1]
    inside = np.ones(rows, np.int32)
    for g in range(offsets.shape[0] - 1):
        if offsets[g] < rows:
            inside[offsets[g]] = 0
    # Up to each row, how many differ from the one before it in their group.
    changes = np.zeros(rows + 1, np.int32)
    for k in range(scores.shape[0]):
        row = scores[k]
        figures[k, 0], figures[k, 1] = 0, good.shape[0]
        figures[k, 2], figures[k, 3] = 0, 0
        ends[k, 0], ends[k, 1] = 0.0, 0.0
        prints[k] = 0
        if not _finite(row):
            continue
        figures[k, 0] = 1
        low, high = _ends(row)
        ends[k, 0], ends[k, 1] = low, high
        if low == high:
            continue
        order = 0
        for p in range(good.shape[0]):
            gap = row[good[p]] - row[bad[p]]
            order += (gap > 0) - (gap < 0)
        figures[k, 1] = order + good.shape[0]
        for b in range(1, rows):
            changes[b + 1] = changes[b] + (inside[b] & (row[b] != row[b - 1]))
        spread, quiet = 0, 0
        for g in range(offsets.shape[0] - 1):
            varied = changes[offsets[g + 1]] > changes[offsets[g]]
            spread += varied
            quiet += varied & still[g]
        figures[k, 2], figures[k, 3] = spread, quiet
        steps = _STEPS / (high - low)
        zero = low
        if order < 0:
            steps, zero = -steps, high
        found = np.uint64(0)
        for b in range(rows):
            found += np.uint64(np.int64((row[b] - zero) * steps + 0.5)) * weights[b]
        prints[k] = found


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _finite(row: NDArray[np.float64]) -> Any:  # pragma: no cover - compiled
    odd = 0
    for b in range(row.shape[0]):
        odd += not (abs(row[b]) <= 1e300)
    return odd == 0


@njit(cache=True, nogil=True, error_model="numpy")  # type: ignore[untyped-decorator]
def _ends(row: NDArray[np.float64]) -> Any:  # pragma: no cover - compiled
    # Four of each, for a comparison waits for the one before it.
    l0 = l1 = l2 = l3 = h0 = h1 = h2 = h3 = row[0]
    whole = row.shape[0] // 4 * 4
    for b in range(0, whole, 4):
        v0, v1, v2, v3 = row[b], row[b + 1], row[b + 2], row[b + 3]
        l0, h0 = v0 if v0 < l0 else l0, v0 if v0 > h0 else h0
        l1, h1 = v1 if v1 < l1 else l1, v1 if v1 > h1 else h1
        l2, h2 = v2 if v2 < l2 else l2, v2 if v2 > h2 else h2
        l3, h3 = v3 if v3 < l3 else l3, v3 if v3 > h3 else h3
    low, high = min(l0, l1, l2, l3), max(h0, h1, h2, h3)
    for b in range(whole, row.shape[0]):
        low, high = min(low, row[b]), max(high, row[b])
    return low, high
