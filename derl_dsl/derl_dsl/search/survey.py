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
    for k in range(scores.shape[0]):
        row = scores[k]
        low, high, finite = _ends(row)
        figures[k, 0] = finite
        ends[k, 0], ends[k, 1] = low, high
        figures[k, 1], figures[k, 2], figures[k, 3] = good.shape[0], 0, 0
        prints[k] = 0
        if not finite or low == high:
            continue
        order = 0
        for p in range(good.shape[0]):
            a, b = row[good[p]], row[bad[p]]
            order += (a > b) - (a < b)
        figures[k, 1] = order + good.shape[0]
        spread, quiet = 0, 0
        for g in range(offsets.shape[0] - 1):
            first = row[offsets[g]]
            varied = False
            for b in range(offsets[g] + 1, offsets[g + 1]):
                varied |= row[b] != first
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
def _ends(row: NDArray[np.float64]) -> Any:  # pragma: no cover - compiled
    low = high = row[0]
    odd = 0
    for b in range(row.shape[0]):
        value = row[b]
        low = value if value < low else low
        high = value if value > high else high
        odd += not (abs(value) <= 1e300)
    return low, high, odd == 0
