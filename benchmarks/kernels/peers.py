"""The four shapes as other tools would do them: NumPy, numexpr, polars, plain Python.

Each peer takes its data in the form it likes best, made before the clock starts. A maker gives the
run for one batch, or None where the tool cannot express the shape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.kernels.programs import GROUP, HELPERS, Data, Shape

Run = Callable[[], object]
# From a shape and a batch to its run; None: cannot.
Maker = Callable[[Shape, Data], Run | None]


def python_text(shape: Shape, data: Data) -> Run:
    """`eval` of the text for each rollout, as the reference implementation of DERL scores."""
    rows = shape.row(data)
    text, helpers = shape.python, {**HELPERS}
    return lambda: [eval(text, helpers, row) for row in rows]


def python_code(shape: Shape, data: Data) -> Run:
    """`eval` of the compiled expression for each rollout."""
    rows = shape.row(data)
    code, helpers = compile(shape.python, "<reward>", "eval"), {**HELPERS}
    return lambda: [eval(code, helpers, row) for row in rows]


def numpy_(shape: Shape, data: Data) -> Run:
    """Array expressions; lists through `reduceat`, groups as an axis of 8."""
    g1, g2, g3, g4 = (data.columns.get(name, np.zeros(0)) for name in ("g1", "g2", "g3", "g4"))
    if shape.name == "linear":
        return lambda: 0.4 * g1 + 0.3 * g2 + 0.2 * g3 + 0.1 * g4
    if shape.name == "conditional":
        return lambda: np.where(
            g1 > 0.5,
            1 - 0.4 * np.clip(g2, 0.1, 0.9),
            np.where(g2 > 0.3, np.abs(g3 - g4), np.minimum(g3, g4)),
        )
    return _numpy_ragged(data) if shape.name == "ragged" else _numpy_group(g1, g2)


def _numpy_ragged(data: Data) -> Run:
    values, offsets = data.values, data.offsets
    assert values is not None
    assert offsets is not None

    def run() -> Any:
        # reduceat gives an empty list the value behind it, and fails behind the last value.
        lengths = np.diff(offsets)
        some = lengths > 0
        starts = offsets[:-1][some]
        out = np.zeros(len(lengths))
        out[some] = (
            0.4 * (np.add.reduceat(values, starts) / lengths[some])
            + 0.3 * np.maximum.reduceat(values, starts)
            + 0.2 * np.minimum.reduceat(values, starts)
            + 0.1 * values[offsets[1:][some] - 1]
        )
        return out

    return run


def _numpy_group(g1: Any, g2: Any) -> Run:
    def run() -> Any:
        a, b = g1.reshape(-1, GROUP), g2.reshape(-1, GROUP)
        moved = a - a.mean(axis=1, keepdims=True)
        score = np.clip(moved / (a.std(axis=1, keepdims=True) + 0.1), -2, 2)
        mine, others = b[:, :, None], b[:, None, :]
        ties = (others == mine).sum(axis=2) - 1
        ranks = ((others < mine).sum(axis=2) + 0.5 * ties) / (GROUP - 1)
        return (score + 0.2 * ranks).ravel()

    return run


_NUMEXPR = {
    "linear": "0.4 * g1 + 0.3 * g2 + 0.2 * g3 + 0.1 * g4",
    "conditional": (
        "where(g1 > 0.5, 1 - 0.4 * where(g2 < 0.1, 0.1, where(g2 > 0.9, 0.9, g2)), "
        "where(g2 > 0.3, abs(g3 - g4), where(g3 < g4, g3, g4)))"
    ),
}


def numexpr_evaluate(shape: Shape, data: Data) -> Run | None:
    """`numexpr.evaluate` of the same text again and again."""
    if shape.name not in _NUMEXPR:
        return None
    import numexpr

    text, names = _NUMEXPR[shape.name], data.columns
    return lambda: numexpr.evaluate(text, local_dict=names)


def numexpr_again(shape: Shape, data: Data) -> Run | None:
    """`numexpr.re_evaluate`: no text is looked at, only the columns."""
    if shape.name not in _NUMEXPR:
        return None
    import numexpr

    text, names = _NUMEXPR[shape.name], data.columns
    # It takes the expression that was evaluated last: here always this one, whoever did it.
    numexpr.evaluate(text, local_dict=names)
    return lambda: numexpr.re_evaluate(local_dict=names)


def polars_(shape: Shape, data: Data) -> Run:
    """An expression over a data frame; lists as a List column, groups by `over`."""
    import polars as pl

    c = pl.col
    if shape.name == "ragged":
        frame = pl.DataFrame({"xs": pl.Series(pl.from_arrow(data.given["xs"]))})
        xs = c("xs").list
        made = (
            0.4 * xs.mean().fill_null(0.0)
            + 0.3 * xs.max().fill_null(0.0)
            + 0.2 * xs.min().fill_null(0.0)
            + 0.1 * xs.last().fill_null(0.0)
        )
    else:
        group = np.arange(data.rows) // GROUP
        frame = pl.DataFrame({**data.columns, "group": group})
        made = {
            "linear": 0.4 * c("g1") + 0.3 * c("g2") + 0.2 * c("g3") + 0.1 * c("g4"),
            "conditional": pl.when(c("g1") > 0.5)
            .then(1 - 0.4 * c("g2").clip(0.1, 0.9))
            .when(c("g2") > 0.3)
            .then((c("g3") - c("g4")).abs())
            .otherwise(pl.min_horizontal("g3", "g4")),
            "group": (
                (c("g1") - c("g1").mean().over("group")) / (c("g1").std(ddof=0).over("group") + 0.1)
            ).clip(-2, 2)
            + 0.2 * (c("g2").rank("average").over("group") - 1) / (GROUP - 1),
        }[shape.name]
    return lambda: frame.select(made.alias("reward"))["reward"]
