"""forecast: what logged groups say of the gradient before a policy is trained on them.

A group whose rewards are all equal trains nothing. How often that happens with G rollouts a prompt
follows from how often each value occurs among the rollouts logged for it; what of the rest carries
the advantage is a sum over the reward's terms.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from derl_grammar.records import record

Array = NDArray[np.float64]
SIZES = (2, 4, 8, 16, 32, 64)
_BOOTSTRAPS = 400
_RATES = (0.5, 0.75, 0.9, 0.97)
_DIGITS = 10


@record
class Dead:
    """The share of groups of `size` without a gradient, with a 95 % interval over prompts (one
    that is dead and one that is not beside those logged, so that a few promise little).

    `exact`: no group is larger than what was logged for its prompt; else values are drawn again.
    """

    size: int
    share: float
    low: float
    high: float
    exact: bool


@record
class Carried:
    """A term of the reward: its share of the variance of advantages (negative: it works against the
    rest), and the term it cancels most, if any."""

    term: str
    share: float
    against: str | None


@record
class Drift:
    """How a column moves with the advantage: the mean correlation within groups, and its interval
    (a group of each sign beside those logged). Above 0, training makes it grow."""

    column: str
    correlation: float
    low: float
    high: float


@record
class Forecast:
    """What is to be expected; `single`: no prompt has two rollouts, so that nothing is known.

    `unpaid` are rollouts without a reward, which count as not there; `later` the share of dead
    groups at most, once so many answers are right (None: too many prompts have none logged).
    """

    prompts: int
    rollouts: int
    unpaid: int
    single: bool
    dead: tuple[Dead, ...]
    effective: float
    carried: tuple[Carried, ...]
    drift: tuple[Drift, ...]
    later: tuple[tuple[float, float | None], ...]


def forecast(
    values: Array,
    groups: NDArray[np.int64],
    terms: Mapping[str, Array],
    columns: Mapping[str, Array],
    outcome: Array | None,
    sizes: Sequence[int],
    size: int,
    seed: int = 0,
) -> Forecast:
    """Forecast from (B,) rewards of logged rollouts whose groups are numbered from 0.

    `terms` add up to the reward but for a constant, `columns` are what may drift, `size` is the
    number of rollouts a prompt in training. Rollouts without a reward (NaN) count as not there.
    """
    rows = [m[~np.isnan(values[m])] for m in _members(groups)]
    rows = [m for m in rows if len(m)]
    many = [m for m in rows if len(m) > 1]
    rng = np.random.default_rng(seed)
    dead = tuple(_dead(values, many, one, rng) for one in sizes) if many else ()
    centred = np.full(len(values), np.nan)
    for m in many:
        centred[m] = values[m] - values[m].mean()
    return Forecast(
        prompts=len(rows),
        rollouts=int(sum(map(len, rows))),
        unpaid=int(np.isnan(values).sum()),
        single=not many,
        dead=dead,
        effective=_effective(values, many),
        carried=_carried(terms, centred, many),
        drift=tuple(_drift(n, c, values, many, rng) for n, c in columns.items()) if many else (),
        later=() if outcome is None or not many else _later(values, outcome, many, size),
    )


def smallest(found: Sequence[Dead], most: float) -> int | None:
    """The smallest size whose share of dead groups is at most `most`; None when none is."""
    return next((d.size for d in found if d.share <= most), None)


def _members(groups: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    if not len(groups):
        return []
    order = np.argsort(groups, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)


def _dead(
    values: Array, members: Sequence[NDArray[np.int64]], size: int, rng: np.random.Generator
) -> Dead:
    shares = np.array([flat(np.round(values[m], _DIGITS).tolist(), size) for m in members])
    low, high = _interval(shares, (0.0, 1.0), rng)
    exact = all(len(m) >= size for m in members)
    return Dead(size, float(shares.mean()), low, high, exact)


def _interval(
    each: Array, ends: tuple[float, float], rng: np.random.Generator
) -> tuple[float, float]:
    """A 95 % interval of a mean over groups, drawn again with one more group at both `ends`: what
    no group shows may still be there, and of one group alone nothing is known.

    Of 40 groups that show nothing the interval ends at 7 %, as it should (three in 40).
    """
    drawn = np.concatenate([each, ends])
    means = [rng.choice(drawn, len(drawn)).mean() for _ in range(_BOOTSTRAPS)]
    low, high = np.quantile(means, (0.025, 0.975))
    return min(float(low), float(each.mean())), max(float(high), float(each.mean()))


def flat(values: Sequence[float], size: int) -> float:
    """The chance that `size` of the values, drawn at random, are all equal.

    Without replacement (hypergeometric) while there are as many, else with replacement.

    >>> flat([1, 1, 0, 0], 2), flat([1, 0], 4)
    (0.3333333333333333, 0.125)
    """
    counts = Counter(values).values()
    total = len(values)
    if size <= total:
        return sum(math.comb(c, size) for c in counts) / math.comb(total, size)
    return float(sum((c / total) ** size for c in counts))


def _advantages(values: Array, members: Sequence[NDArray[np.int64]]) -> Array:
    """TRL's: (R - mean) / (std + 1e-4), std with one degree of freedom less."""
    found = [(values[m] - values[m].mean()) / (values[m].std(ddof=1) + 1e-4) for m in members]
    return np.concatenate(found) if found else np.empty(0)


