"""Rewards on bound columns, many at once, and the change from interpreted to compiled."""

from __future__ import annotations

import gc
import pickle
import subprocess
import sys
import time

import numpy as np
import pytest

import derl_dsl
from derl_dsl.backends.auto import Tiered
from derl_dsl.backends.kernel import Bound
from derl_runtime.reading import ColumnError

COLUMNS = {
    "a": "number[0, 1]",
    "b": "number[0, 1]",
    "ok": "bool",
    "o": "number[0, 1]?",
    "xs": "list[number[0, 1]]",
    "ys": "list[number[0, 1]]",
}
TEXTS = [
    "0.4 * a + 0.6 * b",
    "a if ok else 0.2 * b",
    "mean(xs) + 0.1 * max(ys)",
    "sum(xs * ys) / (1 + count(xs))",
    "a - group_mean(a) + 0.1 * group_rank(b)",
    "default(o, 0.5) + a",
    "o + a",
    "a + group_quantile(b, 0.25, where=ok)",
    "mean(third(xs, 2)) + mean(part(ys, 0.2, 0.9))",
]
ROWS = 64


def data(seed: int = 0) -> dict[str, object]:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 7, ROWS)
    return {
        "a": rng.random(ROWS),
        "b": rng.random(ROWS),
        "ok": rng.random(ROWS) < 0.5,
        "o": [None if k % 5 == 0 else float(x) for k, x in enumerate(rng.random(ROWS))],
        "xs": [rng.random(n).tolist() for n in lengths],
        "ys": [rng.random(n).tolist() for n in lengths],
    }


def rewards(backend: str = "auto", dtype: str = "float64") -> list[derl_dsl.Reward]:
    return [derl_dsl.compile(t, columns=COLUMNS, backend=backend, dtype=dtype) for t in TEXTS]


def same(a: object, b: object) -> bool:
    return np.array_equal(np.asarray(a), np.asarray(b), equal_nan=True)


@pytest.mark.parametrize("backend", ["auto", "vm", "native", "reference"])
def test_bound_columns_score_as_columns(backend: str) -> None:
    columns = data()
    for reward, reference in zip(rewards(backend), rewards("reference"), strict=True):
        bound = reward.bind(columns, group_size=8)
        assert same(bound(), reference.score(columns, group_size=8).values), reward.text
        assert same(bound(), bound.values)


def test_bound_columns_are_read_where_they_lie() -> None:
    columns = data()
    again = rewards()[0].bind(columns)
    again()
    columns["a"][:] = 0.0  # type: ignore[index]
    columns["b"][:] = 1.0  # type: ignore[index]
    assert again().tolist() == [0.6] * ROWS


def test_faulty_rows_stay_out_at_every_call() -> None:
    columns = data()
    columns["a"] = np.where(np.arange(ROWS) == 3, 7.0, columns["a"])
    reward = rewards()[0]
    again = reward.bind(columns)
    assert np.isnan(again()[3])
    assert np.isnan(again()[3])
    assert int(np.isnan(again.values).sum()) == 1
    assert [f.kind for f in reward.faults.totals] == ["out_of_range"]


def test_many_rewards_score_as_each_alone() -> None:
    columns = data(1)
    many = rewards("vm") + rewards("native") + rewards("reference")
    found = derl_dsl.score_many(many, columns, group_size=8)
    for reward, values in zip(many, found, strict=True):
        assert same(values, reward.score(columns, group_size=8).values), reward.text


def test_many_rewards_with_faults_score_as_each_alone() -> None:
    columns = data(2)
    columns["a"] = np.where(np.arange(ROWS) % 9 == 1, np.nan, columns["a"])
    columns["xs"] = [[0.5] if k == 4 else x for k, x in enumerate(columns["xs"])]  # type: ignore[arg-type]
    many = rewards()
    found = derl_dsl.score_many(many, columns, group_size=8)
    for reward, fresh, values in zip(many, rewards(), found, strict=True):
        alone = fresh.score(columns, group_size=8)
        assert same(values, alone.values), reward.text
        assert {(f.name, f.kind) for f in fresh.faults.totals} <= {
            (f.name, f.kind) for f in reward.faults.totals
        }


