"""All backends compute what the reference does, bit for bit, on random programs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from derl_dsl.backends import native, reference, vm
from derl_dsl.backends.kernel import Array
from derl_dsl.passes import feeds, lower
from tests.differential.programs import bound, graph_of, scope, texts

BATCH = 50
EMIT = {"vm": vm.emit, "native": native.emit}


def bits(values: Array) -> bytes:
    """The bits of numbers, both zeros told apart; all NaN are one."""
    return np.where(np.isnan(values), np.nan, values).tobytes()


def differing(
    backend: str, count: int, seed: int, rows: int, group: int = 8, dtype: str = "float64"
) -> list[str]:
    """Programs whose outputs differ from the reference's, with and without the passes."""
    names, rng = scope(), np.random.default_rng(seed)
    found = []
    for start in range(0, count, BATCH):
        programs = texts(BATCH, seed * 1_000_003 + start, names)
        graph = graph_of(programs, names)
        inputs = bound(graph, rows, rng, in_range=False, group=group)
        if start // BATCH % 2:
            # Where all rows count, group functions have ways of their own.
            inputs = replace(inputs, live=np.ones(rows, dtype=bool))
        expected = reference.emit(graph, dtype)(inputs)
        lowered = lower(graph)
        moved = {new: inputs.inputs[old] for new, old in feeds(graph, lowered).items()}
        for made, given in ((graph, inputs), (lowered, replace(inputs, inputs=moved))):
            actual = EMIT[backend](made, dtype)(given)
            if dtype == "float32":
                # The passes fold constants in float64, so there the lowered graph is the measure.
                expected = reference.emit(made, dtype)(given)
            for name, values in expected.items():
                # A condition that always holds is dropped by the passes.
                if bits(values) != bits(actual.get(name, np.ones(rows))):
                    found.append(f"{name}: {programs[int(name.strip('?').split('.')[0])]}")
    return found


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("backend", EMIT)
def test_backends_agree_on_random_programs(backend: str, dtype: str) -> None:
    assert differing(backend, count=300, seed=1, rows=64, dtype=dtype) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 12))
@pytest.mark.parametrize("backend", EMIT)
def test_backends_agree_on_fifty_thousand_programs(backend: str, seed: int) -> None:
    assert differing(backend, count=5_000, seed=seed, rows=64) == []


@pytest.mark.slow
@pytest.mark.parametrize("backend", EMIT)
def test_backends_agree_in_float32_on_ten_thousand_programs(backend: str) -> None:
    assert differing(backend, count=10_000, seed=13, rows=64, dtype="float32") == []


def test_compiled_code_that_relies_on_ranges_agrees_within_them() -> None:
    names, rng = scope(), np.random.default_rng(7)
    for start in range(0, 300, BATCH):
        graph = graph_of(texts(BATCH, 7_000_000 + start, names), names)
        inputs = bound(graph, 64, rng, in_range=True, group=8)
        for dtype in ("float64", "float32"):
            expected = reference.emit(graph, dtype)(inputs)
            actual = native.emit(graph, dtype, within=True)(inputs)
            assert {n for n, v in expected.items() if bits(v) != bits(actual[n])} == set()


@pytest.mark.parametrize("rows", [0, 1, 3])
@pytest.mark.parametrize("backend", EMIT)
def test_backends_agree_on_small_batches(backend: str, rows: int) -> None:
    assert differing(backend, count=2 * BATCH, seed=3, rows=rows, group=1) == []


@pytest.mark.parametrize("group", [1, 3, 4, 16, 48, 240])
@pytest.mark.parametrize("backend", EMIT)
def test_backends_agree_on_groups_of_any_size(backend: str, group: int) -> None:
    assert differing(backend, count=2 * BATCH, seed=group, rows=240, group=group) == []


@pytest.mark.parametrize("backend", EMIT)
def test_backends_agree_over_many_blocks(backend: str) -> None:
    assert differing(backend, count=2 * BATCH, seed=5, rows=2_400, group=8) == []
    assert differing(backend, count=2 * BATCH, seed=6, rows=2_400, group=1_200) == []