def _effective(values: Array, members: Sequence[NDArray[np.int64]]) -> float:
    """The share of rollouts that count, as (sum |A|)^2 / (N sum A^2)."""
    a = np.abs(_advantages(values, members))
    return float(a.sum() ** 2 / (len(a) * (a**2).sum())) if (a**2).sum() > 0 else 0.0


def _carried(
    terms: Mapping[str, Array], centred: Array, members: Sequence[NDArray[np.int64]]
) -> tuple[Carried, ...]:
    """Cov(term, reward) / Var(reward) within groups: the shares add up to 1.

    Each group counts by its own deviation, as in TRL's advantages: what is small beside the rest of
    the data is all there is to learn from in a group that holds nothing else.
    """
    if not members:
        return ()
    kept = np.concatenate(list(members))
    scale = np.zeros(len(centred))
    for m in members:
        deviation = float(centred[m].std())
        scale[m] = 1 / deviation if deviation > 1e-9 else 0.0
    own: dict[str, Array] = {}
    for name, column in terms.items():
        within = np.zeros(len(column))
        for m in members:
            within[m] = column[m] - np.nanmean(column[m])
        own[name] = np.nan_to_num(within[kept]) * scale[kept]
    reward = centred[kept] * scale[kept]
    variance = float((reward**2).mean())
    if variance == 0:
        return ()
    found = []
    for name, column in own.items():
        with_others = {n: float((column * c).mean()) for n, c in own.items() if n != name}
        worst = min(with_others, key=with_others.__getitem__, default=None)
        cancels = worst is not None and _cancel(column, own[worst])
        share = float((column * reward).mean()) / variance
        found.append(Carried(name, share, worst if cancels else None))
    return tuple(sorted(found, key=lambda c: -abs(c.share)))


def _cancel(term: Array, other: Array) -> bool:
    """Whether half of a term is taken back by another one that moves against it."""
    both, own = float((term * other).mean()), float((term**2).mean())
    against = both < -0.5 * math.sqrt(own * float((other**2).mean()))
    return against and both < -0.5 * own


def _drift(
    name: str,
    column: Array,
    values: Array,
    members: Sequence[NDArray[np.int64]],
    rng: np.random.Generator,
) -> Drift:
    found = []
    for m in members:
        x, y = column[m], values[m]
        known = ~np.isnan(x)
        if known.sum() > 1 and x[known].std() > 0 and y[known].std() > 0:
            found.append(float(np.corrcoef(x[known], y[known])[0, 1]))
    if not found:
        return Drift(name, 0.0, -1.0, 1.0)
    low, high = _interval(np.array(found), (-1.0, 1.0), rng)
    return Drift(name, float(np.mean(found)), low, high)


def _later(
    values: Array, outcome: Array, members: Sequence[NDArray[np.int64]], size: int
) -> tuple[tuple[float, float | None], ...]:
    """The share of dead groups once the mean rate of right answers has risen to some values.

    The odds of a right answer rise by one factor for all prompts; right and wrong rollouts are paid
    as the logged ones, of which there are few, so that the shares are upper bounds. What a prompt
    would earn of which no right rollout is logged, nobody knows: no rate that needs those is told.
    """
    rates = np.array([float((outcome[m] > 0.5).mean()) for m in members])
    now, reach = float(rates.mean()), float((rates > 0).mean())
    found: list[tuple[float, float | None]] = []
    for goal in _RATES:
        if goal <= now or not 0 < now < 1:
            continue
        if goal >= reach and reach < 1:
            found.append((goal, None))
            continue
        factor = _factor(rates, goal)
        total = 0.0
        for m, rate in zip(members, rates, strict=True):
            new = rate * factor / (1 + rate * (factor - 1))
            weights: Counter[float] = Counter()
            for k in m:
                right = outcome[k] > 0.5
                count = (outcome[m] > 0.5).sum() if right else (outcome[m] <= 0.5).sum()
                weights[round(float(values[k]), _DIGITS)] += (new if right else 1 - new) / count
            total += sum(w**size for w in weights.values())
        found.append((goal, total / len(members)))
    return tuple(found)


def _factor(rates: Array, goal: float) -> float:
    low, high = 1.0, 1e9
    for _ in range(100):
        middle = math.sqrt(low * high)
        mean = float((rates * middle / (1 + rates * (middle - 1))).mean())
        low, high = (middle, high) if mean < goal else (low, middle)
    return low
