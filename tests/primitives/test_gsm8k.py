"""Agreement with the labels of 2,640 real completions of four models."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from derl_primitives.suites import find_suite

SHARED = Path(os.environ.get("DERL_DSL_SHARED", Path(__file__).parents[3] / "shared"))
SOLUTIONS = SHARED / "data" / "gsm8k" / "model_solutions.jsonl"
MATH = find_suite("math").primitives


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    if not SOLUTIONS.is_file():
        pytest.skip(f"the data is not there: {SOLUTIONS} (set DERL_DSL_SHARED)")
    return [json.loads(line) for line in SOLUTIONS.read_text(encoding="utf-8").splitlines()]


def column(rows: list[dict], name: str) -> list:
    return [row[name] for row in rows]


@pytest.mark.parametrize("name", ["exact", "numeric_equal"])
def test_agreement_with_the_labels(rows, name):
    assert len(rows) == 2640
    scores = MATH[name](column(rows, "completion"), column(rows, "answer"))
    wrong = np.flatnonzero(scores != np.array(column(rows, "is_correct")))
    assert [(rows[i]["problem_id"], rows[i]["model"]) for i in wrong] == []


def test_a_right_answer_is_contained(rows):
    completions, answers = column(rows, "completion"), column(rows, "answer")
    right = MATH["exact"](completions, answers)
    contained = MATH["contains_answer"](completions, answers)
    missed = [completions[i] for i in np.flatnonzero(right & ~contained)]
    assert missed == []


def test_gold_answers_agree_with_themselves(rows):
    answers = column(rows, "answer")
    assert MATH["exact"](answers, answers).all()
    assert MATH["contains_answer"](answers, answers).all()
