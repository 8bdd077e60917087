"""Intervals: the range of every operation, from the ranges of its arguments.

A range is `(lo, hi, nan)`: all values lie in [lo, hi], and `nan` says whether NaN is possible.
An infinite end means that the value itself can be infinite. For correctly rounded operations the
ends computed in float64 are sound as they are, because rounding is monotone; results of exp, log,
pow and the like are widened by a few units in the last place.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import NamedTuple

INF = math.inf
LARGEST = sys.float_info.max


class Range(NamedTuple):
    """All values of an operation."""

    lo: float
    hi: float
    nan: bool = False

    @property
    def finite(self) -> bool:
        """Whether no value is infinite or NaN."""
        return not self.nan and self.lo > -INF and self.hi < INF

    def meet(self, lo: float, hi: float) -> Range:
        """This range cut to [lo, hi]; unchanged when nothing would be left."""
        low, high = max(self.lo, lo), min(self.hi, hi)
        return Range(low, high, self.nan) if low <= high else self


ANY = Range(-INF, INF, True)
UNIT = Range(0.0, 1.0)


def hull(a: Range, b: Range) -> Range:
    """The smallest range that holds both."""
    return Range(min(a.lo, b.lo), max(a.hi, b.hi), a.nan or b.nan)


def _widen(lo: float, hi: float) -> tuple[float, float]:
    """The ends moved outwards by what two mathematical libraries may disagree."""
    for _ in range(4):
        lo, hi = math.nextafter(lo, -INF), math.nextafter(hi, INF)
    return lo, hi


def _sum(x: float, y: float, end: float) -> float:
    total = x + y
    return end if math.isnan(total) else total


def neg(a: Range) -> Range:
    """-a."""
    return Range(-a.hi, -a.lo, a.nan)


def add(a: Range, b: Range) -> Range:
    """a + b; NaN where opposite infinities meet."""
    lo, hi = a.lo + b.lo, a.hi + b.hi
    if lo > -INF and hi < INF:
        return Range(lo, hi, a.nan or b.nan)
    nan = a.nan or b.nan or (a.lo == -INF and b.hi == INF) or (a.hi == INF and b.lo == -INF)
    return Range(_sum(a.lo, b.lo, -INF), _sum(a.hi, b.hi, INF), nan)


def sub(a: Range, b: Range) -> Range:
    """a - b."""
    lo, hi = a.lo - b.hi, a.hi - b.lo
    if lo > -INF and hi < INF:
        return Range(lo, hi, a.nan or b.nan)
    return add(a, neg(b))


def _product(x: float, y: float) -> float:
    return 0.0 if x == 0 or y == 0 else x * y


def mul(a: Range, b: Range) -> Range:
    """a * b; NaN where zero meets infinity."""
    (lo, hi, nan_a), (low, high, nan_b) = a, b
    inf_a, inf_b = lo == -INF or hi == INF, low == -INF or high == INF
    if inf_a or inf_b:
        ends = [_product(x, y) for x in (lo, hi) for y in (low, high)]
        nan = nan_a or nan_b or (inf_b and lo <= 0 <= hi) or (inf_a and low <= 0 <= high)
        return Range(min(ends), max(ends), nan)
    # `or`: no end is minus zero, which a message would show.
    ends = [lo * low or 0.0, lo * high or 0.0, hi * low or 0.0, hi * high or 0.0]
    return Range(min(ends), max(ends), nan_a or nan_b)


def square(a: Range) -> Range:
    """a * a."""
    ends = (a.lo * a.lo, a.hi * a.hi)
    return Range(0.0 if a.lo <= 0 <= a.hi else min(ends), max(ends), a.nan)


def _quotient(x: float, y: float) -> float:
    if math.isinf(y):
        return math.copysign(INF, x) if math.isinf(x) else 0.0
    return x / y


def div(a: Range, b: Range) -> Range:
    """a / b; anything when b can be zero: a division by zero spoils whatever is made of it."""
    if b.lo <= 0 <= b.hi:
        return ANY
    infinite = (a.lo == -INF or a.hi == INF) and (b.lo == -INF or b.hi == INF)
    ends = [_quotient(x, y) for x in (a.lo, a.hi) for y in (b.lo, b.hi)]
    return Range(min(ends), max(ends), a.nan or b.nan or infinite)


def mod(a: Range, b: Range) -> Range:
    """a % b with the sign of b, as in Python."""
    nan = a.nan or b.nan or b.lo <= 0 <= b.hi or a.lo == -INF or a.hi == INF
    if nan:
        return ANY
    if b.lo > 0:
        return Range(0.0, min(a.hi, b.hi) if a.lo >= 0 else b.hi)
    return Range(max(a.lo, b.lo) if a.hi <= 0 else b.lo, 0.0)


def _power(x: float, y: float) -> float:
    try:
        return math.pow(x, y)
    except (OverflowError, ValueError):
        return INF


def pow_(a: Range, b: Range) -> Range:
    """a ** b as IEEE pow; NaN for a negative number to a fraction."""
    if a.nan or b.nan or (b.lo < 0 and a.lo <= 0 <= a.hi):
        return ANY
    if a.lo >= 0:
        ends = [_power(x, y) for x in (a.lo, a.hi) for y in (b.lo, b.hi)]
        if b.lo <= 0 <= b.hi or a.lo <= 1 <= a.hi:
            ends.append(1.0)
        lo, hi = _widen(min(ends), max(ends))
        return Range(max(0.0, lo), hi)
    if b.lo == b.hi and b.lo.is_integer() and (b.lo > 0 or a.hi < 0):
        ends = [_signed_power(x, b.lo) for x in (a.lo, a.hi)]
        if a.lo <= 0 <= a.hi:
            ends.append(0.0)
        return Range(*_widen(min(ends), max(ends)))
    return ANY


def _signed_power(x: float, y: float) -> float:
    size = _power(abs(x), y)
    return -size if x < 0 and y % 2 == 1 else size


def minimum(a: Range, b: Range) -> Range:
    """min(a, b)."""
    return Range(min(a.lo, b.lo), min(a.hi, b.hi), a.nan or b.nan)


def maximum(a: Range, b: Range) -> Range:
    """max(a, b)."""
    return Range(max(a.lo, b.lo), max(a.hi, b.hi), a.nan or b.nan)


def absolute(a: Range) -> Range:
    """|a|."""
    far = max(abs(a.lo), abs(a.hi))
    return Range(0.0 if a.lo <= 0 <= a.hi else min(abs(a.lo), abs(a.hi)), far, a.nan)


def _exp_at(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return INF


def exp(a: Range) -> Range:
    """exp(a)."""
    lo, hi = _widen(_exp_at(a.lo), _exp_at(a.hi))
    return Range(max(0.0, lo), hi, a.nan)


def log(a: Range) -> Range:
    """The natural logarithm; -inf at 0, NaN below."""
    lo = math.log(a.lo) if 0 < a.lo < INF else (-INF if a.lo <= 0 else INF)
    hi = math.log(a.hi) if 0 < a.hi < INF else (-INF if a.hi <= 0 else INF)
    return Range(*_widen(lo, hi), a.nan or a.lo < 0)


def sqrt(a: Range) -> Range:
    """The square root; NaN below 0."""
    lo, hi = max(a.lo, 0.0), max(a.hi, 0.0)
    return Range(math.sqrt(lo), math.sqrt(hi), a.nan or a.lo < 0)


def tanh(a: Range) -> Range:
    """tanh(a)."""
    lo, hi = _widen(math.tanh(a.lo), math.tanh(a.hi))
    return Range(max(-1.0, lo), min(1.0, hi), a.nan)


def _sigmoid_at(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else 1 - 1 / (1 + _exp_at(x))


def sigmoid(a: Range) -> Range:
    """1 / (1 + exp(-a))."""
    lo, hi = _widen(_sigmoid_at(a.lo), _sigmoid_at(a.hi))
    # 1 - 1 / (1 + e) loses digits for very negative numbers; the value itself is at least 0.
    return Range(max(0.0, lo - 1e-15), min(1.0, hi + 1e-15), a.nan)


def cos(a: Range) -> Range:
    """cos(a); exact only where the interval lies within half a turn."""
    infinite = a.lo == -INF or a.hi == INF
    if infinite or a.hi - a.lo >= math.pi or max(abs(a.lo), abs(a.hi)) > 1e6:
        return Range(-1.0, 1.0, a.nan or infinite)
    lo, hi = sorted((math.cos(a.lo), math.cos(a.hi)))
    first = math.ceil(a.lo / math.pi - 1e-9)
    for turn in range(first, math.floor(a.hi / math.pi + 1e-9) + 1):
        lo, hi = (lo, 1.0) if turn % 2 == 0 else (-1.0, hi)
    lo, hi = _widen(lo, hi)
    return Range(max(-1.0, lo), min(1.0, hi), a.nan)


def floor(a: Range) -> Range:
    """The largest whole number not above a."""
    lo = a.lo if math.isinf(a.lo) else float(math.floor(a.lo))
    hi = a.hi if math.isinf(a.hi) else float(math.floor(a.hi))
    return Range(lo, hi, a.nan)


def round_(a: Range) -> Range:
    """The nearest whole number, halves to even."""
    lo = a.lo if math.isinf(a.lo) else float(round(a.lo))
    hi = a.hi if math.isinf(a.hi) else float(round(a.hi))
    return Range(lo, hi, a.nan)


def sign(a: Range) -> Range:
    """-1, 0 or 1."""
    return Range(float((a.lo > 0) - (a.lo < 0)), float((a.hi > 0) - (a.hi < 0)), a.nan)


def guard(a: Range, default: Range) -> Range:
    """a where it is finite, else the default."""
    if a.finite:
        return a
    inside = Range(max(a.lo, -LARGEST), min(a.hi, LARGEST))
    return hull(inside, default) if inside.lo <= inside.hi else default


def less(a: Range, b: Range) -> Range:
    """a < b as 0 or 1."""
    nan = a.nan or b.nan
    return Range(float(a.hi < b.lo and not nan), float(a.lo < b.hi), nan)


def less_equal(a: Range, b: Range) -> Range:
    """a <= b as 0 or 1."""
    nan = a.nan or b.nan
    return Range(float(a.hi <= b.lo and not nan), float(a.lo <= b.hi), nan)


def equal(a: Range, b: Range) -> Range:
    """a == b as 0 or 1."""
    nan = a.nan or b.nan
    same = a.lo == a.hi == b.lo == b.hi and not nan
    return Range(float(same), float(a.lo <= b.hi and b.lo <= a.hi), nan)


def logical_not(a: Range) -> Range:
    """Not a, on 0 and 1."""
    return Range(1.0 - a.hi, 1.0 - a.lo, a.nan)


def unequal(a: Range, b: Range) -> Range:
    """a != b as 0 or 1."""
    found = logical_not(equal(a, b))
    return Range(found.lo, 1.0 if found.nan else found.hi, found.nan)


# The most steps of a rollout and rollouts of a group; the runtime refuses more.
MOST_STEPS = 1e6
MOST_ROLLOUTS = 1e6
# Beyond these a sum, or a sum of squares, of a million values can overflow.
_SUMMED = 1e300
_SQUARED = 1e150


def list_sum(a: Range) -> Range:
    """The sum of a list's values, with room for the rounding of a million additions."""
    most = mul(a, Range(MOST_STEPS, MOST_STEPS * (1 + 1e-9)))
    # Infinite partial sums of both signs meet as NaN.
    return Range(min(0.0, most.lo), max(0.0, most.hi), not most.finite)


