"""Scores: what a reward says of a batch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from derl_dsl.score.steps import Steps
from derl_grammar.records import record
from derl_runtime.faults import Fault

Array = NDArray[np.float64]


@record
class Scores:
    """The scores of one batch of B rollouts.

    `values` is the reward, (B,) float64; NaN means not applicable, and `faults` says why. `parts`
    holds the named parts of the program and `inputs` the numbers and conditions it reads (columns
    and primitives, lists aside), (B,) float64 each. `failed`, (B,) bool, marks rows that a fault
    left without a reward; other rows of NaN are those to which the reward does not apply. `steps`
    is None for a program without `steps = …`; else a (T,) float64 array a rollout, None where it
    has none.
    """

    values: Array
    parts: dict[str, Array]
    inputs: dict[str, Array]
    faults: list[Fault]
    failed: NDArray[np.bool_]
    steps: Steps | None = None

    def part_means(self) -> dict[str, float]:
        """The mean of each part over the rollouts to which it applies."""
        known = {name: part[~np.isnan(part)] for name, part in self.parts.items()}
        return {name: float(part.mean()) for name, part in known.items() if len(part)}

    def of(self, rows: slice) -> Scores:
        """The scores of some of the rows; the faults are the whole batch's."""
        parts = {name: part[rows] for name, part in self.parts.items()}
        inputs = {name: values[rows] for name, values in self.inputs.items()}
        steps = None if self.steps is None else self.steps[rows]
        return Scores(self.values[rows], parts, inputs, self.faults, self.failed[rows], steps)


def without_faults(parts: dict[str, Array], inputs: dict[str, Array], rows: int) -> Scores:
    """The scores of a batch in which nothing went wrong."""
    return Scores(parts.pop("reward"), parts, inputs, [], np.zeros(rows, dtype=bool))
