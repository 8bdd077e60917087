"""Faults: whatever a primitive returns or raises, nothing bad passes and all of it is counted."""

from __future__ import annotations

import logging
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import derl_dsl
from derl_dsl.elaborate.custom import REGISTRY
from derl_primitives.partial import with_failures
from derl_runtime.faults import FaultLog, capped, fault

TEXTS = {"completion": ["a", "bb", "ccc"]}


@pytest.fixture(autouse=True)
def _clean_registry():
    yield
    REGISTRY.clear()


def reward_of(returned, default=None, kind="number[0, 1]", text="p(completion)"):
    def p(completion):
        if isinstance(returned, BaseException):
            raise returned
        return returned

    REGISTRY.clear()
    derl_dsl.primitive(f"(completion: text) -> {kind}", default=default)(p)
    return derl_dsl.compile(text, columns={"completion": "text"})


GARBAGE = {
    "none": None, "number": 0.5, "text": "abc", "bytes": b"abc", "short": [0.5], "long": [0.5] * 4,
    "texts": ["a", "b", "c"], "complex": [1j, 0, 0], "lists": [[0.5], [0.5], [0.5]],
    "table": np.zeros((3, 2)), "ragged": [[0.5], [], [0.5, 1.0]], "huge": [10**400, 0, 0],
    "objects": [object(), 0, 0], "generator": (x for x in (0.5, 0.5, 0.5)), "dict": {0: 1, 1: 1},
    "times": np.zeros(3, dtype="datetime64[s]"),
}  # fmt: skip


@pytest.mark.parametrize("returned", GARBAGE.values(), ids=GARBAGE.keys())
def test_what_is_no_column_of_numbers_is_a_protocol_fault(returned):
    r = reward_of(returned)
    s = r.score(TEXTS)
    assert np.isnan(s.values).all()
    assert [(f.kind, f.name, f.count) for f in s.faults] == [("protocol", "p(completion)", 3)]


BAD_VALUES = {
    "nan": (math.nan, "nonfinite"),
    "inf": (math.inf, "nonfinite"),
    "-inf": (-math.inf, "nonfinite"),
    "none": (None, "nonfinite"),
    "above": (1.0000001, "out_of_range"),
    "below": (-1e-9, "out_of_range"),
}


@pytest.mark.parametrize(("value", "kind"), BAD_VALUES.values(), ids=BAD_VALUES.keys())
def test_a_bad_value_costs_its_row_alone(value, kind):
    s = reward_of([0.5, value, True]).score(TEXTS)
    assert s.values.tolist()[::2] == [0.5, 1.0]
    assert math.isnan(s.values[1])
    assert [(f.kind, f.rows) for f in s.faults] == [(kind, (1,))]
    s = reward_of([0.5, value, True], default=0.25).score(TEXTS)
    assert s.values.tolist() == [0.5, 0.25, 1.0]
    assert [(f.kind, f.rows) for f in s.faults] == [(kind, (1,))]


ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=2),
    st.complex_numbers(),
    st.lists(st.floats(), max_size=2),
)


@given(st.lists(ANYTHING, max_size=5))
def test_nothing_outside_the_range_ever_passes(returned):
    s = reward_of(returned).score(TEXTS)
    inside = s.values[~np.isnan(s.values)]
    assert ((inside >= 0) & (inside <= 1)).all()
    assert np.isnan(s.values).any() == bool(s.faults)


@pytest.mark.parametrize(
    "error", [ValueError("bad\n\x1b[31m" + "x" * 999), MemoryError(), KeyError(0)]
)
def test_what_a_primitive_raises_is_a_crash(error):
    s = reward_of(error, text="0.5 + p(completion)", default=0.5).score(TEXTS)
    assert s.values.tolist() == [1.0] * 3
    (found,) = s.faults
    assert found.kind == "crash"
    assert type(error).__name__ in found.message
    assert len(found.message) <= 240
    assert found.message.isprintable()


def test_an_exception_names_its_class_only_if_there_is_such_a_class():
    for kind, expected in (("oom", "oom"), ("odd", "crash"), ([], "crash"), (None, "crash")):
        error = RuntimeError("told")
        error.kind = kind
        assert [f.kind for f in reward_of(error).score(TEXTS).faults] == [expected]


def test_texts_and_lists_are_held_to_their_type_too():
    r = reward_of(["x", None, "zz"], kind="text", text="1 if contains(p(completion), 'z') else 0")
    assert [f.kind for f in r.score(TEXTS).faults][:1] == ["protocol"]
    r = reward_of([[0.5], [3.0], []], kind="list[number[0, 1]]", text="sum(p(completion))")
    s = r.score(TEXTS)
    assert s.values.tolist()[::2] == [0.5, 0.0]
    assert [(f.kind, f.rows) for f in s.faults] == [("out_of_range", (1,))]


def test_rows_that_a_primitive_reports_as_failed_are_faults_of_its_class():
    returned = with_failures([0.5, 0.0, 1.0], {1: ("timeout", "no verdict after 2 s")})
    r = reward_of(returned)
    s = r.score(TEXTS)
    assert s.values.tolist()[::2] == [0.5, 1.0]
    assert [(f.kind, f.rows, f.message) for f in s.faults] == [
        ("timeout", (1,), "no verdict after 2 s")
    ]
    for _ in range(9):
        r.score(TEXTS)
    assert r.faults.quarantined == ()


