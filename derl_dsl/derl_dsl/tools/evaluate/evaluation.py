"""eval: a reward scored on a data file, component by component."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from derl_dsl.elaborate.custom import REGISTRY
from derl_dsl.score.reward import Reward, RewardError, compile
from derl_dsl.tools.evaluate.infer import infer_columns, mentioned
from derl_dsl.tools.evaluate.kept import Array, Kept, Rows
from derl_dsl.tools.evaluate.scoring import Scored, See, score_rollouts
from derl_dsl.tools.evaluate.summary import Agreement, Summary, agree, summarise
from derl_grammar.limits import WIDE
from derl_grammar.records import record
from derl_grammar.types import Type
from derl_primitives.suites import find_suite
from derl_runtime.data import Rollouts, listed, rollouts_of
from derl_runtime.faults import Fault
from derl_runtime.reading import ColumnError

Data = Any
"""What `derl_runtime.data.rollouts_of` takes: columns, a table or frame, a list of rows, paths."""
_SHOWN_ROWS = 1000


@record
class Question:
    """What to evaluate; `outcome` is a data column or an expression, `group` a data column."""

    text: str
    suite: str | None = None
    columns: Mapping[str, str] | None = None
    outcome: str | None = None
    group: str | None = None
    backend: str = "auto"


@record
class Component:
    """One column of scores: an `input` of the program, a named `part`, or the `reward`."""

    name: str
    kind: str
    kept: Kept
    summary: Summary

    @property
    def values(self) -> Array:
        """The (B,) values, made anew each time."""
        return self.kept.whole()


@record
class Evaluation:
    """What came out.

    `codes` numbers the group of each row, None without a group column; `right` holds the values of
    the question's outcome, None without one.
    """

    question: Question
    rows: int
    codes: Rows | None
    components: tuple[Component, ...]
    faults: tuple[Fault, ...]
    agreement: Agreement | None
    right: Kept | None

    @property
    def groups(self) -> int | None:
        """The number of groups, None without a group column."""
        return None if self.codes is None else int(self.codes.max(initial=-1)) + 1


def evaluate(question: Question, data: Data, see: See | None = None, *also: str) -> Evaluation:
    """Score the rows of `data` and summarise every component.

    `see` is shown each part of the rows as it is scored, with the columns `also`. Raises
    RewardError for a program with errors, ColumnError for a missing or wrongly typed column,
    ValueError for an unknown suite, type or backend.
    """
    rollouts = rollouts_of(data)
    texts = f"{question.text}\n{question.outcome or ''}"
    rollouts.look(mentioned(texts), [] if question.group is None else [question.group])
    reward = compile_for(question, rollouts)
    outcome = None if question.outcome is None else outcome_for(question, rollouts)
    codes = None if question.group is None else group_of(rollouts, question.group)
    rewards = [reward, *([] if outcome is None else [outcome])]
    found, *told = score_rollouts(rewards, rollouts, [codes, None][: len(rewards)], also, see)
    columns = [
        *(("input", name, kept) for name, kept in _inputs(found).items()),
        # A parameter is a constant that the author named, not a component to look at.
        *(("part", n, kept) for n, kept in found.parts.items() if n not in reward.params),
        ("reward", "reward", found.values),
    ]
    components = [Component(n, kind, k, summarise(k, codes)) for kind, n, k in columns]
    right = told[0].values if told else None
    return Evaluation(
        question=question,
        rows=rollouts.rows,
        codes=codes,
        components=tuple(components),
        faults=found.faults,
        agreement=None if right is None else agree(found.values, right),
        right=right,
    )


def compile_for(question: Question, data: Data) -> Reward:
    """The reward of a question, with the columns that the data has and nobody declared.

    Raises RewardError for a program with errors, ValueError for an unknown suite, type or backend.
    """
    return _compile(question, question.text, data)


def _compile(question: Question, text: str, data: Data) -> Reward:
    declared = dict(question.columns or {})
    known = set(declared)
    if question.suite is not None:
        suite = find_suite(question.suite)
        known.update(suite.columns, suite.bindings, suite.primitives)
    known.update(REGISTRY)
    columns: dict[str, str | Type] = {**infer_columns(text, data, known), **declared}
    return compile(text, question.suite, columns, backend=question.backend, limits=WIDE)


def _inputs(found: Scored) -> dict[str, Kept]:
    """The numbers and conditions that the reward is made of, unless a part is just that."""
    parts = list(found.parts.values())
    return {n: kept for n, kept in found.inputs.items() if not any(map(kept.equals, parts))}


def group_of(rollouts: Rollouts, name: str) -> Rows:
    """The group of each row as a number, (B,); ColumnError for a column that names none."""
    if name not in rollouts:
        have = ", ".join(sorted(rollouts.names))
        raise ColumnError(f"the column {name!r} is missing; the data has: {have}")
    return rollouts.keys(name).codes()


def outcome_for(question: Question, data: Data) -> Reward:
    """The program of a question's outcome; ValueError for one that cannot be used."""
    text = question.outcome or ""
    try:
        return _compile(question, text, data)
    except RewardError as error:
        first = error.diagnostics[0].message
        raise ValueError(f"the outcome {text!r} cannot be used: {first}") from error


def scores_table(evaluation: Evaluation, data: Data) -> Iterator[dict[str, Any]]:
    """The columns to write, part by part: row (from 0), the group, then the components in order."""
    group = evaluation.question.group
    names = ["row", *([] if group is None else [group])]
    kept: dict[str, Kept] = {}
    for component in evaluation.components:
        name = component.name
        taken = name in names or name in kept
        kept[f"{name} ({component.kind})" if taken else name] = component.kept
    for part in rollouts_of(data).parts(names[1:], "writing the scores"):
        rows = np.arange(part.first, part.first + part.rows)
        table: dict[str, Any] = {"row": rows}
        if group is not None:
            values = part.columns[group]
            table[group] = listed(values) if hasattr(values, "to_pylist") else values
        yield table | {name: one.take(rows) for name, one in kept.items()}


def to_json(evaluation: Evaluation) -> dict[str, Any]:
    """The evaluation as plain JSON values; what does not apply is null."""
    question = evaluation.question
    agreement = evaluation.agreement
    record = {
        "reward": question.text,
        "suite": question.suite,
        "rows": evaluation.rows,
        "group": question.group,
        "groups": evaluation.groups,
        "components": [
            {"name": c.name, "kind": c.kind, **asdict(c.summary)} for c in evaluation.components
        ],
        "faults": [asdict(fault) for fault in evaluation.faults],
        "outcome": None if agreement is None else {"name": question.outcome, **_agreed(agreement)},
    }
    plain: dict[str, Any] = finite(record)
    return plain


def _agreed(found: Agreement) -> dict[str, Any]:
    """The agreement with the first of the rows that disagree, and how many they are."""
    rows = found.disagreements
    shown = None if rows is None else rows[:_SHOWN_ROWS].tolist()
    return {
        **asdict(found),
        "disagreements": shown,
        "disagreeing": None if rows is None else len(rows),
    }


def finite(value: Any) -> Any:
    """Nested JSON values with null for what is no finite number."""
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    return [finite(item) for item in value] if isinstance(value, list | tuple) else value
