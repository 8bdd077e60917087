"""The corners of values, as grammar/README.md states them, on every backend and way to score."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import derl_dsl
from derl_dsl.backends import BACKENDS
from derl_runtime.reading import ColumnError

COLUMNS = {
    "a": "number[0, 1]",
    "b": "number[0, 1]",
    "w": "number[1, 50]",
    "ok": "bool",
    "o": "number[0, 1]?",
    "q": "number[0, 1]?",
    "om": "bool?",
    "xs": "list[number[0, 9]]",
    "ys": "list[number[0, 9]]",
    "ol": "list[number[0, 9]]?",
}
NAN = math.nan
everywhere = pytest.mark.parametrize("backend", sorted(set(BACKENDS) - {"numba"}))


def scored(text: str, backend: str, size: int | None = None, **columns: Any) -> list[float]:
    """The rewards, which bind and score_many give too."""
    if backend == "torch":
        pytest.importorskip("torch")
    reward = derl_dsl.compile(text, columns=COLUMNS, backend=backend)
    found = reward.score(columns, group_size=size).values
    for other in (
        reward.bind(columns, group_size=size)(),
        derl_dsl.score_many([reward], columns, size)[0],
    ):
        np.testing.assert_array_equal(other, found)
    return found.tolist()  # type: ignore[no-any-return]


def alike(found: list[float], expected: list[float]) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@everywhere
def test_default_takes_what_applies(backend: str) -> None:
    found = scored("default(default(o, q), 0)", backend, o=[0.5, None, None], q=[None, 0.25, None])
    assert found == [0.5, 0.25, 0]
    text = "w + default(default(group_mean(a, where=ok), group_mean(a, where=not ok)), 0)"
    data = {"a": [0.5, 0.7, 0.1, 0.3], "ok": [True, True, False, False], "w": [1, 2, 1, 2]}
    alike(scored(text, backend, 2, **data), [1.6, 2.6, 1.2, 2.2])
    found = scored("default(default(a if ok else skip, o), 0)", backend,
                   a=[0.5, 0.5], ok=[True, False], o=[None, None])  # fmt: skip
    assert found == [0.5, 0]
    found = scored("default(o, q)", backend, o=[0.5, None, None], q=[None, 0.25, None])
    np.testing.assert_array_equal(found, [0.5, 0.25, NAN])


@everywhere
def test_what_is_only_logged_cannot_touch_the_reward(backend: str) -> None:
    data = {"ok": [True, False], "w": [2.0, 40.0], "b": [None, 0.5]}
    alike(scored("_log = b\nreward = ok + 0.01 * group_min(w)", backend, 2, **data), [1.02, 0.02])
    alike(scored("_log = b\nreward = w / group_min(w)", backend, 2, **data), [1, 20])
    lists = {"ok": [True, False], "xs": [[1.0], [1.0]], "ys": [[1.0], [2.0, 3.0]]}
    text = "_log = sum(xs + ys)\nreward = ok + sum(ys)"
    assert scored(text, backend, **lists) == [2, 5]
    # A row with a fault in what the reward does read leaves its groups.
    found = scored("b + group_min(w)", backend, 2, **data)
    np.testing.assert_array_equal(found, [NAN, 40.5])


@everywhere
def test_what_is_written_is_read_also_where_it_is_never_asked_for(backend: str) -> None:
    nan = pytest.approx(NAN, nan_ok=True)
    data = {"a": [0.5, 0.25], "b": [0.5, 77.0], "om": [True, None], "o": [None, None]}
    lists = {"a": [0.5, 0.25], "om": [True, None], "xs": [[1], [1]], "ys": [[1], [1, 2]]}
    defaults = ("b", "a + b", "a if b > 0 else skip", "skip if b > 2 else a",
                "group_mean(a, where=b > 0)", "default(o, a if b > 0 else skip)")  # fmt: skip
    for always in ("a", "group_rank(a, where=om)"):
        for default in defaults:
            text = f"default({always}, {default})"
            assert scored(text, backend, 2, **data) == [0.5, nan], text
        text = f"default({always}, skip if any(xs > ys) else a)"
        assert scored(text, backend, 2, **lists) == [0.5, nan], text
    # The row leaves its group too.
    ranked = "group_rank(default(a, skip if b > 2 else a))"
    assert scored(ranked, backend, 3, a=[0, 0.5, 1], b=[0, 77, 1]) == [0, nan, 1]


@everywhere
def test_a_text_that_is_written_is_read_also_where_it_is_never_asked_for(backend: str) -> None:
    rows = {"t": ["one two", "one"], "u": ["x", None], "v": [None, "y"]}
    for text, found in (
        ("words(default(t, u))", [2, NAN]),
        ("words(t if True else u)", [2, NAN]),
        ("words(default(t, 'none'))", [2, 1]),
        ("words(default(t, v))", [2, 1]),
        ("words(default(v, t))", [2, 1]),
    ):
        reward = derl_dsl.compile(text, columns={"t": "text", "u": "text", "v": "text?"},
                                  backend=backend)  # fmt: skip
        np.testing.assert_array_equal(reward.score(rows).values, found)


def test_columns_that_only_parts_read_may_lack() -> None:
    reward = derl_dsl.compile("_log = b\nreward = a", columns=COLUMNS)
    assert derl_dsl.score_many([reward], {"a": [0.5]}).tolist() == [[0.5]]
    assert reward.bind({"a": [0.5]})().tolist() == [0.5]
    with pytest.raises(ColumnError, match="'b'"):
        reward.score({"a": [0.5]})


@everywhere
def test_a_missing_list_beside_another_is_not_applicable(backend: str) -> None:
    data = {"ol": [None, [1.0]], "xs": [[1.0, 2.0], [3.0]]}
    assert scored("default(sum(ol + xs), 9)", backend, **data) == [9, 4]
    assert scored("sum(default(ol, xs))", backend, **data) == [3, 1]
    assert scored("sum(default(ol, 1))", backend, ol=data["ol"]) == [0, 1]
    assert scored("sum(default(ol, 1) * xs)", backend, **data) == [3, 3]
    reward = derl_dsl.compile("default(sum(ol + xs), 9)", columns=COLUMNS, backend=backend)
    assert reward.score(data).faults == []


@everywhere
def test_a_fault_in_a_list_stays_with_what_reads_it(backend: str) -> None:
    reward = derl_dsl.compile(
        "both = sum(xs + ys)\nreward = sum(xs)", columns=COLUMNS, backend=backend
    )
    scores = reward.score({"xs": [[1.0, 2.0], [1.0]], "ys": [[1.0, 77.0], [1.0]]})
    assert scores.values.tolist() == [3, 1]
    np.testing.assert_array_equal(scores.parts["both"], [NAN, 2])
    assert [(f.kind, f.name) for f in scores.faults] == [("out_of_range", "ys")]


@everywhere
@pytest.mark.parametrize(
    "text",
    ["guard(min(xs / ys), -1)", "guard(max(xs / ys), -1)", "guard(group_min(a / b), -1)",
     "guard(group_max(a / b), -1)", "guard(group_quantile(a / b, 0.5), -1)",
     "guard(group_rank(a / b), -1)"],
)  # fmt: skip
def test_nan_under_a_guard_does_not_depend_on_order(backend: str, text: str) -> None:
    one = {"a": [0.0, 0.5], "b": [0.0, 0.5], "xs": [[0, 1], [0, 1]], "ys": [[0, 1], [0, 1]]}
    other = {"a": [0.5, 0.0], "b": [0.5, 0.0], "xs": [[1, 0], [1, 0]], "ys": [[1, 0], [1, 0]]}
    one, other = one | {"w": [3.0, 4.0]}, other | {"w": [3.0, 4.0]}
    text = f"w + {text}"
    assert scored(text, backend, 2, **one) == scored(text, backend, 2, **other) == [2, 3]


def test_score_many_takes_programs_whose_unused_part_joins_lists() -> None:
    data = {"a": [0.5], "xs": [[1.0]], "ys": [[1.0]]}
    reward = derl_dsl.compile("_log = sum(xs + ys)\nreward = a", columns=COLUMNS)
    assert derl_dsl.score_many([reward], data).tolist() == [[0.5]]


def test_group_keys_are_equal_as_values_are() -> None:
    reward = derl_dsl.compile("group_size() + a", columns=COLUMNS)
    data = {"a": [0.0] * 4}
    assert reward.score(data, group=[1, 1.0, True, np.int64(1)]).values.tolist() == [4] * 4
    assert reward.score(data, group=[1, "1", 1, "1"]).values.tolist() == [2] * 4
    turns = [[{"role": "user", "content": t}] for t in "xyxy"]
    assert reward.score(data, group=turns).values.tolist() == [2] * 4
    for keys in ([1, None, 1, 1], [1.0, NAN, 1.0, 1.0]):
        with pytest.raises(ColumnError, match="every row needs a group key, but row 1"):
            reward.score(data, group=keys)


def test_groups_of_different_sizes_are_meant_or_an_error() -> None:
    reward = derl_dsl.compile("group_size() + a", columns=COLUMNS)
    data = {"a": [0.0] * 3}
    with pytest.raises(ColumnError, match="different sizes"):
        reward.score(data, group=["x", "x", "y"])
    found = reward.score(data, group=["x", "x", "y"], uneven=True)
    assert found.values.tolist() == [2, 2, 1]
    with pytest.raises(ColumnError, match="group_size is 3, but the keys make groups of 1"):
        reward.score(data, group=["x", "z", "y"], group_size=3)
    # Where nothing looks at groups, their sizes do not matter.
    plain = derl_dsl.compile("a", columns=COLUMNS)
    assert plain.score(data, group=["x", "x", "y"]).values.tolist() == [0] * 3


@pytest.mark.parametrize("backend", ["vm", "native", "reference"])
@pytest.mark.parametrize("text", ["1 / (a + 1e-46)", "default(1 / (a + 1e-46) + 0 * o, 0)"])
def test_float32_beyond_its_numbers_is_warned_of_and_a_fault(backend: str, text: str) -> None:
    with pytest.warns(RuntimeWarning, match="in float32 the reward may be infinite"):
        reward = derl_dsl.compile(text, columns=COLUMNS, backend=backend, dtype="float32")
    data = {"a": [0.0, 0.5], "o": [0.5, 0.5]}
    scores = reward.score(data)
    np.testing.assert_array_equal(scores.values, [NAN, 2])
    assert [(f.kind, f.name, f.rows) for f in scores.faults] == [("nonfinite", "reward", (0,))]
    assert scores.failed.tolist() == [True, False]
    np.testing.assert_array_equal(derl_dsl.score_many([reward], data)[0], [NAN, 2])
    assert "2 batches" in str(reward.faults)


def test_float32_is_not_warned_of_where_it_is_proven(recwarn: pytest.WarningsRecorder) -> None:
    derl_dsl.compile("a / (a + 0.5) + exp(b)", columns=COLUMNS, dtype="float32")
    assert not recwarn.list


@everywhere
def test_an_optional_value_outside_its_type_is_missing_and_a_fault(backend: str) -> None:
    reward = derl_dsl.compile("default(o, 0.25) + a", columns=COLUMNS, backend=backend)
    scores = reward.score({"o": [77.0, 0.5], "a": [0.0, 0.0]})
    assert scores.values.tolist() == [0.25, 0.5]
    assert [(f.kind, f.name) for f in scores.faults] == [("out_of_range", "o")]


@everywhere
def test_and_or_pass_on_what_does_not_apply(backend: str) -> None:
    for text in ("default(1 * (ok and om), 7)", "default(1 * (not ok or om), 7)"):
        assert scored(text, backend, ok=[False, True], om=[None, True]) == [7, 1], text


@everywhere
def test_a_rank_among_nobody_is_a_half(backend: str) -> None:
    data = {"a": [0.1, 0.9], "ok": [False, False]}
    assert scored("group_rank(a, where=ok) + 0 * a", backend, 2, **data) == [0.5, 0.5]


@everywhere
def test_part_cuts_at_products_in_float64(backend: str) -> None:
    assert 100 * 0.29 < 29
    assert scored("count(part(xs, 0, 0.29))", backend, xs=[[1.0] * 100]) == [28]
