"""Group functions: statistics of the rollouts of a group, one value for each rollout."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from derl_dsl.backends import torch_segments as parts
from derl_dsl.backends.torch_segments import Blocks, Parts, Segments

# Groups up to this size are ranked by comparing all pairs, larger ones by sorting.
_PAIRS = 32


def size(like: Tensor, part: Parts) -> Tensor:
    """The number of rollouts that count, for each rollout, (B,)."""
    return part.back(parts.count(like, part))


def _statistic(of: Callable[[Tensor, Parts], Tensor]) -> Callable[[Tensor, Parts], Tensor]:
    def call(x: Tensor, part: Parts) -> Tensor:
        return part.back(of(x, part))

    call.__name__ = call.__qualname__ = f"group_{of.__name__}"
    return call


def quantile(x: Tensor, part: Parts, q: float) -> Tensor:
    """The q-quantile of the group, for each rollout, (B,)."""
    return part.back(parts.quantile(x, part, q))


def rank(x: Tensor, part: Parts) -> Tensor:
    """The share of the group's others with a smaller value, ties half; 0.5 without others.

    NaN where its own value is, or one that counts.
    """
    x = x.detach()
    counted = part.counted.reshape(-1) if isinstance(part, Blocks) else part.inside
    assert counted is not None
    if isinstance(part, Blocks) and part.counted.shape[1] <= _PAIRS:
        below, ties = _pairs(x, part)
    else:
        below, ties = _sorted(x, counted, part)
    others = part.back(part.counts()) - counted.to(torch.int64)
    ties = ties - counted.to(torch.int64)
    share = (below.to(x.dtype) + 0.5 * ties.to(x.dtype)) / others.clamp(min=1)
    ranks = torch.where(others > 0, share, 0.5)
    return torch.where(torch.isnan(x) | part.back(parts.odd(x, part)), math.nan, ranks)


def _pairs(x: Tensor, part: Blocks) -> tuple[Tensor, Tensor]:
    """How many that count are smaller, and how many are equal (oneself included), (B,) each."""
    rows = x.reshape(part.counted.shape)
    counted = part.counted.unsqueeze(1)
    below = (rows.unsqueeze(1) < rows.unsqueeze(2)) & counted
    ties = (rows.unsqueeze(1) == rows.unsqueeze(2)) & counted
    return below.sum(2).reshape(-1), ties.sum(2).reshape(-1)


def _sorted(x: Tensor, counted: Tensor, part: Parts) -> tuple[Tensor, Tensor]:
    """The same as `_pairs`, of groups of any size."""
    rows = len(x)
    if isinstance(part, Segments):
        owner = part.owner
    else:
        owner = part.back(torch.arange(len(part.counted), device=x.device))
    # Equal values get one whole number, larger ones a larger number (NaN, sorted last, its own);
    # group and number together are a key that sorts all rollouts at once.
    order = torch.argsort(x, stable=True)
    sorted_x = x[order]
    number = torch.zeros_like(order).index_copy(0, order, (sorted_x != sorted_x.roll(1)).cumsum(0))
    base = owner * (rows + 1)
    key = base + number
    keys = torch.where(counted, key, torch.iinfo(torch.int64).max).sort().values
    start, low = torch.searchsorted(keys, base), torch.searchsorted(keys, key)
    high = torch.searchsorted(keys, key, right=True)
    number_of = ~torch.isnan(x)
    return (low - start) * number_of, (high - low) * number_of


GROUPS: dict[str, Callable[[Tensor, Parts], Tensor]] = {
    "group_mean": _statistic(parts.mean),
    "group_std": _statistic(parts.deviation),
    "group_min": _statistic(parts.smallest),
    "group_max": _statistic(parts.largest),
    "group_size": size,
    "group_rank": rank,
}
