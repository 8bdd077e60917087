"""What a task is: problems with a gold answer, in four parts that share no prompt.

A task of its own (not rows of data) is a frozen section of settings with what `OwnTask` asks for,
in a file of its own, and one line of the table in `table.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

# What every task gives a reward; further columns come with its examples.
TASK_COLUMNS = ("prompt", "completion", "completion_ids", "answer", "progress")


class TaskError(ValueError):
    """Task data that cannot be used; the message names file, line and fix."""


@dataclass(frozen=True, slots=True)
class Example:
    """One problem: what the policy reads, the gold answer, and what else its reward reads."""

    prompt: str
    answer: str
    columns: Mapping[str, Any] = field(default_factory=dict, hash=False)


# Which completions are right, (B,), each the answer to its example.
Scorer = Callable[[Sequence[str], Sequence[Example]], NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class Task:
    """Examples of one task in four parts that share no prompt.

    `warmup` teaches the policy `tiny` its ways of answering and is seen by no reward; `train` and
    `validation` are the 8:2 split of the pool the search works on; `test` is for the final report.
    `left_out` counts rows whose prompt had occurred before. `scorer` says what is right where the
    task has a judge of its own; without one it is the outcome of the suite.
    """

    name: str
    warmup: tuple[Example, ...]
    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    test: tuple[Example, ...]
    left_out: int = 0
    scorer: Scorer | None = None


class OwnTask(Protocol):
    """A task that is no rows of data: a frozen section of its settings that can make it."""

    # Columns its examples give a reward beside those of every task.
    gives: ClassVar[tuple[str, ...]]
    # Whether its `warmup` teaches the policy `tiny`.
    teaches: ClassVar[bool]

    def load(self) -> Task:
        """The problems, the same for the same settings; raises TaskError."""
