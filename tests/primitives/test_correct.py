"""`correct`: the verdict that judges as a careful grader would."""

from __future__ import annotations

import doctest
import importlib
import json
import pkgutil
from collections import Counter

import pytest

from derl_primitives import verdict
from derl_primitives.correct import correct
from derl_primitives.verdict import judge
from tests.primitives.judged import judged
from tests.primitives.measure import VERDICTS, measured
from tests.primitives.measure import verdict as verdict_named

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
