"""The outputs of a reward for one batch: each is what it would be alone.

A fault marks the rows of the outputs that read the input, and there only: a part that is merely
logged cannot touch the reward. One call of the kernel serves all outputs of most batches; where
faults decide who counts in a group or which lists go together, every output has a call of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derl_dsl.backends.kernel import Array, Bound
from derl_dsl.score.binding import Mask, Reading
from derl_dsl.score.kernels import Kernels
from derl_grammar.records import record
from derl_runtime.faults import Fault, fault


@record
class Outputs:
    """Outputs by name, (B,) each, NaN where not applicable or lost to a fault.

    `failed`, (B,), marks the rows in which a fault took the reward; `faults` are those that came up
    after the inputs were read.
    """

    values: dict[str, Array]
    failed: Mask
    faults: list[Fault]


def compute(
    kernels: Kernels, reading: Reading, names: Iterable[str], order: NDArray[np.int64] | None
) -> Outputs:
    """Computes outputs of a batch whose groups are found once its rows are put in `order`."""
    names, bound = list(names), reading.whole()
    failed = np.zeros(reading.rows, dtype=bool)
    values: dict[str, Array] = {}
    faults: dict[Fault, None] = {}
    shared = None if bound is None else _run(kernels, bound, order)
    for name in names:
        if shared is None:
            own, lost, found = reading.alone(name)
            faults |= dict.fromkeys(found)
            raw = _run(kernels.alone(name), own, order)
        else:
            raw, lost = shared, reading.lost(name)
        gone = lost if f"?{name}" not in raw else lost | (raw[f"?{name}"] == 0)
        if name == "reward":
            bad = ~gone & ~np.isfinite(raw[name])
            faults |= dict.fromkeys(_nonfinite(raw[name], bad, kernels.dtype))
            failed = lost | bad
            gone = gone | bad
        values[name] = np.where(gone, np.nan, raw[name])
    return Outputs(values, failed, list(faults))


def _run(kernels: Kernels, bound: Bound, order: NDArray[np.int64] | None) -> dict[str, Any]:
    if order is None:
        return kernels.outputs(bound)
    back = np.argsort(order)
    found = kernels.outputs(bound.permuted(order))
    return {name: values[back] for name, values in found.items()}


def _nonfinite(values: Array, bad: Mask, dtype: str) -> list[Fault]:
    """The last wall: a reward that is no finite number never leaves, whatever the proof said."""
    if not bad.any():
        return []
    rows = [int(r) for r in np.flatnonzero(bad)]
    what = "NaN" if np.isnan(values[rows[0]]) else "infinite"
    where = "" if dtype == "float64" else f" in {dtype}; the proof is of float64"
    return [fault("nonfinite", "reward", rows, f"the reward is {what}{where}")]
