"""The reference and the numba backend compute the same, bit for bit, on random programs."""

from __future__ import annotations

import numpy as np
import pytest
from derl_dsl.backends import numba as fused
from derl_dsl.backends import reference

from tests.differential.programs import graph_of, scope, texts, wild_rows

BATCH = 50


def differing(count: int, seed: int, rows: int) -> list[str]:
    names = scope()
    rng = np.random.default_rng(seed)
    found = []
    for start in range(0, count, BATCH):
        programs = texts(BATCH, seed * 1_000_003 + start, names)
        graph = graph_of(programs, names)
        inputs = wild_rows(graph, rows, rng)
        expected = reference.emit(graph)(inputs, rows)
        actual = fused.emit(graph)(inputs, rows)
        for name, values in expected.items():
            if not np.array_equal(values, actual[name], equal_nan=True):
                found.append(f"{name}: {programs[int(name.split('.')[0])]}")
    return found


def test_backends_agree_on_random_programs() -> None:
    assert differing(count=400, seed=1, rows=64) == []


@pytest.mark.slow
def test_backends_agree_on_ten_thousand_programs() -> None:
    assert differing(count=10_000, seed=2, rows=64) == []


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_backends_agree_on_small_batches(rows: int) -> None:
    assert differing(count=BATCH, seed=3, rows=rows) == []
