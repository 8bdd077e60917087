"""Advantages of single steps from step rewards: the formulas of RLVMR and of GiGPO.

Both add to the advantage of the episode, which GRPO makes of its reward. Steps of one group alone
are compared; an episode that was lost takes no part.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_EPSILON = 1e-6


def rlvmr(steps: Sequence[Floats], labels: Sequence[Sequence[Hashable]]) -> list[Floats]:
    """RLVMR (arXiv 2507.22844): `(r_t - mean) / (std + eps)` over the group's steps of one label.

    `steps` are the step rewards of the episodes of a group, `labels` what each step is (its tag):
    steps are compared with those of their kind.
    """
    return _normalised(steps, labels)


def gigpo(
    steps: Sequence[Floats], states: Sequence[Sequence[Hashable]], discount: float = 0.95
) -> list[Floats]:
    """GiGPO (arXiv 2505.10978): returns to go, compared among steps taken from one state.

    `R_t = sum over k >= t of discount**(k - t) * r_k`; `(R_t - mean) / (std + eps)` over the steps
    of the group that saw the same before they acted. A state met once gives 0.
    """
    return _normalised([returns(s, discount) for s in steps], states)


def returns(steps: Floats, discount: float) -> Floats:
    """Discounted returns to go of one episode.

    >>> returns(np.array([0.0, 1.0, 2.0]), 0.5).tolist()
    [1.0, 2.0, 2.0]
    """
    found, after = np.zeros(len(steps)), 0.0
    for t in range(len(steps) - 1, -1, -1):
        found[t] = after = float(steps[t]) + discount * after
    return found


def _normalised(values: Sequence[Floats], labels: Sequence[Sequence[Hashable]]) -> list[Floats]:
    pools: dict[Hashable, list[float]] = defaultdict(list)
    for row, names in zip(values, labels, strict=True):
        for value, name in zip(row, names, strict=True):
            pools[name].append(float(value))
    known = {name: (np.mean(pool), np.std(pool)) for name, pool in pools.items()}
    return [
        np.array([(v - known[n][0]) / (known[n][1] + _EPSILON)
                  for v, n in zip(row, names, strict=True)], dtype=np.float64)
        for row, names in zip(values, labels, strict=True)
    ]  # fmt: skip


# What a step is compared by, and the formula: options of an inner run.
FORMULAS: dict[str, Callable[[Sequence[Floats], Sequence[Sequence[Hashable]]], list[Floats]]] = {
    "rlvmr": rlvmr,
    "gigpo": gigpo,
}