def test_many_rewards_of_no_rows_and_none_at_all() -> None:
    empty = {name: [] for name in COLUMNS}
    assert derl_dsl.score_many(rewards(), empty, group_size=8).shape == (len(TEXTS), 0)
    assert derl_dsl.score_many([], data()).shape == (0, ROWS)


def test_float32_is_near_and_pickles() -> None:
    columns = data(3)
    for wide, narrow in zip(rewards(), rewards(dtype="float32"), strict=True):
        expected = wide.score(columns, group_size=8).values
        found = narrow.score(columns, group_size=8).values
        assert np.allclose(found, expected, atol=1e-6, equal_nan=True), wide.text
        copy = pickle.loads(pickle.dumps(narrow))
        assert same(copy.score(columns, group_size=8).values, found)


def test_an_unknown_dtype_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown dtype 'float16'; one of float64, float32"):
        derl_dsl.compile("a", columns=COLUMNS, dtype="float16")


def test_groups_must_be_known() -> None:
    with pytest.raises(ColumnError, match="group_size"):
        rewards()[4].bind(data())


def test_a_hot_reward_is_compiled_and_keeps_its_bits() -> None:
    reward = derl_dsl.compile(TEXTS[4], columns=COLUMNS)
    graph = reward.kernels.lowered
    rng = np.random.default_rng(0)
    inputs = {i: rng.random(ROWS) for i in graph.inputs(graph.roots())}
    bound = Bound(inputs, ROWS, np.arange(0, ROWS + 1, 8), np.ones(ROWS, dtype=bool))
    kernel = Tiered(graph, "float64", hot=2 * ROWS)
    first = kernel(bound)["reward"]
    assert not kernel.compiled
    kernel(bound)
    until = time.monotonic() + 30
    while not kernel.compiled and time.monotonic() < until:
        assert same(kernel(bound)["reward"], first)
    assert kernel.compiled
    assert same(kernel(bound)["reward"], first)


def in_a_process(*lines: str) -> list[str]:
    """What lines of Python print that know a reward `r` of `a` and `b`, and NumPy."""
    before = (
        "import sys, numpy as np, derl_dsl",
        "kinds = dict(a='number[0, 1]', b='number[0, 1]')",
        "a, b = np.random.default_rng(0).random((2, 1024))",
        "llvm = lambda: 'llvmlite' in sys.modules",
    )
    code = "\n".join((*before, *lines))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_what_a_process_scores_first_needs_no_machine() -> None:
    text = "exp(a) / 3 - b if a > 0.3 else sqrt(b) + a % 0.3"
    told = in_a_process(
        f"r = derl_dsl.compile({text!r}, columns=kinds)",
        "first = r.score(dict(a=a, b=b)).values",
        "print(llvm())",
        "for _ in range(32): later = r.score(dict(a=a, b=b)).values",
        "print(llvm(), np.array_equal(first, later))",
        f"n = derl_dsl.compile({text!r}, columns=kinds, backend='native')",
        "print(np.array_equal(first, n.score(dict(a=a, b=b)).values))",
    )
    assert told == ["False", "True", "True", "True"]


@pytest.mark.parametrize("text", ["a + group_rank(b)", "a + b"])
def test_large_batches_and_groups_go_to_the_machine_at_once(text: str) -> None:
    times = 1 if "group" in text else 40
    told = in_a_process(
        f"r = derl_dsl.compile({text!r}, columns=kinds)",
        f"r.score(dict(a=np.tile(a, {times}), b=np.tile(b, {times})), group_size=1024)",
        "print(llvm())",
    )
    assert told == ["True"]


@pytest.mark.parametrize("backend", ["vm", "native"])
def test_bound_columns_outlive_their_reward(backend: str) -> None:
    columns = data()
    texts = [f"{k}.5 * a + b * b" for k in range(8)]
    calls = [
        derl_dsl.compile(t, columns=COLUMNS, backend=backend, dtype=dtype).bind(columns)
        for t in texts
        for dtype in ("float64", "float32")
    ]
    gc.collect()
    for k, again in enumerate(calls[::2]):
        expected = (k + 0.5) * columns["a"] + columns["b"] * columns["b"]  # type: ignore[operator]
        assert np.allclose(again(), expected)
