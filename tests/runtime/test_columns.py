"""Columns of every kind give the same numbers; NumPy and Arrow ones are not copied needlessly."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import torch

import derl_dsl
from derl_grammar.types import parse_type
from derl_runtime.batch import Batch
from derl_runtime.reading import ColumnError
from derl_runtime.sources import Column
from derl_runtime.values import Ragged

NUMBERS = [0.0, 1.0, 0.25, 0.5]
LISTS = [[0.5], [], [1.0, 0.0, 0.25], [0.75, 0.5]]
FLAT = Ragged(np.array([0.5, 1.0, 0.0, 0.25, 0.75, 0.5]), np.array([0, 1, 1, 4, 6]))


def read(kind, data):
    batch = Batch({"x": data})
    return batch.values(Column("x", parse_type(kind))), batch.faults


@pytest.mark.parametrize(
    "data",
    [
        NUMBERS,
        tuple(NUMBERS),
        np.array(NUMBERS),
        np.array(NUMBERS, dtype=np.float32),
        np.repeat(NUMBERS, 2)[::2],
        pa.array(NUMBERS),
        pa.chunked_array([NUMBERS[:1], NUMBERS[1:]]),
        pa.array([9.0, *NUMBERS]).slice(1),
        torch.tensor(NUMBERS),
    ],
    ids=["list", "tuple", "float64", "float32", "strided", "arrow", "chunked", "slice", "torch"],
)
def test_numbers_of_every_kind(data):
    values, faults = read("number[0, 1]", data)
    assert values.data.tolist() == NUMBERS
    assert values.data.flags.writeable
    assert values.data.flags.c_contiguous
    assert values.valid is None
    assert faults == []


@pytest.mark.parametrize(
    "data",
    [
        LISTS,
        [np.array(v) for v in LISTS],
        [tuple(v) for v in LISTS],
        pa.array(LISTS),
        pa.chunked_array([pa.array(LISTS[:2]), pa.array(LISTS[2:])]),
        pa.array([[7.0], *LISTS, [8.0]]).slice(1, 4),
        pa.array(LISTS, pa.large_list(pa.float32())),
        FLAT,
    ],
    ids=["lists", "arrays", "tuples", "arrow", "chunked", "slice", "large", "ragged"],
)
def test_lists_of_every_kind(data):
    values, faults = read("list[number[0, 1]]", data)
    ragged = values.ragged()
    assert ragged.values.tolist() == FLAT.values.tolist()
    assert ragged.offsets.tolist() == FLAT.offsets.tolist()
    assert [list(row) for row in values.data] == LISTS
    assert [list(row) for row in values.data[1:3]] == LISTS[1:3]
    assert list(values.data[-1]) == LISTS[-1]
    assert faults == []
    r = derl_dsl.compile("sum(x)", columns={"x": "list[number[0, 1]]"})
    assert r.score({"x": data}).values.tolist() == [sum(v) for v in LISTS]


def test_bad_steps_cost_their_row_alone():
    for data in ([[0.5], [7.0, 1.0], [0.25]], pa.array([[0.5], [7.0, 1.0], [0.25]])):
        values, faults = read("list[number[0, 1]]", data)
        assert values.valid.tolist() == [True, False, True]
        assert values.ragged().offsets.tolist() == [0, 1, 1, 2]
        assert [(f.kind, f.rows) for f in faults] == [("out_of_range", (1,))]
        assert "holds 7.0" in faults[0].message
    for odd in (["1"], [None], [[1.0]], [1 + 0j], [True, "x"]):
        values, faults = read("list[number[0, 1]]", [[0.5], odd])
        assert values.valid.tolist() == [True, False]


def test_arrow_nulls_are_missing():
    values, faults = read("number[0, 1]", pa.array([0.5, None]))
    assert values.valid.tolist() == [True, False]
    assert faults[0].kind == "missing"
    values, faults = read("list[number[0, 1]]", pa.array([[0.5], None, [0.5, None]]))
    assert values.valid.tolist() == [True, False, False]
    assert sorted(f.kind for f in faults) == ["missing", "out_of_range"]
    assert read("text", pa.array(["a", None]))[0].data == ["a", None]
    assert read("bool?", pa.array([True, None]))[0].valid.tolist() == [True, False]


def test_numpy_and_arrow_memory_is_read_where_it_lies():
    mine = np.array(NUMBERS)
    assert np.shares_memory(read("number[0, 1]", mine)[0].data, mine)
    arrow = pa.array(LISTS)
    flat = read("list[number[0, 1]]", arrow)[0].ragged().values
    assert np.shares_memory(flat, arrow.values.to_numpy())


def test_scoring_leaves_the_callers_arrays_alone():
    mine = np.array([0.5, 7.0, 0.25])
    other = np.array([0.5, np.nan, np.inf])
    r = derl_dsl.compile("x", columns={"x": "number[0, 1]"})
    s = r.score({"x": mine})
    s.values[:] = -1.0
    assert mine.tolist() == [0.5, 7.0, 0.25]
    r = derl_dsl.compile("part = x\nreward = x + y", columns=dict.fromkeys("xy", "number[0, 9]"))
    s = r.score({"x": mine, "y": other})
    s.parts["part"][:] = -1.0
    assert mine.tolist() == [0.5, 7.0, 0.25]
    assert other[0] == 0.5


def test_a_ragged_column_where_numbers_are_wanted_is_refused():
    with pytest.raises(ColumnError, match="'x' must be text"):
        read("text", FLAT)
    with pytest.raises(ColumnError, match="different numbers of rows"):
        Batch({"x": FLAT, "y": [1]})


@pytest.mark.parametrize(("kind", "given"), [
    ("list[number[0, 1]]", [0.5]), ("list[bool]", [True]), ("list[text]", ["a"]),
    ("text", "a"), ("number[0, 1]", 0.5), ("bool", True),
])  # fmt: skip
def test_nan_is_a_missing_value_of_every_type(kind, given):
    """Frames of pandas, and dicts made of them, have NaN where there is no list or text."""
    for gap in (None, float("nan"), np.float64("nan")):
        values, faults = read(f"{kind}?", [given, gap])
        assert values.valid.tolist() == [True, False]
        assert faults == []
        values, (fault,) = read(kind, [given, gap])
        assert (fault.kind, fault.rows) == ("missing", (1,))
