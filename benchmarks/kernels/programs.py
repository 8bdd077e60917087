"""The four shapes of program, their data, and each once more in plain Python.

Rows are random and many: repeated calls on a few ragged rows teach the branch predictor their
lengths, so small batches of the ragged shape are taken in turns until 16,384 rows have been seen.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

GROUP = 8
LONGEST = 16
_NAMES = ("g1", "g2", "g3", "g4")
_DISTINCT = 16_384


@dataclass(frozen=True)
class Data:
    """The columns of one batch of `rows` rollouts; `lists` as values behind one another."""

    rows: int
    columns: dict[str, Array]
    values: Array | None = None
    offsets: NDArray[np.int64] | None = None

    @cached_property
    def lists(self) -> list[list[float]]:
        """The lists as Python lists."""
        assert self.values is not None
        assert self.offsets is not None
        values, offsets = self.values.tolist(), self.offsets.tolist()
        return [values[a:b] for a, b in itertools.pairwise(offsets)]

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """The number of steps of each rollout, (B,)."""
        assert self.offsets is not None
        return np.diff(self.offsets)

    @cached_property
    def padded(self) -> tuple[Array, NDArray[np.bool_]]:
        """The lists as (B, 16), zeros behind their ends, and where there is a value."""
        assert self.values is not None
        there = np.arange(LONGEST) < self.lengths[:, None]
        dense = np.zeros((self.rows, LONGEST))
        dense[there] = self.values
        return dense, there

    @cached_property
    def given(self) -> dict[str, Any]:
        """The columns as derl-dsl takes them: arrays, and lists as one Arrow column."""
        if self.values is None:
            return dict(self.columns)
        import pyarrow as pa

        return {"xs": pa.LargeListArray.from_arrays(self.offsets, self.values)}


def _numbers(rows: int, rng: np.random.Generator) -> Data:
    return Data(rows, {name: rng.random(rows) for name in _NAMES})


def _ragged(rows: int, rng: np.random.Generator) -> Data:
    """Lists of 0 to 16 steps, 8 on average."""
    offsets = np.concatenate([[0], np.cumsum(rng.integers(0, LONGEST + 1, rows))])
    return Data(rows, {}, rng.random(int(offsets[-1])), offsets)


@dataclass(frozen=True, slots=True)
class Shape:
    """A program over columns of [0, 1].

    `python` is the same as a Python expression and `row` gives the names in it for each rollout;
    `traffic` is the bytes that a rollout has to be read and written at least.
    """

    name: str
    title: str
    text: str
    types: dict[str, str]
    draw: Callable[[int, np.random.Generator], Data]
    python: str
    row: Callable[[Data], list[dict[str, Any]]]
    traffic: float
    grouped: bool = False

    def turns(self, rows: int) -> int:
        """How many batches of `rows` rollouts are taken in turns: one, of ragged ones more."""
        return max(1, _DISTINCT // rows) if self.name == "ragged" else 1

    def batches(self, rows: int) -> list[Data]:
        """Those batches."""
        rng = np.random.default_rng(rows)
        return [self.draw(rows, rng) for _ in range(self.turns(rows))]


def _scalar_rows(data: Data) -> list[dict[str, Any]]:
    columns = [data.columns[name].tolist() for name in _NAMES]
    return [dict(zip(_NAMES, values, strict=True)) for values in zip(*columns, strict=True)]


def _list_rows(data: Data) -> list[dict[str, Any]]:
    return [{"xs": xs} for xs in data.lists]


def _group_rows(data: Data) -> list[dict[str, Any]]:
    """Each rollout with its group's values, as reward code of one rollout sees them."""
    rows = _scalar_rows(data)
    for start in range(0, data.rows, GROUP):
        group = rows[start : start + GROUP]
        g1s, g2s = [r["g1"] for r in group], [r["g2"] for r in group]
        for row in group:
            row["g1s"], row["g2s"] = g1s, g2s
    return rows


def clip(x: float, lo: float, hi: float) -> float:
    return min(max(x, lo), hi)


def mean(xs: list[float]) -> float:
    return sum(xs) / len(xs) if xs else 0.0


def std(xs: list[float]) -> float:
    middle = sum(xs) / len(xs)
    return float((sum((x - middle) ** 2 for x in xs) / len(xs)) ** 0.5)


def rank(x: float, xs: list[float]) -> float:
    below = sum(v < x for v in xs)
    ties = sum(v == x for v in xs) - 1
    return (below + 0.5 * ties) / (len(xs) - 1)


# What the Python expressions call.
HELPERS: dict[str, Any] = {
    "clip": clip,
    "mean": mean,
    "std": std,
    "rank": rank,
    "largest": lambda xs: max(xs, default=0.0),
    "smallest": lambda xs: min(xs, default=0.0),
    "last": lambda xs: xs[-1] if xs else 0.0,
}
_UNIT = dict.fromkeys(_NAMES, "number[0, 1]")
_LINEAR = "0.4 * g1 + 0.3 * g2 + 0.2 * g3 + 0.1 * g4"
_CONDITIONAL = (
    "1 - 0.4 * clip(g2, 0.1, 0.9) if g1 > 0.5 else (abs(g3 - g4) if g2 > 0.3 else min(g3, g4))"
)

SHAPES = (
    Shape("linear", "E1, linear", _LINEAR, _UNIT, _numbers, _LINEAR, _scalar_rows, 40),
    Shape(
        "conditional",
        "E2, conditional",
        _CONDITIONAL,
        _UNIT,
        _numbers,
        _CONDITIONAL,
        _scalar_rows,
        40,
    ),
    Shape(
        "ragged",
        "E3, ragged: lists of 8 steps on average",
        "0.4 * mean(xs) + 0.3 * max(xs) + 0.2 * min(xs) + 0.1 * last(xs)",
        {"xs": "list[number[0, 1]]"},
        _ragged,
        "0.4 * mean(xs) + 0.3 * largest(xs) + 0.2 * smallest(xs) + 0.1 * last(xs)",
        _list_rows,
        8 * (LONGEST / 2) + 16,
    ),
    Shape(
        "group",
        "E4, groups of 8",
        "clip((g1 - group_mean(g1)) / (group_std(g1) + 0.1), -2, 2) + 0.2 * group_rank(g2)",
        _UNIT,
        _numbers,
        "clip((g1 - mean(g1s)) / (std(g1s) + 0.1), -2, 2) + 0.2 * rank(g2, g2s)",
        _group_rows,
        24,
        grouped=True,
    ),
)
