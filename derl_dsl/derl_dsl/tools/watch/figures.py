"""What a watch keeps of one step: a few figures of its rollouts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from derl_grammar.records import record

Array = NDArray[np.float64]
# A group whose rewards lie this close together trains nothing: TRL adds 1e-4 to their deviation.
_FLAT = 1e-6


@record
class Batch:
    """The rollouts of one step: (B,) rewards (NaN: none), numbers of the groups, lengths, what the
    parts are worth, whether each was right (None: not known) and whether a fault took its reward.
    """

    values: Array
    groups: NDArray[np.int64]
    lengths: Array
    parts: Mapping[str, Array]
    right: Array | None
    failed: NDArray[np.bool_]


@record
class Step:
    """Figures of one step. Means are over rollouts with a reward; `spread` is the mean deviation
    within groups, `dead` the share of groups without any; `right` the share of right rollouts,
    `paid_right` and `paid_wrong` what these and the others got (NaN: none, or not known);
    `carried` how much of the variance within groups each part tells by itself (r squared),
    `carried_right` how much the outcome does."""

    step: int
    rollouts: int
    reward: float
    spread: float
    dead: float
    length: float
    failed: float
    right: float
    paid_right: float
    paid_wrong: float
    carried: Mapping[str, float]
    carried_right: float


def step_of(step: int, batch: Batch) -> Step:
    """The figures of the rollouts of one step."""
    known = ~np.isnan(batch.values)
    values = batch.values[known]
    groups = batch.groups[known]
    centred = _within(values, groups)
    sizes = np.bincount(groups)
    deviations = np.sqrt(np.bincount(groups, centred**2)[sizes > 0] / sizes[sizes > 0])
    right = None if batch.right is None else batch.right[known]
    told = np.full(len(values), np.nan) if right is None else right
    return Step(
        step=step,
        rollouts=len(batch.values),
        reward=_mean(values),
        spread=_mean(deviations),
        dead=_mean((deviations <= _FLAT).astype(float)),
        length=_mean(batch.lengths),
        failed=_mean(batch.failed.astype(float)),
        right=_mean(told),
        paid_right=_mean(values[told > 0.5]),
        paid_wrong=_mean(values[told <= 0.5]),
        carried={n: _told(p[known], groups, centred) for n, p in batch.parts.items()},
        carried_right=float("nan") if right is None else _told(right, groups, centred),
    )


def _mean(values: Array) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _within(values: Array, groups: NDArray[np.int64]) -> Array:
    """Values without the mean of their group."""
    sizes = np.maximum(np.bincount(groups), 1)
    found: Array = values - (np.bincount(groups, values) / sizes)[groups]
    return found


def _told(part: Array, groups: NDArray[np.int64], centred: Array) -> float:
    """The share of the rewards' variance within groups that a part tells: r squared, pooled."""
    own = _within(np.nan_to_num(part), groups)
    both = float((own**2).sum() * (centred**2).sum())
    return float((own * centred).sum()) ** 2 / both if both > 0 else 0.0
