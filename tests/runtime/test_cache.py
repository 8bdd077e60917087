"""The cache of primitive values: by content, bounded, and only for what is dear."""

from __future__ import annotations

import numpy as np
import pytest

import derl_dsl
from derl_dsl.elaborate.custom import REGISTRY
from derl_runtime.batch import Batch
from derl_runtime.cache import Cache, digest, size_of
from derl_runtime.sources import Apply, Column


@pytest.fixture(autouse=True)
def _clean_registry():
    yield
    REGISTRY.clear()


def test_the_least_recently_used_go_first_and_the_bound_holds():
    one = np.zeros(100)
    cache = Cache(limit=3 * size_of(one))
    for key in "abc":
        cache.put(key, one)
    assert cache.get("a") is one
    cache.put("d", one)
    assert cache.get("b") is None
    assert [cache.get(k) is one for k in "acd"] == [True] * 3
    assert cache.bytes == cache.limit
    cache.put("a", one)
    assert (len(cache), cache.bytes) == (3, cache.limit)
    cache.put("whole", np.zeros(1000))
    assert cache.get("whole") is None
    cache.clear()
    assert (len(cache), cache.bytes) == (0, 0)


def test_different_content_has_different_digests():
    columns = [
        ["ab", "c"], ["a", "bc"], ["abc"], ["abc", ""], [["ab", "c"]], [["ab"], ["c"]], "abc",
        ["\ud800"], ["\\ud800"], [], [[]], 1.0, 1, True, None, "1.0", ["1.0"],
        np.array([1.0]), np.array([1]), np.array([[1.0]]), [[1.0]], [[1]], [[True]],
        [np.array([1.0])], np.array([0.0]), np.array([-0.0]),
    ]  # fmt: skip
    assert len({digest(c) for c in columns}) == len(columns)
    assert digest(["a", "b"]) == digest(("a", "b"))
    with pytest.raises(TypeError, match="object"):
        digest(object())


def counted(cost):
    calls = []

    @derl_dsl.primitive("(completion: text) -> number[0, 9]", cost=cost)
    def length(completion):
        calls.append(len(completion))
        return [float(len(text)) for text in completion]

    return Apply(
        length, (Column("completion", derl_dsl.elaborate.custom.parse_type("text")),)
    ), calls


@pytest.mark.parametrize(("cost", "expected"), [("parse", 2), ("process", 2), ("scan", 4)])
def test_equal_columns_are_evaluated_once_across_batches_where_that_pays(cost, expected):
    source, calls = counted(cost)
    cache = Cache()
    for texts in (["a", "bb"], ["a", "b" * 2], ["bb", "a"], ["a", "bb"]):
        batch = Batch({"completion": texts}, cache=cache)
        assert batch.values(source).data.tolist() == [len(t) for t in texts]
        batch.values(source).data[:] = -1.0  # what a caller does to its values is its own affair
    assert len(calls) == expected


def test_a_cache_of_nothing_keeps_nothing():
    source, calls = counted("parse")
    for _ in range(2):
        Batch({"completion": ["a"]}, cache=Cache(limit=0)).values(source)
    assert len(calls) == 2


def test_failures_are_not_kept():
    fails = [True]

    @derl_dsl.primitive("(completion: text) -> number[0, 9]", cost="parse")
    def flaky(completion):
        if fails.pop() if fails else False:
            raise RuntimeError("once")
        return [1.0] * len(completion)

    source = Apply(flaky, (Column("completion", derl_dsl.elaborate.custom.parse_type("text")),))
    cache = Cache()
    first, second = (Batch({"completion": ["a"]}, cache=cache) for _ in range(2))
    assert first.values(source).valid.tolist() == [False]
    assert second.values(source).data.tolist() == [1.0]
    assert [f.kind for f in first.faults] == ["crash"]


def test_two_rewards_of_one_batch_share_what_a_parse_costs():
    _, calls = counted("parse")
    rewards = [derl_dsl.compile(f"{k} * length(completion)", columns={"completion": "text"})
               for k in (1, 2)]  # fmt: skip
    columns = {"completion": [f"unique to this test {i}"[-9:] for i in range(8)]}
    ones, twos = (r.score(columns).values for r in rewards)
    assert (2 * ones == twos).all()
    assert len(calls) == 1
