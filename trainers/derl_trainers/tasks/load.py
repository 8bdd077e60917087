"""Problems for a run: read once a process, and what a split trains on and is scored on."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from derl_primitives.suites import find_suite
from derl_trainers.tasks.base import TASK_COLUMNS, Example, Task
from derl_trainers.tasks.table import TaskSection

Split = Literal["search", "final"]


@lru_cache(maxsize=2)
def load_task(task: TaskSection, columns: tuple[str, ...] = ()) -> Task:
    """The problems, drawn or read once a process; `columns` are what a reward reads.

    Raises TaskError for data that cannot be used, or that lacks a column.
    """
    return task.load(tuple(name for name in columns if name not in TASK_COLUMNS))


def task_columns(suite: str) -> tuple[str, ...]:
    """The columns of a suite that the task's examples have to bring."""
    return tuple(name for name in find_suite(suite).columns if name not in TASK_COLUMNS)


def examples(task: Task, split: Split) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """What a split trains on and what it scores on."""
    if split == "search":
        return task.train, task.validation
    return task.train + task.validation, task.test
