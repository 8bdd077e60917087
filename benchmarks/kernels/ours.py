"""derl-dsl's own kernels, bound to a batch."""

from __future__ import annotations

from functools import cache

import derl_dsl
from benchmarks.kernels.peers import Maker, Run
from benchmarks.kernels.programs import GROUP, Data, Shape

# float32 inputs and constants have 24 bits; a rank or a threshold may turn on the last.
FLOAT32 = 1e-5


@cache
def _reward(
    text: str, types: tuple[tuple[str, str], ...], backend: str, dtype: str
) -> derl_dsl.Reward:
    return derl_dsl.compile(text, columns=dict(types), backend=backend, dtype=dtype)


def bound(backend: str, dtype: str = "float64") -> Maker:
    """The bound kernel of a backend."""

    def make(shape: Shape, data: Data) -> Run:
        reward = _reward(shape.text, tuple(shape.types.items()), backend, dtype)
        return reward.bind(data.given, group_size=GROUP if shape.grouped else None)

    return make
