"""The primitive `gym_score`, registered where this is imported: runs of reasoning-gym do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

import derl_dsl
from derl_trainers.tasks.gym import scores


@derl_dsl.primitive(
    "(completion: text, answer: text) -> number[0, 1]", cost="parse", default=0, good=True
)
def gym_score(completion: Sequence[str], answer: Sequence[str]) -> NDArray[np.float64]:
    """What the task's own scorer gives the answer, partly right ones included."""
    return scores(completion, answer)
