"""What the rules of an audit read: scores, outcome, groups and lengths of the same rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from derl_dsl.tools.audit.statistics import Array, Misorder, Rows, directions, misorder
from derl_dsl.tools.evaluate.evaluation import Component, Evaluation, Question, evaluate
from derl_dsl.tools.evaluate.summary import group_codes
from derl_dsl.tools.pages.excerpts import texts
from derl_primitives.suites import find_suite
from derl_runtime.reading import ColumnError

Data = Mapping[str, Sequence[Any]]
# Columns that commonly say which rollouts belong to one prompt, the surest first.
_GROUPS = ("group", "group_id", "problem_id", "prompt_id", "prompt", "prompts", "question")
PAIRS = 20


@dataclass(frozen=True)
class Context:
    """The rollouts as the rules see them; absent outcome, groups, texts are None."""

    evaluation: Evaluation
    groups: Rows | None
    texts: Sequence[str | None] | None
    length: Array | None
    length_unit: str

    @property
    def reward(self) -> Component:
        """The reward's column."""
        return self.evaluation.components[-1]

    @property
    def parts(self) -> tuple[Component, ...]:
        """The inputs and named parts."""
        return self.evaluation.components[:-1]

    @property
    def outcome(self) -> Array | None:
        """The (B,) outcome, in [0, 1]."""
        return self.evaluation.outcome

    @cached_property
    def misorder(self) -> Misorder | None:
        """Pairs of right and wrong rows of a group; of all rows when there are no groups."""
        if self.outcome is None:
            return None
        one = np.zeros(self.evaluation.rows, dtype=np.int64)
        groups = one if self.groups is None else self.groups
        return misorder(self.reward.values, self.outcome, groups, PAIRS)

    @cached_property
    def directions(self) -> dict[str, float]:
        """How the reward moves with each input and part, the others held."""
        return directions({c.name: c.values for c in self.parts}, self.reward.values)


def build_context(question: Question, data: Data) -> Context:
    """Score the rows; the outcome defaults to the suite's, the group to a column that looks so.

    Raises what `evaluate` raises, and ColumnError for an outcome outside [0, 1].
    """
    if question.outcome is None and question.suite is not None:
        question = replace(question, outcome=find_suite(question.suite).outcome)
    if question.group is None:
        question = replace(question, group=likely_group(data))
    if question.group is not None and question.group in data:
        data = {**data, question.group: _keys(data[question.group])}
    evaluation = evaluate(question, data)
    if evaluation.outcome is not None:
        _in_unit_range(str(question.outcome), evaluation.outcome)
    groups = None if question.group is None else group_codes(data[question.group])
    found = texts(data)
    length, unit = _lengths(data, found)
    return Context(evaluation, groups, found, length, unit)


def likely_group(data: Data) -> str | None:
    """A column whose name and values say which rollouts belong to one prompt."""
    for name in _GROUPS:
        if name in data and None not in data[name]:
            keys = _keys(data[name])
            # Groups hold several rows each; a name that differs in each row is none.
            if 1 < len(set(keys)) <= len(keys) / 2:
                return name
    return None


def _keys(values: Sequence[Any]) -> list[Any]:
    """Group keys that can be compared: a prompt of messages by its JSON text."""
    return [
        json.dumps(v, sort_keys=True, default=str) if isinstance(v, list | dict) else v
        for v in values
    ]


def _in_unit_range(name: str, outcome: Array) -> None:
    wrong = np.flatnonzero((outcome < 0) | (outcome > 1))
    if len(wrong):
        row = int(wrong[0])
        raise ColumnError(
            f"the outcome {name!r} must be true or false, or a number from 0 to 1, "
            f"but row {row} holds {outcome[row]:.6g}"
        )


def _lengths(data: Data, completions: Sequence[str | None] | None) -> tuple[Array | None, str]:
    """The length of each completion: in tokens where they are there, else in characters."""
    ids = data.get("completion_ids")
    if ids is not None and all(v is None or isinstance(v, list) for v in ids):
        return _sizes(ids), "tokens"
    if completions is not None:
        return _sizes(completions), "characters"
    return None, "characters"


def _sizes(values: Sequence[Any]) -> Array:
    return np.array([np.nan if v is None else len(v) for v in values], dtype=np.float64)
