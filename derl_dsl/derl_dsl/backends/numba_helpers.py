"""Functions that the generated loops call; compiled by numba, written to agree with `reference`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x)), without overflow."""
    if x >= 0:
        return 1.0 / (1.0 + math.exp(-x))
    grown = math.exp(x)
    return grown / (1.0 + grown)


def log(x: float) -> float:
    """The natural logarithm; -inf at 0 and NaN below, where math.log raises."""
    if x > 0 or x != x:
        return math.log(x)
    return -math.inf if x == 0 else math.nan


def mod(a: float, b: float) -> float:
    """a % b with the sign of b; NaN for b = 0."""
    return math.nan if b == 0 else a % b


def sign(x: float) -> float:
    """-1, 0 or 1; NaN of NaN. np.sign of compiled code keeps -0.0, NumPy's does not."""
    if x > 0:
        return 1.0
    if x < 0:
        return -1.0
    return 0.0 if x == 0 else x


def group_mean(x: Any, w: Any, live: Any, groups: Any, q: float, out: Any) -> None:
    """The mean over the group, held between its extremes."""
    for g in range(len(groups) - 1):
        total, n, lo, hi = 0.0, 0, 0.0, 0.0
        for r in range(groups[g], groups[g + 1]):
            if w[r] != 0.0 and live[r]:
                total += x[r]
                lo = x[r] if n == 0 or x[r] < lo else lo
                hi = x[r] if n == 0 or x[r] > hi else hi
                n += 1
        value = min(max(total / n, lo), hi) if n else 0.0
        for r in range(groups[g], groups[g + 1]):
            out[r] = value


def group_std(x: Any, w: Any, live: Any, groups: Any, q: float, out: Any) -> None:
    """The standard deviation over the group; the first value is taken off before summing."""
    for g in range(len(groups) - 1):
        total, n, lo, hi, first = 0.0, 0, 0.0, 0.0, 0.0
        for r in range(groups[g], groups[g + 1]):
            if w[r] != 0.0 and live[r]:
                first = x[r] if n == 0 else first
                lo = x[r] if n == 0 or x[r] < lo else lo
                hi = x[r] if n == 0 or x[r] > hi else hi
                total += x[r] - first
                n += 1
        squares = 0.0
        mean = total / n if n else 0.0
        for r in range(groups[g], groups[g + 1]):
            if w[r] != 0.0 and live[r]:
                squares += (x[r] - first - mean) * (x[r] - first - mean)
        value = min(math.sqrt(squares / n), (hi - lo) / 2) if n > 1 else 0.0
        for r in range(groups[g], groups[g + 1]):
            out[r] = value


def group_min(x: Any, w: Any, live: Any, groups: Any, q: float, out: Any) -> None:
    """The smallest value of the group; 0 of none."""
    for g in range(len(groups) - 1):
        value, n = 0.0, 0
        for r in range(groups[g], groups[g + 1]):
            if w[r] != 0.0 and live[r]:
                value = x[r] if n == 0 or x[r] < value else value
                n += 1
        for r in range(groups[g], groups[g + 1]):
            out[r] = value


def group_max(x: Any, w: Any, live: Any, groups: Any, q: float, out: Any) -> None:
    """The largest value of the group; 0 of none."""
    for g in range(len(groups) - 1):
        value, n = 0.0, 0
        for r in range(groups[g], groups[g + 1]):
            if w[r] != 0.0 and live[r]:
                value = x[r] if n == 0 or x[r] > value else value
                n += 1
        for r in range(groups[g], groups[g + 1]):
            out[r] = value


def group_size(x: Any, w: Any, live: Any, groups: Any, q: float, out: Any) -> None:
    """The number of rollouts of the group that count."""
    for g in range(len(groups) - 1):
        n = 0
        for r in range(groups[g], groups[g + 1]):
            if w[r] != 0.0 and live[r]:
                n += 1
        for r in range(groups[g], groups[g + 1]):
            out[r] = n


def group_rank(x: Any, w: Any, live: Any, groups: Any, q: float, out: Any) -> None:
    """The share of the group's others with a smaller value, ties half; 0.5 without others."""
    for g in range(len(groups) - 1):
        for r in range(groups[g], groups[g + 1]):
            below, ties, n = 0, 0, 0
            for o in range(groups[g], groups[g + 1]):
                if o != r and w[o] != 0.0 and live[o]:
                    below += x[o] < x[r]
                    ties += x[o] == x[r]
                    n += 1
            out[r] = (below + 0.5 * ties) / n if n else 0.5


def group_quantile(x: Any, w: Any, live: Any, groups: Any, q: float, out: Any) -> None:
    """The q-quantile of the group, linear between neighbours; 0 of none."""
    for g in range(len(groups) - 1):
        size = groups[g + 1] - groups[g]
        chosen = np.empty(size)
        n = 0
        for r in range(groups[g], groups[g + 1]):
            if w[r] != 0.0 and live[r]:
                chosen[n] = x[r]
                n += 1
        value = 0.0
        if n:
            ordered = np.sort(chosen[:n])
            at = q * (n - 1)
            below = int(at)
            above = min(below + 1, n - 1)
            value = ordered[below] + (at - below) * (ordered[above] - ordered[below])
            value = value if value > ordered[below] else ordered[below]
            value = value if value < ordered[above] else ordered[above]
        for r in range(groups[g], groups[g + 1]):
            out[r] = value


HELPERS = (
    sigmoid,
    log,
    mod,
    sign,
    group_mean,
    group_std,
    group_min,
    group_max,
    group_size,
    group_rank,
    group_quantile,
)
