"""Problems for a run: read once a process while they last, and what a split takes of them."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from typing import Literal

from derl_primitives.suites import find_suite
from derl_trainers.tasks.base import TASK_COLUMNS, Example, Task
from derl_trainers.tasks.table import TaskSection

Split = Literal["search", "final"]


def load_task(task: TaskSection, columns: tuple[str, ...] = ()) -> Task:
    """The problems, drawn or read once a process; `columns` are what a reward reads.

    What is in their files is part of what they are: one that is written anew is read anew. Raises
    TaskError for data that cannot be used, or that lacks a column.
    """
    return _loaded(task, columns, problems(task))


@lru_cache(maxsize=2)
def _loaded(task: TaskSection, columns: tuple[str, ...], _: str) -> Task:
    return task.load(tuple(name for name in columns if name not in TASK_COLUMNS))


def problems(task: TaskSection) -> str:
    """Settings and files of a task as they are now, in one word."""
    text = json.dumps(task.depends(), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def task_columns(suite: str) -> tuple[str, ...]:
    """The columns of a suite that the task's examples have to bring."""
    return tuple(name for name in find_suite(suite).columns if name not in TASK_COLUMNS)


def examples(task: Task, split: Split) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """What a split trains on and what it scores on."""
    if split == "search":
        return task.train, task.validation
    return task.train + task.validation, task.test
