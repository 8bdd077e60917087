"""Means and shares with their 95 % intervals; tests of paired differences."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

_CUTS = 4096  # of a quarter turn, for the quantiles
_EXACT = 16  # differences of which all signs are tried
_NEAR = 1e-12  # sums that rounding alone sets apart


def interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Mean and half width of the t-interval of at least two values.

    >>> interval([0.4, 0.5, 0.6])
    (0.5, 0.248...)
    """
    n = len(values)
    mean = math.fsum(values) / n
    variance = math.fsum((v - mean) ** 2 for v in values) / (n - 1)
    return mean, quantile(n - 1, (1 + level) / 2) * math.sqrt(variance / n)


@lru_cache(maxsize=256)
def quantile(freedom: int, share: float = 0.975) -> float:
    """The quantile of Student's t above its middle.

    >>> round(quantile(3), 3), round(quantile(31), 4), round(quantile(7, 0.99375), 3)
    (3.182, 2.0395, 3.335)
    """
    # With x = sqrt(freedom) * tan(angle) its density is cos(angle) ** (freedom - 1), normalised.
    angles = [math.pi / 2 * i / _CUTS for i in range(_CUTS + 1)]
    density = [max(0.0, math.cos(angle)) ** (freedom - 1) for angle in angles]
    mass = [0.0]
    for i in range(0, _CUTS, 2):  # Simpson's rule
        mass.append(mass[-1] + (density[i] + 4 * density[i + 1] + density[i + 2]) / 3)
    wanted = (2 * share - 1) * mass[-1]
    at = bisect_right(mass, wanted) - 1
    # Within the slice the mass is next to linear.
    part = (wanted - mass[at]) / (mass[at + 1] - mass[at])
    return math.sqrt(freedom) * math.tan(angles[2 * at] + part * math.pi / _CUTS)


def sign_flip(differences: Sequence[float], draws: int = 100_000) -> float:
    """Two-sided p of paired differences if their signs were chance: exact up to 16 of them.

    >>> sign_flip([0.1, 0.2, 0.3]), sign_flip([0.0, 0.0])
    (0.25, 1.0)
    """
    values = np.asarray(differences, dtype=float)
    n, seen = len(values), abs(float(values.sum())) - _NEAR
    if n <= _EXACT:
        flips = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        return float(np.mean(np.abs(flips @ values) >= seen))
    flips = np.random.default_rng(0).choice((-1, 1), size=(draws, n))
    # The data themselves are one of the draws: p is never 0.
    return float((1 + np.sum(np.abs(flips @ values) >= seen)) / (draws + 1))


def holm(values: Sequence[float]) -> list[float]:
    """p-values of several comparisons corrected for their number, by Holm.

    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(values)), key=values.__getitem__)
    found, worst = [0.0] * len(values), 0.0
    for rank, i in enumerate(order):
        worst = max(worst, min(1.0, (len(values) - rank) * values[i]))
        found[i] = worst
    return found


def over_problems(
    ours: Sequence[str], theirs: Sequence[str], draws: int = 10_000, level: float = 0.95
) -> tuple[float, float, float]:
    """A difference of pass@1 with its bootstrap interval over problems, paired by problem.

    Each is one text of 0 and 1 a run, a digit for each of the same problems; runs are averaged, and
    stay as they are: the interval says nothing of other runs. Raises ValueError where they differ
    in problems.

    >>> over_problems(["1110"], ["0110"])
    (0.25, 0.0, 0.75)
    """
    if len({len(bits) for bits in (*ours, *theirs)}) != 1:
        raise ValueError("the runs were not scored on the same problems")
    each = [np.mean([[int(c) for c in bits] for bits in side], axis=0) for side in (ours, theirs)]
    difference = each[0] - each[1]
    rng, means = np.random.default_rng(0), []
    for _ in range(draws):
        means.append(float(difference[rng.integers(len(difference), size=len(difference))].mean()))
    low, high = np.quantile(means, ((1 - level) / 2, (1 + level) / 2))
    return float(difference.mean()), float(low), float(high)


def wilson(count: int, of: int) -> tuple[float, float]:
    """The 95 % Wilson interval of a share.

    >>> wilson(0, 10)
    (0.0, 0.27...)
    """
    z = 1.959964
    share, spread = count / of, z * z / of
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(share * (1 - share) * spread + spread * spread / 4) / (1 + spread)
    # Exactly 0 or 1 at the ends, whatever the rounding.
    low = 0.0 if count == 0 else middle - half
    return low, 1.0 if count == of else middle + half


def change(a: int, n: int, b: int, m: int) -> tuple[float, float, float]:
    """A share's change from a of n to b of m, with Newcombe's 95 % interval.

    >>> low = change(10, 100, 50, 100)[1]
    >>> low > 0.25
    True
    """
    before, after = a / n, b / m
    (l1, u1), (l2, u2) = wilson(a, n), wilson(b, m)
    difference = after - before
    low = difference - math.hypot(after - l2, u1 - before)
    return difference, low, difference + math.hypot(u2 - after, before - l1)
