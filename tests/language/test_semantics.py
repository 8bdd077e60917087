"""The corners of the language's meaning, as the reference documents them, on both backends."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import derl_dsl
from derl_runtime.reading import ColumnError

COLUMNS = {
    "a": "number[-10, 10]",
    "b": "number[-10, 10]",
    "ok": "bool",
    "o": "number[0, 1]?",
    "xs": "list[number[-1, 1]]",
    "cs": "list[bool]",
    "ts": "list[text]",
    "t": "text",
}


def score(text: str, backend: str, group_size: int | None = None, **columns: Any) -> list[float]:
    reward = derl_dsl.compile(text, columns=COLUMNS, backend=backend)
    scores = reward.score(columns, group_size=group_size)
    return scores.values.tolist()


both = pytest.mark.parametrize("backend", ["reference", "native"])


@both
def test_lists(backend: str) -> None:
    xs = [[], [1.0], [1.0, 0.0, 1.0, 1.0, 0.0, 0.0]]
    cases = {
        "sum(xs)": [0, 1, 3],
        "mean(xs)": [0, 1, 0.5],
        "count(xs)": [0, 1, 6],
        "first(xs) + last(xs)": [0, 2, 1],
        "min(xs) - max(xs)": [0, 0, -1],
        "mean(third(xs, 1))": [0, 0, 0.5],
        "mean(third(xs, 2))": [0, 0, 1],
        "mean(third(xs, 3))": [0, 1, 0],
        "sum(part(xs, 0.2, 0.6))": [0, 0, 1],
        "sum(2 * xs - 1)": [0, 1, 0],
        "1 * any(xs > 0.5)": [0, 1, 1],
        "1 * all(xs > 0.5)": [1, 1, 0],
    }
    for text, expected in cases.items():
        assert score(text, backend, xs=xs) == expected, text


@both
def test_lists_of_conditions_and_texts(backend: str) -> None:
    ts = [["<plan> a", "b"], [], ["<plan>"]]
    assert score('sum(contains(ts, "<plan>"))', backend, ts=ts) == [1, 0, 1]
    assert score("mean(words(ts) > 1)", backend, ts=ts) == [0.5, 0, 0]
    assert score('count(t, "a") + sum(ts == t)', backend, ts=ts, t=["b", "x", "aa"]) == [1, 0, 2]


@both
def test_groups(backend: str) -> None:
    a = [1.0, 2.0, 3.0, 3.0, 5.0, 5.0, 5.0, 5.0]
    ok = [True, False, True, False, False, False, False, False]
    cases = {
        "group_mean(a)": [2.25] * 4 + [5.0] * 4,
        "group_std(a)": [math.sqrt(0.6875)] * 4 + [0.0] * 4,
        "group_max(a) - group_min(a)": [2.0] * 4 + [0.0] * 4,
        "group_rank(a)": [0, 1 / 3, 2.5 / 3, 2.5 / 3] + [0.5] * 4,
        "group_quantile(a, 0.5)": [2.5] * 4 + [5.0] * 4,
        "group_size() + 0 * a": [4.0] * 8,
        "default(group_mean(a, where=ok), -1)": [2.0] * 4 + [-1.0] * 4,
        "group_size(where=ok) + 0 * a": [2.0] * 4 + [0.0] * 4,
    }
    for text, expected in cases.items():
        # A reward that is the same for a whole group is refused: b tells its rollouts apart.
        found = score(f"{text} + b", backend, group_size=4, a=a, ok=ok, b=[0.0] * 8)
        assert found == expected, text


@both
def test_a_group_function_of_nobody_is_not_applicable(backend: str) -> None:
    data = {"a": [1, 2, 3, 4], "ok": [1, 0, 0, 0], "b": [0, 0, 0, 0]}
    found = score("group_mean(a, where=ok) + b", backend, group_size=2, **data)
    assert found[:2] == [1, 1]
    assert all(math.isnan(v) for v in found[2:])


@both
def test_optionals(backend: str) -> None:
    o = [0.5, None, 1.0]
    assert score("default(o, 0.25)", backend, o=o) == [0.5, 0.25, 1.0]
    found = score("1 + o", backend, o=o)
    assert found[0] == 1.5
    assert math.isnan(found[1])
    skipped = score("a if ok else skip", backend, a=[1, 2], ok=[True, False])
    assert skipped[0] == 1
    assert math.isnan(skipped[1])
    assert score("default(a if ok else skip, -5)", backend, a=[1, 2], ok=[1, 0]) == [1, -5]


def test_an_absent_optional_is_no_fault() -> None:
    reward = derl_dsl.compile("default(o, 0) + a", columns=COLUMNS)
    scores = reward.score({"o": [None, 1.0], "a": [1.0, None]})
    assert [f.name for f in scores.faults] == ["a"]
    assert scores.values[0] == 1
    assert np.isnan(scores.values[1])


@both
def test_total_arithmetic(backend: str) -> None:
    cases = {
        "guard(a / b, 7)": (1.0, 0.0, 7),
        "guard(log(a), 7)": (0.0, 1.0, 7),
        "guard(a ** b, 7)": (-2.0, 0.5, 7),
        "guard(a ** b, 7)  # 0 ** 0": (0.0, 0.0, 1),
        "guard(a % b, 7)": (-7.0, 3.0, 2),
        "round(a) + b": (2.5, 0.0, 2),
        "floor(a) + b": (-2.5, 0.0, -3),
        "sign(a) + 0 * b": (-0.5, 0.0, -1),
        "sigmoid(100 * a) + b": (-10.0, 0.0, 0),
        "min(a, b)": (-1.0, 3.0, -1),
        "ramp(a, 2, 6) + 0 * b": (5.0, 0.0, 0.75),
    }
    for text, (a, b, expected) in cases.items():
        assert score(text, backend, a=[a], b=[b]) == [expected], text


def test_progress_and_params() -> None:
    reward = derl_dsl.compile(
        "w = param(0.2, min=0, max=1)\nreward = a * w if progress > 0.5 else 0", columns=COLUMNS
    )
    assert reward.params == {"w": 0.2}
    assert reward.score({"a": [1.0, 2.0], "progress": 0.75}).values.tolist() == [0.2, 0.4]
    assert reward.score({"a": [1.0, 2.0], "progress": 0.25}).values.tolist() == [0, 0]


def test_groups_must_be_known_and_whole() -> None:
    reward = derl_dsl.compile("a - group_mean(a)", columns=COLUMNS)
    with pytest.raises(ColumnError, match="group"):
        reward.score({"a": [1.0, 2.0]})
    with pytest.raises(ColumnError, match="no whole number of groups"):
        reward.score({"a": [1.0, 2.0, 3.0]}, group_size=2)
    with pytest.raises(ColumnError, match="does not say which completions are a group"):
        reward(prompts=["p", "p"], completions=["", ""], a=[1.0, 2.0])
    grouped = reward.with_groups(2)
    with pytest.raises(ColumnError, match="no whole number of groups"):
        grouped(prompts=["p", "p", "q"], completions=["", "", ""], a=[1.0, 2.0, 3.0])
    assert grouped(completions=[""] * 4, a=[1, 3, 2, 2]) == [-1, 1, 0, 0]


def test_groups_by_key_need_not_be_neighbours() -> None:
    reward = derl_dsl.compile("a - group_mean(a) + 0 * sum(xs)", columns=COLUMNS)
    found = reward.score(
        {"a": [1, 2, 3, 4], "xs": [[1.0], [], [0.5, 0.5], [0.0]], "task": ["p", "q", "p", "q"]},
        group="task",
    )
    assert found.values.tolist() == [-1, -1, 1, 1]


def test_a_faulty_rollout_does_not_enter_its_group() -> None:
    reward = derl_dsl.compile("group_mean(a) + b", columns=COLUMNS)
    scores = reward.score({"a": [1.0, 99.0, 3.0], "b": [0.0, 0.0, 0.0]}, group_size=3)
    assert scores.values[[0, 2]].tolist() == [2.0, 2.0]
    assert np.isnan(scores.values[1])
    assert [(f.kind, f.rows) for f in scores.faults] == [("out_of_range", (1,))]


def test_lists_of_different_lengths_are_a_fault_of_their_rows() -> None:
    reward = derl_dsl.compile("sum(xs * cs)", columns=COLUMNS)
    scores = reward.score({"xs": [[1.0], [1.0, 1.0]], "cs": [[True], [True]]})
    assert scores.values[0] == 1
    assert np.isnan(scores.values[1])
    assert [f.kind for f in scores.faults] == ["protocol"]
