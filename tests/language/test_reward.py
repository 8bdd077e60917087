"""The public surface: compile, score, score_many, the TRL protocol."""

from __future__ import annotations

import doctest
import pickle

import numpy as np
import pytest

import derl_dsl
from derl_dsl import checker
from derl_dsl.score import reward
from derl_runtime.reading import ColumnError


def test_examples_of_the_documentation() -> None:
    for module in (derl_dsl, checker, reward):
        assert doctest.testmod(module).failed == 0


def test_errors_carry_all_diagnostics() -> None:
    with pytest.raises(derl_dsl.RewardError) as caught:
        derl_dsl.compile("a = g9\nreward = a + maxx(g1, g2)", suite="derl-math")
    assert [d.code for d in caught.value.diagnostics] == ["DRL101", "DRL102"]
    assert "did you mean 'max'?" in str(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).diagnostics == caught.value.diagnostics


def test_trl_protocol_with_messages_and_missing_rows() -> None:
    r = derl_dsl.compile("ok = exact(completion, answer)\nreward = 1 * ok", suite="math")
    logged: dict[str, float] = {}
    scores = r(
        prompts=[[{"role": "user", "content": "2+2?"}]] * 3,
        completions=[[{"role": "assistant", "content": c}] for c in (r"\boxed{4}", "5", "4")],
        completion_ids=[[1], [2], [3]],
        answer=["4", "4", None],
        trainer_state=None,
        log_metric=lambda name, value: logged.update({name: value}),
    )
    assert scores == [1.0, 0.0, None]
    assert logged == {"parts/ok": 0.5}
    assert r.__name__ == "reward"


def test_a_reward_pickles() -> None:
    r = derl_dsl.compile("g1 + 0.5 * g2", suite="derl-math", backend="numba")
    again = pickle.loads(pickle.dumps(r))
    assert again.key == r.key
    columns = {"completion": [r"\boxed{4}"], "answer": ["4"]}
    assert again.score(columns).values.tolist() == r.score(columns).values.tolist()


def test_a_suite_name_may_come_as_a_column() -> None:
    r = derl_dsl.compile("g1 + g2", suite="derl-math")
    assert r.score({"g1": [1e-6, 1 + 1e-6], "g2": [1e-6] * 2}).values.tolist() == [
        2e-6,
        1 + 1e-6 + 1e-6,
    ]
    scores = r.score({"g1": [1e-6, 0.5], "g2": [1e-6] * 2})
    assert np.isnan(scores.values[1])
    assert [f.kind for f in scores.faults] == ["out_of_range"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"answer": ["4"]}, "column 'completion' .* is missing; the data has: answer"),
        ({"completion": [{}], "answer": ["4"]}, "must be text, but row 0 holds dict"),
        ({"completion": ["a", "b"], "answer": ["4"]}, "different numbers of rows"),
    ],
)
def test_bad_columns(columns: dict[str, list[object]], message: str) -> None:
    r = derl_dsl.compile("1 * exact(completion, answer)", suite="math")
    with pytest.raises(ColumnError, match=message):
        r.score(columns)


def test_score_many_evaluates_each_input_once() -> None:
    texts = ["g1", "g1 + 0.1 * g2", "g1 - g2"]
    many = [derl_dsl.compile(t, suite="derl-math") for t in texts]
    columns = {"completion": [r"\boxed{4}", "4", "5"], "answer": ["4"] * 3}
    together = derl_dsl.score_many(many, columns)
    assert together.shape == (3, 3)
    for row, r in zip(together, many, strict=True):
        assert row.tolist() == r.score(columns).values.tolist()


def test_equal_keys() -> None:
    def key(text: str) -> str:
        return derl_dsl.compile(text, suite="derl-math").key

    assert key("g1 + 0.5 * g3") == key("2 * g1 + g3 + 7") == key("(g3 / 2 + g1) * 4 - 1")
    assert key("g1") != key("-g1")
    assert key("g1 + 0.5 * g3") != key("g1 + 0.4 * g3")
    assert key("g1") == key("g1 if g2 > 0.5 else g1") == key("g1 + g2 - g2")


def test_equal_keys_of_structures() -> None:
    columns = {"a": "number[0, 1]", "b": "number[0, 1]"}

    def key(text: str) -> str:
        return derl_dsl.compile(text, columns=columns).key

    assert key("a * b + a") == key("3 * (b * a) + 3 * a - 1")
    assert key("max(a, b)") == key("0.5 + max(b, a)")
    assert key("a - b") != key("b - a")
    assert key("a if a > b else skip") != key("a")


def test_unknown_arguments() -> None:
    with pytest.raises(ValueError, match="did you mean 'derl-math'"):
        derl_dsl.compile("g1", suite="derl-mth")
    with pytest.raises(ValueError, match="unknown backend"):
        derl_dsl.compile("g1", suite="derl-math", backend="cuda")
    with pytest.raises(ValueError, match="cannot read type 'int'"):
        derl_dsl.check("x", columns={"x": "int"})


def test_a_rank_inside_a_group_function_moves_the_others() -> None:
    def monotone(text: str) -> bool | None:
        return derl_dsl.compile(
            text, columns={"g": "bool"}, outcome="g"
        ).certificate.outcome_monotone

    assert monotone("group_rank(g) + group_mean(g)") is True
    assert monotone("0.001 * g + group_quantile(group_rank(g), 0)") is None


def test_rows_come_as_tables_and_frames() -> None:
    import pandas as pd
    import pyarrow as pa

    reward = derl_dsl.compile(
        "reward = exact(completion, answer) + 0.1 * mean(s) + 0.01 * default(k, 0)",
        suite="math",
        columns={"s": "list[number[0, 9]]", "k": "number[0, 9]?"},
    )
    rows = [
        {"completion": "#### 5", "answer": "5", "s": [1.0, 2.0], "k": 1, "id": "a"},
        {"completion": "#### 6", "answer": "5", "s": [0.0], "k": None, "id": "a"},
    ]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    expected = reward.score(columns).values.tolist()
    table, frame = pa.Table.from_pylist(rows), pd.DataFrame(rows)
    for data in (rows, table, table.to_batches()[0], frame, frame.convert_dtypes()):
        assert reward.score(data).values.tolist() == expected
        assert reward.score(data, group="id").values.tolist() == expected
        assert derl_dsl.score_many([reward], data).tolist() == [expected]
    with pytest.raises(ColumnError, match="expected a mapping of columns"):
        reward.score("rows.jsonl")
