"""The reference backend: plain NumPy, one operation after the other; it defines the meaning.

Transcendental functions come from the C library through `scalars`, element by element, so that
their last bit is the same as in compiled code. Sums run from left to right.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derl_dsl.backends.kernel import Array, Bound, Kernel, Offsets, Ragged
from derl_dsl.graph import scalars
from derl_dsl.graph.ir import Graph, Node, Param
from derl_dsl.graph.ops import BOOLEAN, GROUP, LEAVES, OPERATIONS, REDUCTIONS, SCALARS, SLICES


def _elementwise(name: str) -> Callable[..., Array]:
    ufunc = np.frompyfunc(scalars.OPS[name], len(OPERATIONS[name].takes), 1)
    kind = bool if OPERATIONS[name].truth else np.float64
    return lambda *args: ufunc(*args).astype(kind)


# What NumPy computes with the same bits it computes; the rest goes element by element.
OPS: dict[str, Callable[..., Any]] = {name: _elementwise(name) for name in SCALARS} | {
    "neg": np.negative,
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": lambda a, b: np.where(b == 0, np.nan, np.divide(a, b)),
    "mod": np.mod,
    "min": np.minimum,
    "max": np.maximum,
    "abs": np.abs,
    "sqrt": np.sqrt,
    "floor": np.floor,
    "round": np.rint,
    "sign": np.sign,
    "guard": lambda x, default: np.where(np.isfinite(x), x, default),
    "lt": np.less,
    "le": np.less_equal,
    "eq": np.equal,
    "ne": np.not_equal,
    "and": np.logical_and,
    "or": np.logical_or,
    "not": np.logical_not,
    "num": lambda x: np.asarray(x, dtype=np.float64),
    "select": np.where,
}


def deviation(values: list[float]) -> float:
    """The standard deviation (divisor n), exactly 0 of equal values, at most half the spread.

    The first value is taken off before summing: rewards that differ little keep their digits.
    """
    if len(values) < 2:
        return 0.0
    moved = [v - values[0] for v in values]
    mean = scalars.total(moved) / len(moved)
    spread = max(values) - min(values)
    variance = scalars.total([(m - mean) * (m - mean) for m in moved]) / len(moved)
    return min(float(np.sqrt(variance)), spread / 2)


def quantile(values: list[float], q: float) -> float:
    """The q-quantile, linear between neighbours, NaN if any value is; 0 of nothing."""
    if any(v != v for v in values):
        return math.nan
    # Adding zero makes one zero of two: sorting need not tell them apart.
    ordered = np.sort(np.asarray(values) + 0.0).tolist()
    if not ordered:
        return 0.0
    at = q * (len(ordered) - 1)
    below = int(at)
    above = min(below + 1, len(ordered) - 1)
    value = ordered[below] + (at - below) * (ordered[above] - ordered[below])
    value = max(ordered[below], value)
    return float(min(ordered[above], value))


GROUPS: dict[str, Callable[[Any], float]] = {
    "group_mean": scalars.mean,
    "group_std": deviation,
    "group_min": scalars.smallest,
    "group_max": scalars.largest,
    "group_size": lambda v: float(len(v)),
}


def _spread(values: list[Any], many: bool) -> tuple[list[Any], Offsets | None]:
    """Single values repeated for every step of the lists they stand with."""
    if not many:
        return values, None
    offsets = next(v.offsets for v in values if isinstance(v, Ragged))
    lengths = np.diff(offsets)
    spread = [v.values if isinstance(v, Ragged) else np.repeat(v, lengths) for v in values]
    return spread, offsets


def _reduce(op: str, ragged: Ragged) -> NDArray[Any]:
    values, offsets = ragged.values.tolist(), ragged.offsets.tolist()
    found = [scalars.REDUCE[op](values[a:b]) for a, b in itertools.pairwise(offsets)]
    return np.array(found, dtype=bool if op in BOOLEAN else np.float64)


def _cut(op: str, literals: tuple[float, ...], ragged: Ragged) -> Ragged:
    starts, ends = [], []
    for start, steps in zip(ragged.offsets.tolist(), ragged.lengths.tolist(), strict=False):
        first, last = scalars.cut(op, literals, steps)
        starts.append(start + first)
        ends.append(start + last)
    chosen = [np.arange(a, b) for a, b in zip(starts, ends, strict=True)]
    index = np.concatenate(chosen) if chosen else np.zeros(0, dtype=np.int64)
    lengths = np.array([len(c) for c in chosen], dtype=np.int64)
    return Ragged(ragged.values[index], np.concatenate([[0], np.cumsum(lengths)]))


def _grouped(node: Node, args: list[Any], bound: Bound) -> Array:
    *values, where = args
    counted = where & bound.live
    out = np.zeros(bound.rows)
    for start, end in zip(bound.groups.tolist(), bound.groups[1:].tolist(), strict=False):
        rows = slice(start, end)
        column = values[0][rows] if values else counted[rows].astype(np.float64)
        chosen = column[counted[rows]].tolist()
        if node.op == "group_rank":
            out[rows] = _ranks(column.tolist(), counted[rows].tolist())
        elif node.op == "group_quantile":
            assert isinstance(node.payload, tuple)
            out[rows] = quantile(chosen, node.payload[0])
        else:
            out[rows] = GROUPS[node.op](chosen)
    return out


def _ranks(column: list[float], counted: list[bool]) -> list[float]:
    """For each rollout the share of the others that count with a smaller value, ties half.

    NaN where its own value is, or one that it is compared with.
    """
    found = []
    for k, x in enumerate(column):
        others = [v for j, v in enumerate(column) if j != k and counted[j]]
        if any(v != v for v in (x, *others)):
            found.append(math.nan)
            continue
        below = sum(v < x for v in others) + 0.5 * sum(v == x for v in others)
        found.append(below / len(others) if others else 0.5)
    return found


def _node(node: Node, args: list[Any], bound: Bound) -> Any:
    if node.op in GROUP:
        return _grouped(node, args, bound)
    if node.op in REDUCTIONS:
        return _reduce(node.op, args[0])
    if node.op in SLICES:
        assert isinstance(node.payload, tuple)
        return _cut(node.op, node.payload, args[0])
    spread, offsets = _spread(args, node.is_list)
    result = OPS[node.op](*spread)
    return result if offsets is None else Ragged(result, offsets)


def _leaf(node: Node, value: Any, rows: int) -> Any:
    if isinstance(node.payload, float):
        return np.full(rows, node.payload)
    if isinstance(node.payload, Param):
        return np.full(rows, node.payload.value)
    if isinstance(value, Ragged):
        return Ragged(value.values != 0, value.offsets) if node.is_bool else value
    return value != 0 if node.is_bool else value


def _rounded(value: Any, node: Node, dtype: str) -> Any:
    """Numbers in the type they are computed in."""
    if node.is_bool or dtype == "float64":
        return value
    if isinstance(value, Ragged):
        return Ragged(np.asarray(value.values, dtype), value.offsets)
    return np.asarray(value, dtype)


def emit(graph: Graph, dtype: str = "float64") -> Kernel:
    """A kernel that runs the graph's operations over whole columns.

    In float32 every operation rounds; functions of the C library, reductions of lists and group
    functions are computed in float64 and rounded at their end.
    """
    order = graph.used(graph.roots())
    outputs = {**graph.outputs, **{f"?{name}": i for name, i in graph.valids.items()}}

    def kernel(bound: Bound) -> dict[str, Array]:
        done = evaluate(graph, order, bound, dtype)
        return {name: np.array(done[i], dtype=np.float64) for name, i in outputs.items()}

    return kernel


def evaluate(
    graph: Graph, order: list[int], bound: Bound, dtype: str = "float64"
) -> dict[int, Any]:
    """The values of nodes in order: (B,) arrays, Ragged for lists."""
    done: dict[int, Any] = {}
    with np.errstate(all="ignore"):
        for i in order:
            node = graph.nodes[i]
            if node.op in LEAVES:
                found = _leaf(node, bound.inputs.get(i), bound.rows)
            else:
                found = _node(node, [done[a] for a in node.args], bound)
            done[i] = _rounded(found, node, dtype)
    return done