def of_list(a: Range) -> Range:
    """A mean, an end or an extreme of a list; 0 of an empty one."""
    return hull(a, Range(0.0, 0.0, a.nan))


def list_count(_: Range) -> Range:
    """The number of steps."""
    return Range(0.0, MOST_STEPS)


def truth(a: Range) -> Range:
    """Whether a condition holds at any or every step."""
    return Range(0.0, 1.0, a.nan)


def same(a: Range, *_: Range) -> Range:
    """A condition as 0 or 1; a part of a list; a mean, extreme or quantile over the group.

    Kernels hold means and quantiles between the extremes, where rounding would leave them.
    """
    return a


def group_std(a: Range, _: Range) -> Range:
    """The standard deviation over the group: at most half the range (Popoviciu)."""
    spread = a.hi - a.lo
    return Range(0.0, spread / 2, not a.finite or spread > _SQUARED)


def group_mean(a: Range, *_: Range) -> Range:
    """The mean over the group, or of a list with steps; NaN where its sum can overflow."""
    large = max(abs(a.lo), abs(a.hi)) > _SUMMED
    return Range(a.lo, a.hi, a.nan or large)


def list_mean(a: Range) -> Range:
    """The mean of a list's values; 0 of an empty one."""
    return of_list(group_mean(a))