def test_an_optional_primitive_may_leave_rows_out():
    r = reward_of([0.5, None, math.nan], kind="number[0, 1]?", text="default(p(completion), 0.75)")
    s = r.score(TEXTS)
    assert s.values.tolist() == [0.5, 0.75, 0.75]
    assert s.faults == []


def test_quarantine_after_repeated_failures_and_a_summary():
    calls = []

    @derl_dsl.primitive("(completion: text) -> number[0, 1]", default=0)
    def broken(completion):
        calls.append(1)
        raise RuntimeError(f"call {len(calls)}")

    r = derl_dsl.compile(
        "length = chars(completion)\nreward = broken(completion) + length", suite="length"
    )
    for _ in range(5):
        s = r.score(TEXTS)
        assert s.values.tolist() == [1, 2, 3]
    assert len(calls) == 3
    assert r.faults.quarantined == ("broken",)
    assert [(t.kind, t.batches, t.rows, t.sample) for t in r.faults.totals] == [
        ("crash", 3, 9, "RuntimeError: call 1"),
        ("quarantined", 2, 6, "not called: it failed 3 times before"),
    ]
    assert "broken(completion): crash, 9 rows in 3 batches; first: RuntimeError" in str(r.faults)
    again = derl_dsl.compile("broken(completion)", suite="length")
    again.faults.limit = 1
    again.score(TEXTS)
    again.score(TEXTS)
    assert len(calls) == 4


def test_rows_that_fail_never_quarantine_a_primitive_that_works():
    """One row a call, as some trainers score: nine in succession that time out, then good ones."""

    @derl_dsl.primitive("(completion: text) -> number[0, 1]")
    def verified(completion):
        late = [k for k, text in enumerate(completion) if text == "late"]
        return with_failures([1.0] * len(completion), dict.fromkeys(late, ("timeout", "no answer")))

    r = derl_dsl.compile("verified(completion)", suite="length")
    for text in ["late"] * 9 + ["good"]:
        values = r.score({"completion": [text]}).values
        assert np.isnan(values).all() == (text == "late")
    for size in (1, 2, 64):
        for _ in range(4):
            r.score({"completion": ["late"] * size})
        assert r.score({"completion": ["good"] * size}).values.tolist() == [1.0] * size
    assert r.faults.quarantined == ()


def test_quarantine_looks_back_on_a_window_and_ends(caplog):
    log = FaultLog(limit=3)
    for _ in range(9):  # two of twenty, again and again
        for broke in [True] * 2 + [False] * 18:
            log.failed("p") if broke else log.called("p", 8, 1)
    assert log.quarantined == ()
    with caplog.at_level(logging.WARNING, "derl_runtime.faults"):
        for _ in range(3):
            log.failed("p")
        assert [log.admits("p") for _ in range(101)] == [False] * 100 + [True]
        log.failed("p")
        assert [log.admits("p") for _ in range(101)] == [False] * 100 + [True]
        log.called("p", 8, 0)
        assert log.admits("p")
    assert [r.message for r in caplog.records] == [
        "p failed 3 times: quarantined, not called for 100 calls",
        "p is tried again after 100 calls in quarantine",
        "p failed again: quarantined for another 100 calls",
        "p is tried again after 100 calls in quarantine",
        "p works again: its quarantine has ended",
    ]


def test_untrusted_calls_break_as_a_whole_when_all_of_some_rows_are_lost():
    log = FaultLog(limit=3)
    for _ in range(20):
        log.called("alone", 1, 1)
        log.called("some", 64, 63)
    assert log.quarantined == ()
    for _ in range(20):
        log.called("alone", 1, 1)
    for _ in range(3):
        log.called("all", 4, 4)
    assert log.quarantined == ("all", "alone")


def test_faults_are_logged_when_new_and_at_powers_of_ten(caplog):
    log = FaultLog()
    with caplog.at_level(logging.WARNING, "derl_runtime.faults"):
        for k in range(25):
            log.add([fault("timeout", "p", [k], f"sample {k}")])
        log.add([fault("crash", "p", [1, 2], "other")])
    assert [r.message for r in caplog.records] == [
        "timeout in p: sample 0 (1 rows: 0)",
        "timeout in p: sample 9 (1 rows: 9), 10 batches so far",
        "crash in p: other (2 rows: 1, 2)",
    ]
    assert [(t.batches, t.rows, t.sample) for t in log.totals] == [
        (25, 25, "sample 0"),
        (1, 2, "other"),
    ]


def test_samples_are_capped_and_escaped():
    assert capped("\x1b[2J\u202e\ud800 ok é") == "\\x1b[2J\\u202e\\ud800 ok é"
    assert len(capped("\x00" * 10**6)) == 240
    assert fault("crash", "p", [0], "a\nb").message == "a\\nb"


def test_a_log_counts_each_input_of_a_batch_once_per_reward():
    rewards = [derl_dsl.compile(t, columns={"x": "number[0, 1]"}) for t in ("x", "2 * x")]
    derl_dsl.score_many(rewards, {"x": [0.5, 3.0]})
    assert [[t.batches for t in r.faults.totals] for r in rewards] == [[1], [1]]
