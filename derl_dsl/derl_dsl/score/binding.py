"""From columns to the inputs of a kernel: values, conditions, lists, and what is missing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from derl_dsl.backends.kernel import Array, Bound, Offsets, Ragged
from derl_dsl.graph.ir import Graph, Input
from derl_dsl.graph.leaves import input_range
from derl_dsl.graph.needs import Needs
from derl_grammar.types import List, Number
from derl_runtime.batch import Batch
from derl_runtime.faults import fault
from derl_runtime.reading import ColumnError
from derl_runtime.sources import is_optional, plain
from derl_runtime.values import Values

Mask = NDArray[np.bool_]

UNGROUPED = (
    "the reward has group functions: say how the rollouts are grouped, by group_size or group"
)


def kernel_inputs(needs: Needs, batch: Batch, groups: Offsets) -> tuple[Bound, dict[int, Mask]]:
    """The kernel's inputs, and for each input the rows where it is not to be trusted.

    Missing values of an optional input are no fault: its condition says so.
    """
    arrays: dict[int, Array | Ragged] = {}
    broken: dict[int, Mask] = {}
    for i in needs.inputs:
        node = needs.graph.nodes[i]
        arrays[i], gaps = input_array(batch, node.op, needs.graph.source(i))
        if gaps is not None:
            broken[i] = gaps
    for members in needs.together:
        _align(needs.graph, members, arrays, broken, batch)
    live = np.ones(batch.rows, dtype=bool)
    for mask in broken.values():
        live &= ~mask
    return Bound(arrays, batch.rows, groups, live), broken


def _align(
    graph: Graph,
    members: tuple[int, ...],
    arrays: dict[int, Array | Ragged],
    broken: dict[int, Mask],
    batch: Batch,
) -> None:
    """Lists that go together step by step must have the same length in every row."""
    lists = [v for v in (arrays[i] for i in members) if isinstance(v, Ragged)]
    differ = np.zeros(batch.rows, dtype=bool)
    for other in lists[1:]:
        differ |= other.lengths != lists[0].lengths
    if not differ.any():
        return
    names = " and ".join(str(graph.source(i)) for i in members)
    rows = [int(r) for r in np.flatnonzero(differ)]
    batch.faults.append(fault("protocol", names, rows, "lists of different lengths"))
    for i in members:
        value = arrays[i]
        assert isinstance(value, Ragged)
        arrays[i] = _emptied(value, differ)
        broken[i] = broken.get(i, np.zeros(batch.rows, dtype=bool)) | differ


def input_array(batch: Batch, op: str, source: Input) -> tuple[Array | Ragged, Mask | None]:
    """The values of an input, or where it is applicable, and the rows not to be trusted (or None).

    Missing values of an optional input are no fault: its condition says so.
    """
    values = batch.values(source)
    if op == "valid":
        holds = np.ones(batch.rows) if values.valid is None else values.valid
        return np.asarray(holds, dtype=np.float64), None
    gaps = None if is_optional(source) or values.valid is None else ~values.valid
    return _array(source, values), gaps


def _array(source: Input, values: Values) -> Array | Ragged:
    kind = plain(source)
    if isinstance(kind, List):
        return values.ragged()
    data: Array = values.data
    if values.valid is None:
        return data
    # A row that does not apply still runs through the kernel: with a value of the declared range.
    lo, hi, _ = input_range(source)
    harmless = min(max(0.0, lo), hi)
    if isinstance(kind, Number) and kind.values:
        harmless = kind.values[0]
    return np.where(values.valid, data, harmless)


def _emptied(value: Ragged, rows: Mask) -> Ragged:
    """The lists with those of `rows` emptied."""
    lengths = np.where(rows, 0, value.lengths)
    keep = np.repeat(~rows, value.lengths)
    return Ragged(value.values[keep], np.concatenate([[0], np.cumsum(lengths)]))


def group_offsets(rows: int, size: int | None) -> Offsets:
    """Where each group of `size` neighbours starts; without a size each rollout is its own group.

    Raises ColumnError when the rows are no whole number of groups.
    """
    if size is None:
        return np.arange(rows + 1)
    if size < 1 or rows % size:
        raise ColumnError(f"{rows} rows are no whole number of groups of {size}")
    return np.arange(0, rows + 1, size)


def runs_of(keys: list[Any]) -> Offsets:
    """Where each run of equal neighbours starts, and the end."""
    starts = [k for k in range(len(keys)) if k == 0 or keys[k] != keys[k - 1]]
    return np.array([*starts, len(keys)], dtype=np.int64)
