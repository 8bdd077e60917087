"""Means and shares with their 95 % intervals."""

from __future__ import annotations

import math

# 97.5 % quantiles of Student's t for 1, 2, ... degrees of freedom.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
      2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
      2.052, 2.048, 2.045, 2.042)  # fmt: skip


def interval(values: list[float]) -> tuple[float, float]:
    """Mean and half width of the 95 % t-interval of at least two values.

    >>> interval([0.4, 0.5, 0.6])
    (0.5, 0.248...)
    """
    n = len(values)
    mean = math.fsum(values) / n
    variance = math.fsum((v - mean) ** 2 for v in values) / (n - 1)
    return mean, quantile(n - 1) * math.sqrt(variance / n)


def quantile(freedom: int) -> float:
    """The 97.5 % quantile of Student's t, to four digits.

    >>> round(quantile(3), 3), round(quantile(31), 4)
    (3.182, 2.0395)
    """
    if freedom <= len(_T):
        return _T[freedom - 1]
    # Cornish and Fisher's series in 1 / degrees of freedom, around the normal quantile.
    z = 1.959963985
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3


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
