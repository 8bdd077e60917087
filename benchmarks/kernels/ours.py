"""derl-dsl's own kernels, bound to a batch."""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

import derl_dsl
from benchmarks.kernels.peers import Maker, Run
from benchmarks.kernels.programs import GROUP, Data, Shape
from derl_dsl.backends import BACKENDS

# float32 inputs and constants have 24 bits; a rank or a threshold may turn on the last.
FLOAT32 = 1e-5


@cache
def _reward(text: str, types: tuple[tuple[str, str], ...], backend: str) -> Any:
    return derl_dsl.compile(text, columns=dict(types), backend=backend)


def bound(backend: str, dtype: str = "float64") -> Maker:
    """The bound kernel of a backend."""

    def make(shape: Shape, data: Data) -> Run | None:
        if backend not in BACKENDS:
            return None
        reward = _reward(shape.text, tuple(shape.types.items()), backend)
        size = GROUP if shape.grouped else None
        if not hasattr(reward, "bind"):
            return lambda: reward.score(data.given, group_size=size).values
        extra = {"dtype": dtype} if "dtype" in inspect.signature(reward.bind).parameters else {}
        found: Run = reward.bind(data.given, group_size=size, **extra)
        return found

    return make