def group_quantile(a: Range, _: Range) -> Range:
    """A quantile over the group; NaN where the gap between neighbours can overflow."""
    return Range(a.lo, a.hi, a.nan or math.isinf(a.hi - a.lo))


def group_rank(a: Range, _: Range) -> Range:
    """The rank over the group."""
    return Range(0.0, 1.0, a.nan)


def group_size(_: Range) -> Range:
    """The number of rollouts of the group."""
    return Range(0.0, MOST_ROLLOUTS)


def filled_sum(a: Range) -> Range:
    """The sum of a list with steps: no less than each where none is negative."""
    found = list_sum(a)
    lo = a.lo if a.lo > 0 else found.lo
    return Range(lo, min(found.hi, a.hi) if a.hi < 0 else found.hi, found.nan)


def filled_count(_: Range) -> Range:
    """The number of steps of a list that has some."""
    return Range(1.0, MOST_STEPS)


# Reductions of a list that has steps.
FILLED: dict[str, Callable[[Range], Range]] = {
    "list_sum": filled_sum,
    "list_mean": group_mean,
    "list_min": same,
    "list_max": same,
    "list_first": same,
    "list_last": same,
    "list_count": filled_count,
    "list_any": same,
    "list_all": same,
}

OPS: dict[str, Callable[..., Range]] = {
    "neg": neg,
    "add": add,
    "sub": sub,
    "mul": mul,
    "div": div,
    "mod": mod,
    "pow": pow_,
    "min": minimum,
    "max": maximum,
    "abs": absolute,
    "exp": exp,
    "log": log,
    "sqrt": sqrt,
    "tanh": tanh,
    "sigmoid": sigmoid,
    "cos": cos,
    "floor": floor,
    "round": round_,
    "sign": sign,
    "guard": guard,
    "lt": less,
    "le": less_equal,
    "eq": equal,
    "ne": unequal,
    "and": minimum,
    "or": maximum,
    "not": logical_not,
    "num": same,
    "list_sum": list_sum,
    "list_mean": list_mean,
    "list_min": of_list,
    "list_max": of_list,
    "list_first": of_list,
    "list_last": of_list,
    "list_count": list_count,
    "list_any": truth,
    "list_all": truth,
    "third": same,
    "part": same,
    "group_mean": group_mean,
    "group_std": group_std,
    "group_min": same,
    "group_max": same,
    "group_rank": group_rank,
    "group_quantile": group_quantile,
    "group_size": group_size,
}
