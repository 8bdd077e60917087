"""From columns to the inputs of a kernel: values, conditions, lists, and what is missing."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derl_dsl.backends.kernel import Array, Bound, Offsets, Ragged
from derl_dsl.graph.ir import Input
from derl_dsl.graph.leaves import input_range
from derl_dsl.graph.needs import Needs
from derl_grammar.records import record
from derl_grammar.types import List, Number
from derl_runtime import arrow
from derl_runtime.batch import Batch
from derl_runtime.faults import Fault, fault
from derl_runtime.reading import ColumnError
from derl_runtime.sources import is_optional, plain
from derl_runtime.values import Values

Mask = NDArray[np.bool_]

UNGROUPED = (
    "the reward has group functions: say how the rollouts are grouped, by group_size or group"
)


@record
class Reading:
    """The inputs of a graph, read from one batch.

    `arrays` has them by node, `broken` the rows of each that are not to be trusted, `present` the
    rows of a list that have one (None: all).
    """

    needs: Needs
    rows: int
    groups: Offsets
    arrays: dict[int, Array | Ragged]
    broken: dict[int, Mask]
    present: dict[int, Mask | None]

    def whole(self) -> Bound | None:
        """One call's inputs for all outputs at once; None where an output needs a call of its own.

        That is so where faults decide who counts in a group, or which lists go together.
        """
        if self.needs.grouped and self.broken:
            return None
        arrays = dict(self.arrays)
        for members in self.needs.together:
            differ = _fit(members, arrays, self.present)
            fitted = any(arrays[i] is not self.arrays[i] for i in members)
            if differ is not None or (fitted and not self._alike(members)):
                return None
        return Bound(arrays, self.rows, self.groups, np.ones(self.rows, dtype=bool))

    def _alike(self, members: tuple[int, ...]) -> bool:
        """Whether lists meet in every output that reads one of them."""
        needs = self.needs
        return all(
            members in needs.meeting[name] or set(members).isdisjoint(inputs)
            for name, inputs in needs.of_output.items()
        )

    def alone(self, name: str) -> tuple[Bound, Mask, list[Fault]]:
        """The inputs of one output, the rows it loses to faults, and faults of lists that meet.

        What the output does not read has no part in them.
        """
        inputs = self.needs.of_output[name]
        arrays = {i: self.arrays[i] for i in inputs}
        lost, faults = self.lost(name), []
        for members in self.needs.meeting[name]:
            differ = _fit(members, arrays, self.present)
            if differ is not None:
                faults.append(_unequal(self.needs, members, differ))
                lost |= differ
        return Bound(arrays, self.rows, self.groups, ~lost), lost, faults

    def joined(self) -> tuple[dict[int, Array | Ragged], dict[int, Mask], list[Fault]]:
        """The inputs with lists that meet in any output fitted, rows where they differ, faults."""
        arrays, gone, faults = dict(self.arrays), dict(self.broken), []
        for members in self.needs.together:
            differ = _fit(members, arrays, self.present)
            if differ is not None:
                faults.append(_unequal(self.needs, members, differ))
                gone |= {i: gone[i] | differ if i in gone else differ for i in members}
        return arrays, gone, faults

    def lost(self, name: str) -> Mask:
        """The rows in which an input of an output is not to be trusted."""
        lost = np.zeros(self.rows, dtype=bool)
        for i in self.needs.of_output[name]:
            if i in self.broken:
                lost |= self.broken[i]
        return lost


def read_inputs(needs: Needs, batch: Batch, groups: Offsets) -> Reading:
    """The inputs that a graph reads of a batch.

    Missing values of an optional input are no fault: its condition says so.
    """
    found = Reading(needs, batch.rows, groups, {}, {}, {})
    for i in needs.inputs:
        node = needs.graph.nodes[i]
        source = needs.graph.source(i)
        found.arrays[i], gaps = input_array(batch, node.op, source)
        if gaps is not None:
            found.broken[i] = gaps
        if node.is_list:
            found.present[i] = batch.values(source).valid
    return found


def _unequal(needs: Needs, members: Sequence[int], differ: Mask) -> Fault:
    names = " and ".join(str(needs.graph.source(i)) for i in members)
    rows = [int(r) for r in np.flatnonzero(differ)]
    return fault("protocol", names, rows, "lists of different lengths")


def _fit(
    members: Sequence[int],
    arrays: dict[int, Array | Ragged],
    present: Mapping[int, Mask | None],
) -> Mask | None:
    """Gives lists that meet step by step one length in every row.

    A list that is not there takes the length of the others: its values are looked at nowhere, but
    they lie beside those that are. Returns the rows in which lists that are there differ, which
    come out empty; None where there is no such row.
    """
    lists = {i: v for i in members if isinstance(v := arrays[i], Ragged)}
    first = next(iter(lists.values()))
    if all(np.array_equal(v.offsets, first.offsets) for v in lists.values()):
        return None
    rows = len(first.offsets) - 1
    wanted = np.zeros(rows, dtype=np.int64)
    seen, differ = np.zeros(rows, dtype=bool), np.zeros(rows, dtype=bool)
    there = {i: np.ones(rows, dtype=bool) if (p := present[i]) is None else p for i in lists}
    for i, value in lists.items():
        differ |= there[i] & seen & (value.lengths != wanted)
        wanted = np.where(there[i] & ~seen, value.lengths, wanted)
        seen |= there[i]
    wanted = np.where(differ, 0, wanted)
    for i, value in lists.items():
        arrays[i] = _of_lengths(value, there[i] & ~differ, wanted)
    return differ if differ.any() else None


def _of_lengths(value: Ragged, kept: Mask, lengths: Offsets) -> Ragged:
    """The lists of the rows that are kept, and in all others such of the lengths given."""
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    # What stands in for values is one of them, so that it is of the declared type.
    fill = value.values[0] if len(value.values) else 0.0
    values = np.full(int(offsets[-1]), fill, dtype=value.values.dtype)
    values[np.repeat(kept, lengths)] = value.values[np.repeat(kept, value.lengths)]
    return Ragged(values, offsets)


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


def grouped(
    columns: Mapping[str, Any],
    rows: int,
    group: str | Sequence[Any],
    size: int | None = None,
    uneven: bool = False,
) -> tuple[Offsets, NDArray[np.int64]]:
    """Where groups of equal keys start once the rows are in an order, and that order.

    `group` is a column's name or the keys of all rows. Raises ColumnError for a missing key, and
    for groups of different sizes, or of another `size`, unless they may be `uneven`.
    """
    if isinstance(group, str) and group not in columns:
        raise ColumnError(f"the group column {group!r} is missing")
    codes = key_codes(columns[group] if isinstance(group, str) else group)
    if len(codes) != rows:
        raise ColumnError(f"{len(codes)} group keys for {rows} rows")
    order = np.argsort(codes, kind="stable")
    offsets = runs_of(codes[order].tolist())
    sizes = sorted(set(np.diff(offsets).tolist()))
    if len(sizes) > 1 and not uneven:
        raise ColumnError(
            f"the groups have different sizes ({', '.join(map(str, sizes))}): a statistic of a "
            "group that was cut is wrong; uneven=True says that they are meant"
        )
    if size is not None and sizes not in ([], [size]):
        found = ", ".join(map(str, sizes))
        raise ColumnError(f"group_size is {size}, but the keys make groups of {found}")
    return offsets, order


def key_codes(keys: Any) -> NDArray[np.int64]:
    """A whole number for each key, the same for equal ones, in the order in which they appear.

    Keys are equal as Python has it: 1, 1.0 and True are one, 1 and "1" are two. A conversation is
    as good a key as a text. Raises ColumnError for None and NaN, which are equal to nothing.
    """
    plain_keys = arrow.listed(keys) if hasattr(keys, "to_pylist") else keys
    plain_keys = plain_keys.tolist() if hasattr(plain_keys, "tolist") else plain_keys
    seen: dict[Any, int] = {}
    codes = []
    for row, given in enumerate(plain_keys):
        key = given.item() if isinstance(given, np.generic) else given
        if key is None or key != key:
            raise ColumnError(f"every row needs a group key, but row {row} holds {key}")
        if not isinstance(key, Hashable):
            key = (type(key).__name__, repr(key))
        codes.append(seen.setdefault(key, len(seen)))
    return np.array(codes, dtype=np.int64)
