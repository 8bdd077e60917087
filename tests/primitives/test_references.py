"""Every primitive says what its plain definition says, of real answers and of any text."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from derl_primitives import derl_math, tokens
from derl_primitives.primitive import Primitive
from tests.primitives.reference import REFERENCES, same_final
from tests.primitives.texts import any_text, arguments, random_text, text_primitives

# The definition of `correct` is the judged corpus (test_correct.py).
ALL = {name: p for name, p in text_primitives().items() if name != "correct.correct"}
# `matches` and `count_matches` have tests of their own against `re`; g1 to g4 are below.
WITH_REFERENCE = {
    name: p
    for name, p in ALL.items()
    if p.name not in ("matches", "count_matches") and not name.startswith("derl_math.")
}


def test_every_primitive_has_a_reference():
    assert [p.name for p in WITH_REFERENCE.values() if p.name not in REFERENCES] == []


def plain(primitive: Primitive, first: list[str], second: list[str]) -> list[Any]:
    """The values by the definition, row by row."""
    args = arguments(primitive, first, second)
    rows = [[a[k] if isinstance(a, list) else a for a in args] for k in range(len(first))]
    return [REFERENCES[primitive.name](*row) for row in rows]


def differences(primitive: Primitive, first: list[str], second: list[str]) -> list[Any]:
    values = primitive(*arguments(primitive, first, second))
    found = values if isinstance(values, list) else values.tolist()
    expected = plain(primitive, first, second)
    return [
        (primitive.name, a, b, ours, theirs)
        for a, b, ours, theirs in zip(first, second, found, expected, strict=True)
        if not same(ours, theirs)
    ]


def same(ours: Any, theirs: Any) -> bool:
    """Equal values; a number that is missing is NaN, and rounding may differ."""
    if isinstance(ours, float):
        if theirs is None or ours != ours:
            return theirs is None and ours != ours
        return math.isclose(ours, theirs, abs_tol=1e-12)
    return bool(ours == theirs)


@pytest.mark.parametrize("name", WITH_REFERENCE)
@settings(max_examples=30, deadline=None)
@given(rows=st.lists(st.tuples(any_text, any_text), max_size=4))
def test_any_text_gets_the_value_of_the_definition(name, rows):
    first, second = [a for a, _ in rows], [b for _, b in rows]
    assert differences(ALL[name], first, second) == []


@pytest.mark.parametrize("name", WITH_REFERENCE)
def test_random_texts_get_the_value_of_the_definition(name):
    rng = random.Random(name)
    first, second = ([random_text(rng) for _ in range(400)] for _ in range(2))
    # A gold answer that is often in the text, and numbers that are often near.
    second = [a[k : k + rng.randrange(1, 9)] if rng.random() < 0.5 else b
              for a, b in zip(first, second, strict=True)
              for k in [rng.randrange(len(a) + 1)]]  # fmt: skip
    assert differences(ALL[name], first, second) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_REFERENCE)
def test_many_random_texts_get_the_value_of_the_definition(name):
    rng = random.Random(f"long {name}")
    for _ in range(10):
        first, second = ([random_text(rng) for _ in range(1000)] for _ in range(2))
        second = [a[k : k + rng.randrange(1, 9)] if rng.random() < 0.5 else b
                  for a, b in zip(first, second, strict=True)
                  for k in [rng.randrange(len(a) + 1)]]  # fmt: skip
        assert differences(ALL[name], first, second) == []


def test_real_completions_get_the_value_of_the_definition(shared_data):
    lines = (shared_data / "gsm8k" / "model_solutions.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines][::8]
    completions = [r["completion"] for r in rows]
    answers = [r["answer"] for r in rows]
    quadratic = ("edit_similarity", "sequence_similarity")
    for primitive in WITH_REFERENCE.values():
        if primitive.name not in quadratic:
            assert differences(primitive, completions, answers) == []


@given(st.lists(st.tuples(any_text, any_text), max_size=4))
@settings(deadline=None)
def test_the_derl_primitives_are_those_of_math(rows):
    first, second = [a for a, _ in rows], [b for _, b in rows]
    expected = [
        [same_final(a, b), REFERENCES["boxed"](a), REFERENCES["step_markers"](a) >= 2,
         REFERENCES["contains_answer"](a, b)]
        for a, b in rows
    ]  # fmt: skip
    columns = [derl_math.g1(first, second), derl_math.g2(first), derl_math.g3(first),
               derl_math.g4(first, second)]  # fmt: skip
    yes = [[bool(v > 0.5) for v in row] for row in zip(*columns, strict=True)]
    assert yes == expected


@given(st.lists(st.lists(st.integers(0, 3)), max_size=4), st.integers(1, 16))
def test_token_repetition_is_that_of_its_definition(rows, n):
    expected = [REFERENCES["token_repetition"](row, n) for row in rows]
    assert tokens.token_repetition(rows, float(n)).tolist() == expected
