"""`correct`: the verdict that judges as a careful grader would."""

from __future__ import annotations

import doctest
import importlib
import json
import pkgutil
from collections import Counter

import pytest
from hypothesis import given, settings

from derl_dsl import compile
from derl_primitives import verdict
from derl_primitives.choice import same_choice
from derl_primitives.correct import correct
from derl_primitives.correctness import exact, numeric_equal
from derl_primitives.verdict import judge, judging
from tests.primitives.judged import judged
from tests.primitives.measure import VERDICTS, measured
from tests.primitives.measure import verdict as verdict_named
from tests.primitives.texts import any_text

MODULES = [m.name for m in pkgutil.walk_packages(verdict.__path__, "derl_primitives.verdict.")]


@pytest.mark.parametrize("module", MODULES)
def test_examples_run(module: str):
    assert doctest.testmod(importlib.import_module(module)).failed == 0


def test_the_corpus_is_judged_as_graders_judge():
    rows = judged()
    wrong = Counter()
    shown = []
    for row in rows:
        if bool(judge(row.completion, row.answer).right) != row.right:
            wrong[row.right] += 1
            shown.append(f"line {row.line}: {row.completion!r} for {row.answer!r}")
    right = sum(row.right for row in rows)
    assert wrong[False] <= 0.02 * (len(rows) - right), "\n".join(shown)
    assert wrong[True] <= 0.05 * right, "\n".join(shown)


def test_labels_of_gsm8k(shared_data):
    lines = (shared_data / "gsm8k" / "model_solutions.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    verdicts = correct([r["completion"] for r in rows], [r["answer"] for r in rows])
    agree = sum(bool(v) == r["is_correct"] for v, r in zip(verdicts, rows, strict=True))
    assert agree >= 0.999 * len(rows)


@pytest.mark.parametrize("name", VERDICTS)
def test_the_declared_error_is_the_measured_one(name: str):
    assert verdict_named(name).measured == measured(name, judged("judged_held.txt"))


REPORTED = [
    (correct, r"<think>maybe \boxed{6}</think><answer>5</answer>", "5", True),
    (correct, r"<think>maybe \boxed{6}</think><answer>5</answer>", "6", False),
    (correct, "#### 42<|im_end|>", "42", True),
    (exact, "#### 42<|im_end|>", "42", True),
    (numeric_equal, "#### 42<|im_end|>", "42", True),
    (correct, "The answer is 2 2/3.", "8/3", True),
    (correct, "The answer is 2 2/3.", "2/3", False),
    (exact, "The answer is 2 2/3.", "2/3", False),
    (numeric_equal, "The answer is 2 2/3.", "8/3", True),
    (correct, r"\boxed{1\,000}", "1000", True),
    (exact, r"\boxed{1\,000}", "1000", True),
    (numeric_equal, r"\boxed{1\,000}", "1000", True),
    (numeric_equal, r"\boxed{0}", r"10,\!000", False),
    (numeric_equal, "10000", r"10,\!000", True),
    (same_choice, "ANSWER: C", "C", True),
    (same_choice, r"\boxed{C, A}", "A, C", True),
    (same_choice, r"\boxed{A}", "A, C", False),
    (correct, r"\boxed{7}. Wait, that misses one, so it is \boxed{8", "7", False),
    (exact, r"\boxed{7}. Wait, no, that is wrong: \boxed{8", "7", False),
    (exact, "The answer is not 42", "42", False),
    (correct, "I could not do it. It is surely not 42, I fear.", "42", False),
    (exact, "I cannot solve this, sorry. It is not 42", "42", False),
    (exact, r"\boxed{18 \text{ euros}}", "$18", False),
    (correct, "Each piece is 1/3 foot = 0." + "3" * 1500, "1/3", False),
    (correct, "So it is " + "7" * 400, "7", False),
    (correct, "7" * 400, "7" * 400, True),
]


@pytest.mark.parametrize(("verdict", "completion", "answer", "right"), REPORTED)
def test_what_was_reported_is_judged_right(verdict, completion, answer, right):
    assert verdict([completion], [answer]).tolist() == [right]


def test_the_short_way_says_what_the_long_way_says(monkeypatch, shared_data):
    lines = (shared_data / "gsm8k" / "model_solutions.jsonl").read_text("utf-8").splitlines()
    rows = [(r.completion, r.answer) for r in judged()]
    rows += [(r["completion"], r["answer"]) for r in map(json.loads, lines[::8])]
    short = [judge(*row).right for row in rows]
    monkeypatch.setattr(judging, "ending", lambda completion: None)
    assert [judge(*row).right for row in rows] == short


@settings(max_examples=150, deadline=None)
@given(any_text, any_text)
def test_any_text_has_a_verdict(completion: str, answer: str):
    found = judge(completion, answer)
    assert found.right in (True, False, None)
    assert (found.right is None) == (found.ask is not None)


def test_golds_step_by_step():
    reward = compile("mean(correct(completion, answers))", "math", {"answers": "list[text]"})
    columns = {"completion": ["#### 5", "#### 5"], "answers": [["5", "6"], ["5.0"]]}
    assert reward.score(columns).values.tolist() == [0.5, 1.0]


def test_without_math_verify_nothing_is_asked(monkeypatch):
    row = [r"\boxed{\int_0^1 x\,dx}"], [r"\int_0^1 y\,dy"]
    assert judge(row[0][0], row[1][0]).ask is not None
    monkeypatch.setattr("derl_primitives.extras.find_spec", lambda name: None)
    assert correct(*row).tolist() == [False]
