"""score_many: one batch, many rewards, in one call of the virtual machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from derl_dsl.backends.kernel import Array, Ragged
from derl_dsl.backends.pack import Key
from derl_dsl.backends.vm import Session
from derl_dsl.score.binding import UNGROUPED, group_offsets, input_array
from derl_runtime.batch import Batch
from derl_runtime.reading import ColumnError

if TYPE_CHECKING:
    from derl_dsl.score.binding import Mask
    from derl_dsl.score.reward import Reward


class _Inputs:
    """The inputs of many rewards, each read once."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.arrays: dict[Key, Array | Ragged] = {}
        self.broken: dict[Key, Mask] = {}

    def add(self, reward: Reward) -> None:
        """Read what a reward needs and no other did."""
        for key in reward.kernels.needs:
            if key not in self.arrays:
                array, broken = input_array(self.batch, key.op, key.source)
                self.arrays[key] = array
                if broken is not None:
                    self.broken[key] = broken

    def simple(self, reward: Reward) -> bool:
        """Whether a reward's rows stand for themselves, its lists being of equal lengths.

        Otherwise faults of its inputs change what it computes in other rows.
        """
        needs = reward.kernels.needs
        if reward.uses_groups and any(key in self.broken for key in needs):
            return False
        for members in reward.kernels.together:
            lists = [v for v in (self.arrays[key] for key in members) if isinstance(v, Ragged)]
            if any(not np.array_equal(v.offsets, lists[0].offsets) for v in lists[1:]):
                return False
        return True


def score_many(
    rewards: Sequence[Reward], columns: Mapping[str, Any], group_size: int | None = None
) -> Array:
    """Score one batch with K rewards: (K, B) float64, NaN where not applicable.

    Each column is read and each primitive evaluated once, however many rewards name it, and all
    rewards run in one call of the virtual machine. Raises ColumnError as `Reward.score` does.

    >>> from derl_dsl import compile
    >>> many = [compile(text, columns={"a": "number[0, 1]"}) for text in ("a", "1 - a")]
    >>> score_many(many, {"a": [0.25, 1.0]}).tolist()
    [[0.25, 1.0], [0.75, 0.0]]
    """
    batch = Batch(columns)
    if group_size is None and any(r.uses_groups for r in rewards):
        raise ColumnError(UNGROUPED)
    groups = group_offsets(batch.rows, group_size)
    inputs = _Inputs(batch)
    found = np.empty((len(rewards), batch.rows))
    together: dict[str, list[int]] = {}
    for k, reward in enumerate(rewards):
        if reward.kernels.interpretable:
            inputs.add(reward)
            if inputs.simple(reward):
                together.setdefault(reward.kernels.dtype, []).append(k)
                continue
        found[k] = reward.reward_alone(batch, groups)
    for dtype, members in together.items():
        found[members] = _run(rewards, members, inputs, groups, dtype)
    return found


def _run(
    rewards: Sequence[Reward], members: list[int], inputs: _Inputs, groups: Any, dtype: str
) -> Any:
    """The rewards that the virtual machine computes side by side."""
    chosen = [rewards[k] for k in members]
    session = Session(inputs.arrays, inputs.batch.rows, groups, dtype=dtype)
    values = session.run([r.kernels.program for r in chosen])
    fine = np.isfinite(values).all(axis=1)
    for k, reward in enumerate(chosen):
        lost = [inputs.broken[key] for key in reward.kernels.needs if key in inputs.broken]
        if not fine[k] and not _only_gaps(reward, values[k], lost):
            # A number that is none is a fault, which scoring the reward by itself counts.
            values[k] = reward.reward_alone(inputs.batch, groups)
            continue
        for mask in lost:
            values[k][mask] = np.nan
        reward.count(inputs.batch.faults)
    return values


def _only_gaps(reward: Reward, values: Array, lost: Sequence[Mask]) -> bool:
    """Whether values that are not finite are rows that a fault or the program itself leaves out."""
    kernels = reward.kernels
    if "reward" in kernels.graph.valids:
        # The program marks such rows itself; NaN for another reason has no proof in float32.
        return kernels.dtype == "float64" and not np.isinf(values).any()
    gone = np.logical_or.reduce([np.zeros(len(values), dtype=bool), *lost])
    return bool((np.isfinite(values) | gone).all())
