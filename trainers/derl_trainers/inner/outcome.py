"""What is right: the task's own judge, or the outcome of the suite on each completion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

import derl_dsl
from derl_primitives.correctness import exact
from derl_primitives.suites import find_suite
from derl_trainers.tasks.base import Example, Scorer, Task


def scorer_for(task: Task, suite: str | None) -> Scorer:
    """The judge of a task; else the suite's outcome; else whether the answer is exactly right."""
    if task.scorer is not None:
        return task.scorer
    outcome = find_suite(suite).outcome if suite is not None else None
    return _Outcome(f"1 * {outcome}", suite) if outcome is not None else exactly


def exactly(completions: Sequence[str], examples: Sequence[Example]) -> NDArray[np.bool_]:
    """Which completions are exactly the gold answer, (B,)."""
    verdicts = exact(completion=list(completions), answer=[e.answer for e in examples])
    return np.asarray(verdicts) > 0.5


class _Outcome:
    """A suite's outcome as a reward of its own; a completion it does not apply to is wrong."""

    def __init__(self, text: str, suite: str | None) -> None:
        self.reward = derl_dsl.compile(text, suite=suite)

    def __call__(
        self, completions: Sequence[str], examples: Sequence[Example]
    ) -> NDArray[np.bool_]:
        names = set.intersection(*(set(example.columns) for example in examples))
        columns = {name: [e.columns[name] for e in examples] for name in names}
        columns |= {
            "prompt": [e.prompt for e in examples],
            "completion": list(completions),
            "answer": [e.answer for e in examples],
        }
        values = self.reward.score(columns).values
        # Outcomes are 0 or 1, but for what derl-math adds to both; NaN is not above.
        return np.asarray(values > 0.5)
