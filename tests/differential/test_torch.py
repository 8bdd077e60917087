"""The torch backend against the reference: equal, but for seven functions within stated ulps.

Two claims make one proof. With the C library's seven in place of torch's, whole programs agree bit
for bit; and each of torch's seven stays within its bound of the C library's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch")

import torch

from derl_dsl.backends import reference
from derl_dsl.backends import torch as tensors
from derl_dsl.backends.kernel import Bound
from derl_dsl.backends.torch_ops import OPS, PLAIN
from derl_dsl.graph.ops import GROUP, REDUCTIONS, SLICES
from tests.differential.programs import CORNERS, bound, graph_of, scope, texts

BATCH = 50
# The largest distance from the C library's value, in units in the last place (README of the room).
ULPS = {"sqrt": 1, "exp": 1, "log": 1, "tanh": 2, "sigmoid": 2, "cos": 1, "pow": 1}
Numbers = NDArray[np.float64]


def by_torch(name: str, *args: Numbers) -> Numbers:
    found: Numbers = PLAIN[name](*map(torch.tensor, args)).numpy()
    return found


def by_c(name: str) -> Callable[..., torch.Tensor]:
    """The C library's function, on tensors."""

    def call(*args: torch.Tensor) -> torch.Tensor:
        arrays = np.broadcast_arrays(*(a.numpy() for a in args))
        with np.errstate(all="ignore"):
            found = reference.OPS[name](*map(np.atleast_1d, arrays))
        return torch.from_numpy(found.reshape(arrays[0].shape))

    return call


@pytest.fixture
def c_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """The torch backend with the C library's functions where torch has its own."""
    for name in ULPS:
        monkeypatch.setitem(OPS, name, by_c(name))


def differing(
    count: int, seed: int, rows: int, group: int = 8, cut: bool = False, in_range: bool = False
) -> list[str]:
    names = scope()
    rng = np.random.default_rng(seed)
    found = []
    for start in range(0, count, BATCH):
        programs = texts(min(BATCH, count), seed * 1_000_003 + start, names)
        graph = graph_of(programs, names)
        inputs = bound(graph, rows, rng, in_range=in_range, group=group)
        if cut:
            inputs = unequal(inputs, rng)
        expected = reference.emit(graph)(inputs)
        actual = tensors.emit(graph)(inputs)
        assert expected.keys() == actual.keys()
        for name, values in expected.items():
            if not np.array_equal(values, actual[name], equal_nan=True):
                found.append(f"{name}: {programs[int(name.strip('?').split('.')[0])]}")
    return found


