"""What a kernel takes and returns, the same for every backend."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from derl_grammar.records import record
from derl_runtime.values import Offsets, Ragged

__all__ = ["Array", "Bound", "Kernel", "Offsets", "Ragged"]

Array = NDArray[np.float64]


@record
class Bound:
    """The inputs of one call.

    `inputs` holds (B,) float64 arrays, or Ragged lists, by node (conditions as 0.0 and 1.0);
    `groups` where each group starts (G + 1), rollouts of a group being neighbours; `live` which
    rollouts group functions count: those without a fault.
    """

    inputs: Mapping[int, Array | Ragged]
    rows: int
    groups: Offsets
    live: NDArray[np.bool_]

    def permuted(self, order: NDArray[np.int64]) -> Bound:
        """The same rows in another order (the groups are those of the new order)."""
        moved = {
            i: v.permuted(order) if isinstance(v, Ragged) else v[order]
            for i, v in self.inputs.items()
        }
        return Bound(moved, self.rows, self.groups, self.live[order])


# From the inputs of one call to (B,) arrays by output, those of graph.valids as `?name`.
Kernel = Callable[[Bound], dict[str, Array]]
