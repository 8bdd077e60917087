"""What the rules of an audit read: scores, outcome, groups and lengths of the same rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from derl_dsl.tools.audit.statistics import Misorder, Rows, directions, misorder, rows_where
from derl_dsl.tools.evaluate.evaluation import Component, Data, Evaluation, Question, evaluate
from derl_dsl.tools.evaluate.infer import mentioned
from derl_dsl.tools.evaluate.kept import Kept
from derl_dsl.tools.pages.excerpts import text_column, text_of
from derl_grammar.types import List
from derl_primitives.suites import find_suite
from derl_runtime.data import Part, Rollouts, listed, rollouts_of
from derl_runtime.reading import ColumnError
from derl_runtime.seen import Keys

# Columns that commonly say which rollouts belong to one prompt, the surest first.
_GROUPS = ("group", "group_id", "problem_id", "prompt_id", "prompt", "prompts", "question")
PAIRS = 20


@dataclass(frozen=True)
class Context:
    """The rollouts as the rules see them; absent outcome, groups, lengths are None."""

    evaluation: Evaluation
    rollouts: Rollouts
    lengths: Kept | None
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
    def groups(self) -> Rows | None:
        """The group of each row as a number, (B,)."""
        return self.evaluation.codes

    @property
    def outcome(self) -> Kept | None:
        """The (B,) outcome, in [0, 1]."""
        return self.evaluation.right

    @cached_property
    def misorder(self) -> Misorder | None:
        """Pairs of right and wrong rows of a group; of all rows when there are no groups."""
        if self.outcome is None:
            return None
        return misorder(self.reward.kept, self.outcome, self.groups, PAIRS)

    @cached_property
    def directions(self) -> dict[str, float]:
        """How the reward moves with each input and part, the others held."""
        return directions({c.name: c.kept for c in self.parts}, self.reward.kept)


def build_context(question: Question, data: Data) -> Context:
    """Score the rows; the outcome defaults to the suite's, the group to a column that looks so.

    Raises what `evaluate` raises, and ColumnError for an outcome outside [0, 1].
    """
    rollouts = rollouts_of(data)
    if question.outcome is None and question.suite is not None:
        question = replace(question, outcome=find_suite(question.suite).outcome)
    words = mentioned(f"{question.text}\n{question.outcome or ''}")
    rollouts.look([*words, "completion_ids"], _GROUPS if question.group is None else ())
    if question.group is None:
        question = replace(question, group=likely_group(rollouts))
    lengths = _Lengths(rollouts)
    evaluation = evaluate(question, rollouts, lengths.add, *lengths.names)
    if evaluation.right is not None:
        _in_unit_range(str(question.outcome), evaluation.right)
    return Context(evaluation, rollouts, lengths.found(), lengths.unit)


def likely_group(data: Data) -> str | None:
    """A column whose name and values say which rollouts belong to one prompt."""
    rollouts = rollouts_of(data)
    rollouts.look((), _GROUPS)
    found = next((name for name in _GROUPS if _several(rollouts.keys(name))), None)
    rollouts.forget_keys(found)
    return found


def _several(keys: Keys) -> bool:
    """Whether groups hold several rows each; a name that differs in each row is none."""
    return keys.missing is None and 1 < int(keys.codes().max(initial=-1)) + 1 <= keys.rows / 2


def _in_unit_range(name: str, outcome: Kept) -> None:
    for row in rows_where(outcome, lambda some: (some < 0) | (some > 1))[:1]:
        raise ColumnError(
            f"the outcome {name!r} must be true or false, or a number from 0 to 1, "
            f"but row {row} holds {outcome.take(row):.6g}"
        )


class _Lengths:
    """The length of each completion: in tokens where they are there, else in characters."""

    def __init__(self, rollouts: Rollouts) -> None:
        in_tokens = isinstance(rollouts.type_of("completion_ids"), List)
        name = "completion_ids" if in_tokens else text_column(rollouts)
        self.unit = "tokens" if in_tokens else "characters"
        self.names = [] if name is None else [name]
        self.sizes = Kept()

    def add(self, part: Part) -> None:
        """The lengths of more rows."""
        for name in self.names:
            values = listed(part.columns[name])
            values = values if self.unit == "tokens" else [text_of(v) for v in values]
            sizes = [np.nan if v is None else len(v) for v in values]
            self.sizes.add(np.array(sizes, dtype=np.float64))

    def found(self) -> Kept | None:
        """The lengths of all rows."""
        return self.sizes if self.names else None