def unequal(inputs: Bound, rng: np.random.Generator) -> Bound:
    """Groups of all sizes, one and none included."""
    inner = np.sort(rng.integers(0, inputs.rows + 1, inputs.rows // 4))
    return Bound(inputs.inputs, inputs.rows, np.array([0, *inner, inputs.rows]), inputs.live)


@pytest.mark.usefixtures("c_library")
@pytest.mark.parametrize("cut", [False, True], ids=["equal groups", "unequal groups"])
@pytest.mark.parametrize("in_range", [False, True], ids=["corners", "declared ranges"])
def test_random_programs_agree_bit_for_bit(cut: bool, in_range: bool) -> None:
    assert differing(count=150, seed=1, rows=64, cut=cut, in_range=in_range) == []


@pytest.mark.usefixtures("c_library")
@pytest.mark.parametrize(("rows", "group"), [(0, 1), (1, 1), (3, 1), (3, 3), (80, 40), (160, 80)])
def test_small_batches_and_large_groups_agree(rows: int, group: int) -> None:
    assert differing(count=2 * BATCH, seed=2, rows=rows, group=group) == []


@pytest.mark.slow
@pytest.mark.usefixtures("c_library")
@pytest.mark.parametrize("seed", range(10, 20))
def test_fifty_thousand_random_programs_agree_bit_for_bit(seed: int) -> None:
    assert differing(count=2_500, seed=seed, rows=32) == []
    assert differing(count=2_500, seed=seed + 100, rows=32, cut=True) == []


def test_the_fixture_is_what_makes_them_agree() -> None:
    # Without it the libraries' last digits show: the comparison above does look at values.
    assert differing(count=150, seed=1, rows=64) != []


def ulps_apart(a: Numbers, b: Numbers) -> Numbers:
    """How many float64 numbers lie between; 0 between NaNs, infinite between NaN and a number."""

    def line(x: Numbers) -> NDArray[np.int64]:
        bits = x.view(np.int64)
        return np.where(bits < 0, np.iinfo(np.int64).min - bits, bits)

    apart = np.abs(line(a).astype(np.float64) - line(b).astype(np.float64))
    close = np.abs(line(a) - line(b)).astype(np.float64)
    apart = np.where(apart < 2**52, close, apart)
    return np.where(
        np.isnan(a) & np.isnan(b), 0.0, np.where(np.isnan(a) != np.isnan(b), np.inf, apart)
    )


def samples(count: int, rng: np.random.Generator) -> Numbers:
    """Numbers of all sizes and of everyday ones, with the corners."""
    wide = rng.normal(size=count) * 10.0 ** rng.uniform(-320, 307, count)
    usual = rng.normal(size=count) * rng.choice([1.0, 30.0, 300.0], count)
    return np.concatenate([wide, usual, CORNERS])


@pytest.mark.parametrize("name", ULPS)
def test_functions_stay_within_their_ulps(name: str) -> None:
    rng = np.random.default_rng(7)
    args = [samples(20_000, rng)]
    if name == "pow":
        args.append(
            rng.permutation(np.concatenate([samples(10_000, rng), rng.integers(-4, 5, 20_000)]))
        )
        args[1] = np.resize(args[1], len(args[0]))
    with np.errstate(all="ignore"):
        expected = reference.OPS[name](*args)
    apart = ulps_apart(expected, by_torch(name, *args))
    worst = int(np.argmax(apart))
    assert apart[worst] <= ULPS[name], (apart[worst], [a[worst] for a in args])
    assert np.isfinite(expected).sum() > 5_000


def test_the_other_operations_are_exact_on_wild_numbers() -> None:
    rng = np.random.default_rng(8)
    one, two, three = (rng.permutation(samples(5_000, rng)) for _ in range(3))
    two[::7] = one[::7]
    tests = one > 0
    with np.errstate(all="ignore"):
        for name in PLAIN.keys() - ULPS.keys():
            boolean = name in ("and", "or", "not")
            args: tuple[Any, ...] = (tests, two > 0) if boolean else (one, two)
            if name == "select":
                args = (tests, two, three)
            if name in ("not", "neg", "abs", "floor", "round", "sign"):
                args = args[:1]
            expected = reference.OPS[name](*args)
            actual = PLAIN[name](*map(torch.tensor, args)).numpy()
            assert np.array_equal(expected, actual, equal_nan=expected.dtype != bool), name


def test_float32_is_near_float64() -> None:
    names = scope()
    programs = ["0.3 * a + 0.7 * b", "mean(xs) + group_std(a)", "1 if d else exp(b)", "a % 0.3"]
    graph = graph_of(programs, names)
    inputs = bound(graph, 64, np.random.default_rng(4), in_range=True, group=8)
    wide, narrow = tensors.emit(graph)(inputs), tensors.emit(graph, "float32")(inputs)
    for name, values in wide.items():
        assert narrow[name].dtype == np.float64
        np.testing.assert_allclose(narrow[name], values, rtol=1e-5, atol=1e-5)
    assert any((narrow[name] != values).any() for name, values in wide.items())


def test_every_operation_is_in_the_tables() -> None:
    from derl_dsl.backends.torch_groups import GROUPS
    from derl_dsl.graph import scalars

    assert PLAIN.keys() | {"num"} == scalars.OPS.keys()
    assert tensors.REDUCE.keys() == REDUCTIONS
    assert GROUPS.keys() | {"group_quantile"} == GROUP
    assert {"third", "part"} == SLICES


def test_means_held_to_their_extremes_and_ties_in_ranks() -> None:
    names = scope()
    programs = [
        "group_mean(a)", "group_std(a)", "group_rank(a)", "group_quantile(a, 0.3)",
        "mean(xs)", "min(xs)", "max(third(xs, 2))", "last(part(xs, 0.2, 0.6))",
    ]  # fmt: skip
    graph = graph_of(programs, names)
    rng = np.random.default_rng(3)
    given = bound(graph, 64, rng, in_range=True, group=8)
    a = next(i for i in given.inputs if str(graph.source(i)) == "a")
    for values in (np.full(64, 0.1), np.repeat([0.1, 0.7], 32), np.tile([0.0, -0.0], 32)):
        inputs = Bound({**given.inputs, a: values}, 64, given.groups, given.live)
        expected = reference.emit(graph)(inputs)
        for name, found in tensors.emit(graph)(inputs).items():
            assert np.array_equal(expected[name], found), name
