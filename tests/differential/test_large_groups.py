"""Groups too large to compare all pairs: what sorting finds are the bits of the reference."""

from __future__ import annotations

import numpy as np
import pytest

import derl_dsl

_COLUMNS = {"a": "number[-100, 100]", "b": "bool", "o": "number[-100, 100]?"}
_REWARDS = (
    "group_rank(a)",
    "group_rank(a, where=b)",
    "group_rank(a / 3, where=a > 0) + group_quantile(a, 0.3, where=b)",
    "group_rank(group_rank(a), where=b)",
    "default(group_rank(o), 0.25)",
    "default(group_rank(o, where=b), 0.25)",
    "0.25 if b else group_rank(1 / a if a != 0 else 2)",
)


def _columns(size: int, seed: int) -> dict[str, list]:
    rng = np.random.default_rng(seed)
    a = rng.integers(-3, 40, size).astype(float)
    a[rng.random(size) < 0.05] = -0.0
    maybe = [None if k % 17 == 0 and seed % 2 else v for k, v in enumerate(a.tolist())]
    return {"o": maybe, "a": a.tolist(), "b": (rng.random(size) < 0.6).tolist()}


@pytest.mark.parametrize("backend", ["vm", "native", "numba", "torch"])
@pytest.mark.parametrize("text", _REWARDS)
def test_large_groups_are_the_references(text: str, backend: str) -> None:
    if backend == "numba":
        pytest.importorskip("numba")
    made = [
        derl_dsl.compile(f"reward = {text}\n", columns=_COLUMNS, backend=name)
        for name in ("reference", backend)
    ]
    for sizes in ((250, 263), (380, 391), (514,)):
        data = _columns(sum(sizes), sum(sizes))
        ids = [k for k, size in enumerate(sizes) for _ in range(size)]
        expected, found = (np.asarray(m.score(data, group=ids, uneven=True).values) for m in made)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("shape", ["rises", "falls", "halves", "equal"])
def test_sorting_meets_values_in_any_order(shape: str) -> None:
    n = 600
    values = {
        "rises": list(range(n)),
        "falls": list(range(n, 0, -1)),
        "halves": [k // 2 + (k % 2) * n for k in range(n)],
        "equal": [1] * n,
    }[shape]
    made = [
        derl_dsl.compile("reward = group_rank(a)\n", columns=_COLUMNS, backend=name)
        for name in ("reference", "vm")
    ]
    data = {"a": [float(v) for v in values]}
    expected, found = (np.asarray(m.score(data, group_size=n).values) for m in made)
    np.testing.assert_array_equal(found, expected)
