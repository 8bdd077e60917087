"""No text, however odd, breaks a primitive or leads it out of its declared range."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.primitives.texts import any_text, arguments, problem, random_text, text_primitives

ALL = text_primitives()


@pytest.mark.parametrize("name", ALL)
@settings(max_examples=30, deadline=None)
@given(rows=st.lists(st.tuples(any_text, any_text), max_size=6))
def test_any_text_gives_a_value_in_range(name, rows):
    columns = arguments(ALL[name], [a for a, _ in rows], [b for _, b in rows])
    assert problem(ALL[name], ALL[name](*columns), len(rows)) is None


def fuzz(name: str, rounds: int, size: int) -> int:
    """The number of texts read; each round is a column of `size` random texts."""
    rng = random.Random(name)
    for _ in range(rounds):
        first, second = ([random_text(rng) for _ in range(size)] for _ in range(2))
        values = ALL[name](*arguments(ALL[name], first, second))
        found = problem(ALL[name], values, size)
        if found is not None:  # say of which text, alone
            one = next(
                (pair for pair in zip(first, second, strict=True)
                 if problem(ALL[name], ALL[name](*arguments(ALL[name], *([t] for t in pair))), 1)),
                None,
            )  # fmt: skip
            pytest.fail(f"{name}: {found}; of {one!r}")
    return rounds * size


@pytest.mark.parametrize("name", ALL)
def test_random_columns_give_values_in_range(name):
    assert fuzz(name, rounds=2, size=500) == 1000


@pytest.mark.slow
def test_a_million_random_texts_give_values_in_range():
    size = 1000
    rounds = -(-1_000_000 // (size * len(ALL)))
    assert sum(fuzz(name, rounds, size) for name in ALL) >= 1_000_000
