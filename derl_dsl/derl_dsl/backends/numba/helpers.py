"""What the loops of a numba kernel call: operations that NumPy and Python round or order otherwise.

These are plain functions, which the emitted source has as they stand here, each below `@njit`. They
compute what `graph/scalars.py` and the reference do, in its order: sums run from left to right. A
group function is given the values of one group as float64 and which of its rows count.
"""

# numba compiles loops, and these are what it is given.
from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np

NAN = np.float64(math.nan)
real: Any = np.float64


def libm(name: str, takes: int) -> Any:
    """A function of the C library by its address: what everybody else computes, bit for bit."""
    function = getattr(ctypes.CDLL(None), name)
    function.restype, function.argtypes = ctypes.c_double, [ctypes.c_double] * takes
    return function


c_exp, c_log, c_tanh, c_cos = (libm(name, 1) for name in ("exp", "log", "tanh", "cos"))
c_pow, c_fmod = libm("pow", 2), libm("fmod", 2)


def mod(x: Any, y: Any) -> Any:
    """Python's remainder, with the sign of y; NaN where y is 0."""
    if y == 0:
        return real(NAN)
    rest = real(c_fmod(x, y))
    if rest == 0:
        return real(math.copysign(0.0, y))
    return rest + y if (y < 0) != (rest < 0) else rest


def power(x: Any, y: Any) -> Any:
    """x to the power of y; NaN for a negative power of 0."""
    return real(NAN) if x == 0 and y < 0 else real(c_pow(x, y))


def sigmoid(x: Any) -> Any:
    """1 / (1 + exp(-x)), computed in float64."""
    shrunk = c_exp(-abs(np.float64(x)))
    return real((1.0 if x >= 0 else shrunk) / (1.0 + shrunk))


def held(x: float, lo: float, hi: float) -> float:
    """x between lo and hi."""
    x = lo if x < lo else x
    return hi if hi < x else x


def third(k: float, steps: int) -> tuple[int, int]:
    """The first step and the end of the k-th third."""
    return (int(k) - 1) * steps // 3, int(k) * steps // 3


def part(first: float, last: float, steps: int) -> tuple[int, int]:
    """The first step and the end of a part, given by shares."""
    return int(np.floor(steps * first)), int(np.floor(steps * last))


def list_mean(total: float, lo: float, hi: float, steps: int) -> float:
    """The mean of a list, held between its extremes; 0 of nothing."""
    return held(total / steps, lo, hi) if steps > 0 else 0.0


def group_mean(x: Any, use: Any, literal: float) -> Any:
    """The mean, held between the extremes; 0 of nothing."""
    total, lo, hi, count = 0.0, 0.0, 0.0, 0
    for k in range(len(x)):
        if use[k]:
            lo = x[k] if count == 0 or x[k] < lo else lo
            hi = x[k] if count == 0 or hi < x[k] else hi
            total += x[k]
            count += 1
    return np.full(len(x), held(total / count, lo, hi) if count > 0 else 0.0)


def group_std(x: Any, use: Any, literal: float) -> Any:
    """The deviation (divisor n), the first value taken off before summing."""
    total, first, lo, hi, count = 0.0, 0.0, 0.0, 0.0, 0
    for k in range(len(x)):
        if use[k]:
            first = x[k] if count == 0 else first
            lo = x[k] if count == 0 or x[k] < lo else lo
            hi = x[k] if count == 0 or hi < x[k] else hi
            total += x[k] - first
            count += 1
    if count < 2:
        return np.zeros(len(x))
    mean, squares = total / count, 0.0
    for k in range(len(x)):
        if use[k]:
            off = x[k] - first - mean
            squares += off * off
    root, half = math.sqrt(squares / count), (hi - lo) / 2.0
    return np.full(len(x), half if half < root else root)


def group_min(x: Any, use: Any, literal: float) -> Any:
    """The smallest value; NaN if any is; 0 of nothing."""
    best, none = 0.0, True
    for k in range(len(x)):
        if use[k]:
            best = x[k] if none or x[k] < best or x[k] != x[k] else best
            none = False
    return np.full(len(x), best)


def group_max(x: Any, use: Any, literal: float) -> Any:
    """The largest value; NaN if any is; 0 of nothing."""
    best, none = 0.0, True
    for k in range(len(x)):
        if use[k]:
            best = x[k] if none or best < x[k] or x[k] != x[k] else best
            none = False
    return np.full(len(x), best)


def group_size(x: Any, use: Any, literal: float) -> Any:
    """How many rows count."""
    count = 0
    for k in range(len(use)):
        count += 1 if use[k] else 0
    return np.full(len(use), float(count))


def place(ordered: Any, x: float, ties: bool) -> int:
    """How many of the sorted values are smaller than x, or equal to it where ties count."""
    lo, hi = 0, len(ordered)
    while lo < hi:
        middle = (lo + hi) // 2
        if ordered[middle] < x or (ties and ordered[middle] == x):
            lo = middle + 1
        else:
            hi = middle
    return lo


def group_rank(x: Any, use: Any, literal: float) -> Any:
    """The share of the others that are smaller, ties half; NaN beside a NaN."""
    out, kept, everyone, odd = np.empty(len(x)), np.empty(len(x)), 0, False
    for k in range(len(x)):
        if use[k]:
            kept[everyone] = x[k]
            everyone += 1
            odd = odd or x[k] != x[k]
    # Small groups by all pairs, larger ones by what is sorted.
    many = len(x) > 256
    if many:
        kept[:everyone] = np.sort(kept[:everyone])
    for k in range(len(x)):
        twice = 0
        if many:
            twice = place(kept[:everyone], x[k], False) + place(kept[:everyone], x[k], True)
        else:
            for j in range(everyone):
                twice += 2 if kept[j] < x[k] else 1 if kept[j] == x[k] else 0
        own = 1 if use[k] else 0
        others = everyone - own
        rank = (twice - own) * 0.5 / others if others > 0 else 0.5
        out[k] = NAN if odd or x[k] != x[k] else rank
    return out


def group_quantile(x: Any, use: Any, literal: float) -> Any:
    """The quantile, linear between neighbours; NaN if any value is; 0 of nothing."""
    kept, count = np.empty(len(x)), 0
    for k in range(len(x)):
        if use[k]:
            kept[count] = x[k] + 0.0
            count += 1
    if count == 0:
        return np.zeros(len(x))
    ordered = np.sort(kept[:count])
    largest = ordered[count - 1]
    if largest != largest:  # NaN is sorted last
        return np.full(len(x), largest)
    at = literal * (count - 1)
    below = int(at)
    above = min(below + 1, count - 1)
    value = ordered[below] + (at - below) * (ordered[above] - ordered[below])
    value = value if ordered[below] < value else ordered[below]
    return np.full(len(x), value if value < ordered[above] else ordered[above])
