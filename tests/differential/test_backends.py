"""The reference and the numba backend compute the same, bit for bit, on random programs."""

from __future__ import annotations

import numpy as np
import pytest

from derl_dsl.backends import numba as fused
from derl_dsl.backends import reference
from tests.differential.programs import bound, graph_of, scope, texts

BATCH = 50


def differing(count: int, seed: int, rows: int, group: int = 8) -> list[str]:
    names = scope()
    rng = np.random.default_rng(seed)
    found = []
    for start in range(0, count, BATCH):
        programs = texts(BATCH, seed * 1_000_003 + start, names)
        graph = graph_of(programs, names)
        inputs = bound(graph, rows, rng, in_range=False, group=group)
        expected = reference.emit(graph)(inputs)
        actual = fused.emit(graph)(inputs)
        for name, values in expected.items():
            if not np.array_equal(values, actual[name], equal_nan=True):
                found.append(f"{name}: {programs[int(name.strip('?').split('.')[0])]}")
    return found


def test_backends_agree_on_random_programs() -> None:
    assert differing(count=200, seed=1, rows=64) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3, 4, 5, 6, 7, 8, 9])
def test_backends_agree_on_ten_thousand_programs(seed: int) -> None:
    assert differing(count=1_250, seed=seed, rows=64) == []


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_backends_agree_on_small_batches(rows: int) -> None:
    assert differing(count=BATCH, seed=3, rows=rows, group=1) == []
