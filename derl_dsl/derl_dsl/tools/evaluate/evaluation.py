"""eval: a reward scored on a data file, component by component."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derl_dsl.elaborate.custom import REGISTRY
from derl_dsl.score.reward import Reward, RewardError, Scores, compile
from derl_dsl.tools.evaluate.infer import infer_columns
from derl_dsl.tools.evaluate.summary import Agreement, Summary, agree, group_codes, summarise
from derl_grammar.limits import WIDE
from derl_grammar.types import Type
from derl_primitives.suites import find_suite
from derl_runtime.faults import Fault
from derl_runtime.reading import ColumnError

Array = NDArray[np.float64]
Data = Mapping[str, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Question:
    """What to evaluate; `outcome` is a data column or an expression, `group` a data column."""

    text: str
    suite: str | None = None
    columns: Mapping[str, str] | None = None
    outcome: str | None = None
    group: str | None = None
    backend: str = "auto"


@dataclass(frozen=True, slots=True)
class Component:
    """One column of scores: an `input` of the program, a named `part`, or the `reward`."""

    name: str
    kind: str
    values: Array
    summary: Summary


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came out.

    `groups` is the number of groups, None without a group column; `outcome` holds the (B,) values
    of the question's outcome, None without one.
    """

    question: Question
    rows: int
    groups: int | None
    components: tuple[Component, ...]
    faults: tuple[Fault, ...]
    agreement: Agreement | None
    outcome: Array | None


def evaluate(question: Question, data: Data) -> Evaluation:
    """Score the rows of `data` and summarise every component.

    Raises RewardError for a program with errors, ColumnError for a missing or wrongly typed column,
    ValueError for an unknown suite, type or backend.
    """
    reward = compile_for(question, data)
    scores = reward.score(data, group=question.group, uneven=True)
    codes = None if question.group is None else group_codes(_keys(data, question.group))
    columns = [
        *(("input", name, values) for name, values in _inputs(scores).items()),
        # A parameter is a constant that the author named, not a component to look at.
        *(("part", n, values) for n, values in scores.parts.items() if n not in reward.params),
        ("reward", "reward", scores.values),
    ]
    components = [Component(name, kind, v, summarise(v, codes)) for kind, name, v in columns]
    outcome = _outcome(question, data)
    return Evaluation(
        question=question,
        rows=len(scores.values),
        groups=None if codes is None else int(codes.max(initial=-1)) + 1,
        components=tuple(components),
        faults=tuple(scores.faults),
        agreement=None if outcome is None else agree(scores.values, outcome),
        outcome=outcome,
    )


def compile_for(question: Question, data: Data) -> Reward:
    """The reward of a question, with the columns that the data has.

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


def _inputs(scores: Scores) -> dict[str, Array]:
    """The numbers and conditions that the reward is made of, unless a part is just that."""
    parts = list(scores.parts.values())
    return {
        name: values
        for name, values in scores.inputs.items()
        if not any(np.array_equal(values, part, equal_nan=True) for part in parts)
    }


def column(data: Data, name: str) -> Sequence[Any]:
    """One column of the data; ColumnError when it is not there."""
    if name not in data:
        raise ColumnError(
            f"the column {name!r} is missing; the data has: {', '.join(sorted(data))}"
        )
    return data[name]


def _keys(data: Data, name: str) -> Sequence[Any]:
    keys = column(data, name)
    for row, key in enumerate(keys):
        if key is None or isinstance(key, list | dict) or key != key:
            raise ColumnError(
                f"the group column {name!r} must name a group in each row, "
                f"but row {row} holds {key!r:.60}"
            )
    return keys


def _outcome(question: Question, data: Data) -> Array | None:
    if question.outcome is None:
        return None
    try:
        outcome = _compile(question, question.outcome, data)
    except RewardError as error:
        first = error.diagnostics[0].message
        raise ValueError(f"the outcome {question.outcome!r} cannot be used: {first}") from error
    return outcome.score(data).values


def scores_table(evaluation: Evaluation, data: Data) -> dict[str, Sequence[Any]]:
    """The columns to write: row (from 0), the group, then the components in order."""
    table: dict[str, Sequence[Any]] = {"row": list(range(evaluation.rows))}
    group = evaluation.question.group
    if group is not None:
        table[group] = data[group]
    for component in evaluation.components:
        name = component.name
        name = name if name not in table else f"{name} ({component.kind})"
        table[name] = component.values.tolist()
    return table


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
        "outcome": None if agreement is None else {"name": question.outcome, **asdict(agreement)},
    }
    plain: dict[str, Any] = finite(record)
    return plain


def finite(value: Any) -> Any:
    """Nested JSON values with null for what is no finite number."""
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    return [finite(item) for item in value] if isinstance(value, list | tuple) else value
