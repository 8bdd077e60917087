"""One reward, one set of numbers in TRL's protocol: sync, async, in components."""

from __future__ import annotations

import asyncio
import doctest
import pickle

import numpy as np
import pytest

import derl_dsl
from derl_dsl.adapters import rows, terms, trl
from tests.adapters.rewards import ALONE, CONDITIONAL, GROUPED, SUM, build
from tests.adapters.rewards import rows as real_rows

ROWS = real_rows()


def trl_scores(function, data=ROWS):
    columns = {k: v for k, v in data.items() if k not in ("prompt", "completion")}
    return function(
        prompts=data["prompt"], completions=data["completion"], completion_ids=None, **columns
    )


@pytest.fixture(params=ALONE.values(), ids=ALONE.keys())
def text(request):
    return request.param


def test_the_same_numbers_in_all_forms_of_trl(text):
    reward = build(text)
    expected = reward.score(ROWS).values.tolist()
    assert len(set(expected)) > 3
    assert trl_scores(reward) == expected
    assert trl_scores(pickle.loads(pickle.dumps(reward))) == expected
    awaited = pickle.loads(pickle.dumps(trl.asynchronous(reward)))
    assert asyncio.run(trl_scores(awaited)) == expected


def test_components_add_up_to_the_reward(text):
    reward = build(text)
    funcs, weights = trl.components(reward)
    found = np.array([trl_scores(f) for f in funcs], dtype=float)
    total = np.array(weights) @ found
    assert np.abs(total - reward.score(ROWS).values).max() < 1e-12
    again, same = trl.components(pickle.loads(pickle.dumps(reward)))
    assert (same, [f.__name__ for f in again]) == (weights, [f.__name__ for f in funcs])
    copies = pickle.loads(pickle.dumps(funcs))
    assert np.array_equal([trl_scores(f) for f in copies], found)


def test_components_are_the_terms_of_the_sum():
    funcs, weights = trl.components(build(SUM))
    told = {f.__name__: w for f, w in zip(funcs, weights, strict=True)}
    assert told == {
        "ok": 0.5, "short": 0.125, "steps": -0.125,
        "contains_answer(completion, answer)": 0.125, "constant": 1.0,
    }  # fmt: skip
    scores = build(SUM).score(ROWS)
    for name in ("ok", "short", "steps"):
        func = next(f for f in funcs if f.__name__ == name)
        assert trl_scores(func) == scores.parts[name].tolist()
    (alone,), (one,) = trl.components(build(CONDITIONAL))
    assert (alone.__name__, one) == ("reward", 1.0)


@pytest.mark.parametrize(
    ("text", "expected", "constant"),
    [
        ("(a + b) / 2 - (a - 4) * 0.25", {"a": 0.25, "b": 0.5}, 1.0),
        ("param(0.5, min=0, max=1) * a - -b", {"a": 0.5, "b": 1.0}, 0.0),
        ("a * b + a * b", {"a * b": 2.0}, 0.0),
        ("2 * max(a, b) + a - a", {"max(a, b)": 2.0, "a": 0.0}, 0.0),
        ("1 / (1 + a)", {"reward": 1.0}, 0.0),
        ("3 - 1 / (1 + a)", {"1 / (1 + a)": -1.0}, 3.0),
    ],
)
def test_linear_terms(text, expected, constant):
    reward = derl_dsl.compile(text, columns=dict.fromkeys("ab", "number[0, 1]"))
    found, left = terms.terms_of(reward)
    assert ({t.name: t.weight for t in found}, left) == (expected, constant)


def test_a_batch_is_scored_once_for_all_components_and_changes_are_seen():
    calls = []

    @derl_dsl.primitive("(completion: text) -> number[0, 9]")
    def counting(completion):
        calls.append(list(completion))
        return [float(len(c)) for c in completion]

    try:
        columns = {"completion": "text", "ok": "bool"}
        reward = derl_dsl.compile("counting(completion) + 0.5 * ok", columns=columns)
        (counted, ok), _ = trl.components(reward)
        texts, right = ["a", "bb"], [True, False]
        assert counted(completions=texts, ok=right) == [1.0, 2.0]
        assert ok(completions=texts, ok=right) == [1.0, 0.0]
        assert len(calls) == 1
        texts[0] = "ccc"
        assert counted(completions=texts, ok=right) == [3.0, 2.0]
        right[0] = None
        assert counted(completions=texts, ok=right) == [None, 2.0]
        assert ok(completions=texts, ok=right) == [None, 0.0]
        assert len(calls) == 3
        assert reward.faults.totals[0].kind == "missing"
    finally:
        derl_dsl.elaborate.custom.REGISTRY.clear()


def test_group_functions_score_whole_groups():
    reward = build(GROUPED).with_groups(4)
    data = {name: values[:8] for name, values in ROWS.items()}
    data["prompt"] = ["p", "p", "p", "p", "q", "q", "q", "q"]
    expected = reward.score(data, group_size=4).values.tolist()
    assert trl_scores(reward, data) == expected
    funcs, weights = trl.components(reward)
    assert np.array(weights) @ np.array([trl_scores(f, data) for f in funcs]) == pytest.approx(
        expected
    )


def test_examples_of_the_documentation():
    from derl_dsl.elaborate import custom
    from derl_runtime import faults

    for module in (custom, faults, rows, terms, trl):
        assert doctest.testmod(module).failed == 0
