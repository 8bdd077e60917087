"""What a task is: problems with a gold answer, in four parts that share no prompt.

A task of its own (not rows of data) is a frozen section of settings with what `OwnTask` asks for,
in a file of its own, and one line of the table in `table.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

# What every task gives a reward; further columns come with its examples.
TASK_COLUMNS = ("prompt", "completion", "completion_ids", "answer", "progress")


class TaskError(ValueError):
    """Task data that cannot be used; the message names file, line and fix."""


@dataclass(frozen=True, slots=True)
class Example:
    """One problem: what the policy reads, the gold answer, and what else its reward reads.

    `source` names the part of a task that is scored apart, `solution` is an answer in full where
    the data have one.
    """

    prompt: str
    answer: str
    columns: Mapping[str, Any] = field(default_factory=dict, hash=False)
    source: str = ""
    solution: str = ""


# Which completions are right, (B,), each the answer to its example.
Scorer = Callable[[Sequence[str], Sequence[Example]], NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class Task:
    """Examples of one task in four parts that share no prompt.

    `warmup` teaches the policy `tiny` its ways of answering and is seen by no reward; `train` and
    `validation` are the 8:2 split of the pool the search works on; `test` is for the final report.
    `left_out` counts rows whose prompt had occurred before. `scorer` says what is right where the
    task has a judge of its own; without one it is the outcome of the suite. With `plain` the policy
    `tiny` learns gold answers alone, and no ways of answering; `characters` are those of its texts
    that sums have not.
    """

    name: str
    warmup: tuple[Example, ...]
    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    test: tuple[Example, ...]
    left_out: int = 0
    scorer: Scorer | None = None
    plain: bool = False
    characters: str = ""

    @classmethod
    def cut(
        cls,
        name: str,
        drawn: tuple[Example, ...],
        size: int,
        test_size: int,
        *,
        scorer: Scorer | None = None,
        plain: bool = False,
        characters: str = "",
    ) -> Task:
        """The parts of distinct problems as they were drawn; what is left over is the warm-up's.

        The test set is cut off first: changing the pool's size leaves it as it was.
        """
        pool, at = drawn[test_size : test_size + size], size * 8 // 10
        return cls(
            name=name,
            warmup=drawn[test_size + size :],
            train=pool[:at],
            validation=pool[at:],
            test=drawn[:test_size],
            scorer=scorer,
            plain=plain,
            characters=characters,
        )


class OwnTask:
    """A task that is no rows of data: a frozen section of its settings that can make it.

    `gives` are the columns its examples give a reward beside those of every task, `teaches` says
    whether its `warmup` teaches the policy `tiny`, and `primitives` are modules with primitives of
    its own.
    """

    __slots__ = ()

    gives: ClassVar[tuple[str, ...]] = ()
    teaches: ClassVar[bool] = False
    primitives: ClassVar[tuple[str, ...]] = ()

    @property
    def can_teach(self) -> bool:
        """Whether it has problems to teach the policy `tiny` with, as it is set."""
        return self.teaches

    @property
    def remote(self) -> bool:
        """Whether its problems are read from the hub."""
        return False

    def depends(self) -> dict[str, Any]:
        """All that its problems depend on, as plain values."""
        found: dict[str, Any] = asdict(self)  # type: ignore[call-overload]
        return found

    def load(self) -> Task:
        """The problems, the same for the same settings; raises TaskError."""
        raise NotImplementedError
