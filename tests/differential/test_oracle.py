"""Every backend and every way to score agrees with an evaluator written from the documents.

The evaluator is `oracle.py`; the programs dwell in corners (`corners.py`). Zeros of either sign
are one number here: the documents say that no operation tells them apart.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import derl_dsl
from derl_dsl.score.reward import Reward, RewardError
from derl_grammar.limits import WIDE
from tests.differential import corners, oracle

ROWS, GROUP = 12, 4
KEYS = ["x", "y", "z", "x", "y", "x", "z", "y", "x", "z", "y", "z"]
Floats = NDArray[np.float64]


def expected(result: oracle.Result) -> Floats:
    """An output as `score` has it: NaN where it is not applicable."""
    return np.array([math.nan if v is None else v for v in result.values])


def same(one: Any, other: Floats) -> bool:
    """Whether two columns are equal, NaN being NaN."""
    return np.array_equal(np.asarray(one, np.float64), other, equal_nan=True)


def accepted(text: str, backend: str, dtype: str = "float64") -> Reward | None:
    """The program compiled, or None where the checker refuses it."""
    try:
        return derl_dsl.compile(
            text, columns=corners.COLUMNS, backend=backend, dtype=dtype, limits=WIDE
        )
    except RewardError:
        return None


def taken(text: str) -> bool:
    """Whether the checker takes the program."""
    return accepted(text, "reference") is not None


def disagreements(
    reward: Reward,
    columns: dict[str, list[Any]],
    wanted: dict[str, oracle.Result],
    by_key: dict[str, oracle.Result],
) -> Iterator[str]:
    """Where one way of scoring differs from the documents, in words.

    `wanted` is what they say for groups of neighbours, `by_key` for groups of equal `KEYS`.
    """
    scores = reward.score(columns, group_size=GROUP)
    found = {**scores.parts, "reward": scores.values}
    for name, values in found.items():
        if not same(values, expected(wanted[name])):
            yield f"{name}: {values.tolist()} is not {wanted[name].values}"
    if set(np.flatnonzero(scores.failed).tolist()) != wanted["reward"].lost:
        yield f"failed: {np.flatnonzero(scores.failed)} is not {wanted['reward'].lost}"
    told = {(frozenset(f.name.split(" and ")), f.count) for f in scores.faults
            if f.kind == "protocol"}  # fmt: skip
    unequal = {(names, len(rows)) for one in wanted.values() for names, rows in one.unequal.items()}
    if told != unequal:
        yield f"lists: {told} is not {unequal}"
    right = expected(wanted["reward"])
    if not same(reward.bind(columns, group_size=GROUP)(), right):
        yield "bind"
    if not same(derl_dsl.score_many([reward, reward], columns, GROUP)[1], right):
        yield "score_many"
    keyed = reward.score(columns, group=KEYS)
    if not same(keyed.values, expected(by_key["reward"])):
        yield "groups by key"


def differing(
    count: int, seed: int, backends: tuple[str, ...], size: int = 1, dtype: str = "float64"
) -> tuple[list[str], int]:
    """What disagrees on `count` programs that the checker takes, and how many it refused.

    `size` programs are joined in one, for backends that take long to compile.
    """
    rng = random.Random(seed)
    found: list[str] = []
    done = refused = 0
    while done < count:
        text = corners.program(rng) if size == 1 else corners.joined(rng, size, taken)
        columns = corners.batch(rng, ROWS, faulty=rng.random() < 0.6)
        first = accepted(text, backends[0], dtype)
        if first is None:
            refused += 1
            continue
        rewards = [first, *(accepted(text, backend, dtype) for backend in backends[1:])]
        assert None not in rewards, text
        wanted, by_key = (
            oracle.run(text, corners.COLUMNS, columns, keys, dtype == "float32")
            for keys in ([r // GROUP for r in range(ROWS)], KEYS)
        )
        for reward in rewards:
            assert reward is not None
            words = disagreements(reward, columns, wanted, by_key)
            found += [f"{reward.backend} {dtype}, {seed}: {w}\n{text}\n{columns}" for w in words]
        done += size
        if len(found) > 10:
            break
    return found, refused


@pytest.fixture
def exact_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The torch backend with the C library's functions, so that its bits are the documents'."""
    torch_tests = pytest.importorskip("tests.differential.test_torch")
    torch_tests.torch.set_num_threads(1)  # twelve rows are no work for two
    for name in torch_tests.ULPS:
        monkeypatch.setitem(torch_tests.OPS, name, torch_tests.by_c(name))


# numba takes seconds a program: it is held to the reference in tests/kernels/test_numba.py.
EVERY = ("reference", "vm", "native", "torch")
OTHERS = [
    (("reference", "vm"), 1, "float64"),
    (("reference", "vm", "native"), 20, "float32"),
]


@pytest.mark.filterwarnings("ignore:the proof is of float64")
@pytest.mark.usefixtures("exact_torch")
@pytest.mark.parametrize(("backends", "size", "dtype"), [(EVERY, 20, "float64"), *OTHERS])
def test_backends_agree_with_the_documents(
    backends: tuple[str, ...], size: int, dtype: str
) -> None:
    found, refused = differing(200, 21, backends, size, dtype)
    assert found == []
    assert refused < 100


@pytest.mark.slow
@pytest.mark.usefixtures("exact_torch")
@pytest.mark.parametrize("seed", range(100, 150))
def test_every_backend_agrees_with_the_documents_on_fifty_thousand_programs(seed: int) -> None:
    found, _ = differing(1_000, seed, EVERY, 20)
    assert found == []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the proof is of float64")
@pytest.mark.parametrize("seed", range(200, 210))
@pytest.mark.parametrize(("backends", "size", "dtype"), OTHERS)
def test_programs_alone_and_float32_agree_with_the_documents_on_twenty_thousand(
    backends: tuple[str, ...], size: int, dtype: str, seed: int
) -> None:
    found, _ = differing(1_000, seed, backends, size, dtype)
    assert found == []


@pytest.mark.usefixtures("exact_torch")
def test_torch_modules_agree_with_the_documents() -> None:
    torch = pytest.importorskip("torch")
    rng = random.Random(5)
    seen = 0
    for _ in range(100):
        text = corners.program(rng)
        columns = corners.batch(rng, ROWS, faulty=True)
        reward = accepted(text, "reference")
        if reward is None:
            continue
        wanted = oracle.run(text, corners.COLUMNS, columns, [r // GROUP for r in range(ROWS)])
        # Lists that meet in one part are fitted for all of them there, and rows are counted by
        # the columns.
        if any(one.unequal for one in wanted.values()):
            continue
        if "ol" in text or "oc" in text or not reward.graph.inputs(reward.graph.roots()):
            continue
        module = reward.torch()
        with torch.no_grad():
            found = module.evaluate(module.read(columns), GROUP)
        for name, values in found.items():
            assert same(values.numpy(), expected(wanted[name])), (text, name)
        seen += 1
    assert seen > 20
