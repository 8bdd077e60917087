"""Rollouts of any number scored part by part, with one or several rewards at once.

A reward without group functions scores each part as it comes. Of one that has them only the
numbers it reads are kept from each part (what primitives say of texts, not the texts); when all
rows are read it is computed over whole groups, wherever in the files their rows lie. So no group is
ever cut, and nothing depends on where a part ends. All rewards share what is read and what
primitives say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derl_dsl.graph.needs import Needs
from derl_dsl.score.binding import UNGROUPED, Reading, group_offsets, read_inputs
from derl_dsl.score.outputs import compute
from derl_dsl.score.reward import Reward
from derl_dsl.tools.evaluate.kept import Array, Kept, Rows
from derl_grammar.records import record
from derl_runtime import conversations
from derl_runtime.batch import Batch
from derl_runtime.data import Part, Rollouts
from derl_runtime.faults import Fault, FaultLog
from derl_runtime.reading import ColumnError, Whole
from derl_runtime.sources import Apply, Column, parts_of
from derl_runtime.values import Ragged

_CHUNK = 1 << 16
_SHOWN = 5
See = Callable[[Part], None]


@record
class Scored:
    """What one reward made of all rows; as `Scores`, the columns kept small."""

    values: Kept
    parts: Mapping[str, Kept]
    inputs: Mapping[str, Kept]
    faults: tuple[Fault, ...]


def score_rollouts(
    rewards: Sequence[Reward],
    rollouts: Rollouts,
    groups: Sequence[Rows | None],
    wanted: Sequence[str] = (),
    see: See | None = None,
) -> list[Scored]:
    """Score all rows with all rewards in one pass.

    `groups` numbers for each reward the group of each row, (B,), from 0; None: it needs none.
    Groups may be of different sizes. `see` is shown each part, with the columns `wanted` beside
    those that the rewards read. Raises ColumnError as `Reward.score` does.
    """
    scorings = [_scoring(r, g) for r, g in zip(rewards, groups, strict=True)]
    names = {name for reward in rewards for name in read_by(reward)}
    whole = Whole(rollouts.names)
    log = FaultLog() if len(rewards) > 1 else rewards[0].faults
    for part in rollouts.parts({*names, *wanted} or None, "scoring"):
        columns = part.columns or {"": [None] * part.rows}
        batch = Batch(columns, part.rows, log, of=whole)
        for scoring in scorings:
            scoring.add(batch)
        whole.done += part.rows
        if see is not None:
            see(part)
    whole.refuse()
    return [scoring.found() for scoring in scorings]


def _scoring(reward: Reward, codes: Rows | None) -> _Plain | _Grouped:
    if not reward.uses_groups:
        return _Plain(reward)
    if codes is None:
        raise ColumnError(UNGROUPED)
    return _Grouped(reward, codes)


def read_by(reward: Reward) -> set[str]:
    """The columns of data that a reward may read: its own, names bound to primitives that data may
    give, and what conversations and the end of token ids are read from."""
    found: set[str] = set()
    graph = reward.graph
    for i in graph.inputs([*graph.roots(), *graph.step_roots()]):
        for part in parts_of(graph.source(i)):
            name = part.name if isinstance(part, Column | Apply) else None
            if name is not None:
                found.add(name)
    if found & conversations.COLUMNS.keys():
        found |= {*conversations.SOURCES, "completion_ids", "eos_token_id"}
    return found


class _Faults:
    """The faults of many parts as those of one batch: the inputs in order, rows from the first."""

    def __init__(self, reward: Reward) -> None:
        order = [
            str(p) for i in reward.inputs for p in reversed(list(parts_of(reward.graph.source(i))))
        ]
        self._order = {name: k for k, name in reversed(list(enumerate(order)))}
        self._found: dict[tuple[str, str], Fault] = {}

    def add(self, faults: Sequence[Fault], first: int) -> None:
        for one in faults:
            moved = replace(one, rows=tuple(first + r for r in one.rows))
            before = self._found.get((one.name, one.kind))
            if before is not None:
                rows = (*before.rows, *moved.rows)[:_SHOWN]
                moved = replace(before, count=before.count + one.count, rows=rows)
            self._found[one.name, one.kind] = moved

    def all(self) -> tuple[Fault, ...]:
        last = len(self._order)
        return tuple(sorted(self._found.values(), key=lambda f: self._order.get(f.name, last)))


class _Plain:
    """A reward whose rows stand for themselves."""

    def __init__(self, reward: Reward) -> None:
        self.reward = reward
        self.values = Kept()
        self.parts: dict[str, Kept] = {}
        self.inputs: dict[str, Kept] = {}
        self.faults = _Faults(reward)

    def add(self, batch: Batch) -> None:
        """Score one part."""
        scores = self.reward.score_batch(batch, group_offsets(batch.rows, None))
        self.values.add(scores.values)
        for kept, columns in ((self.parts, scores.parts), (self.inputs, scores.inputs)):
            for name, values in columns.items():
                kept.setdefault(name, Kept()).add(values)
        own = [f for f in scores.faults if self.reward.concerns(f)]
        self.faults.add(own, batch.first)

    def found(self) -> Scored:
        """The scores of all parts."""
        return Scored(self.values, self.parts, self.inputs, self.faults.all())


class _Grouped:
    """A reward with group functions: what it reads is kept until all rows are there."""

    def __init__(self, reward: Reward, codes: Rows) -> None:
        self.reward = reward
        self.needs = Needs.of(reward.graph)
        self.codes = codes
        self.arrays: dict[int, Kept] = {}
        self.lists: dict[int, list[Ragged]] = {}
        self.broken: dict[int, Kept] = {}
        self.present: dict[int, Kept] = {}
        self.faults = _Faults(reward)

    def add(self, batch: Batch) -> None:
        """Read one part."""
        reading = read_inputs(self.needs, batch, group_offsets(batch.rows, None))
        for i, array in reading.arrays.items():
            if isinstance(array, np.ndarray):
                self.arrays.setdefault(i, Kept()).add(array)
            else:
                self.lists.setdefault(i, []).append(array)
            broken = reading.broken.get(i)
            gone = np.zeros(batch.rows) if broken is None else broken.astype(np.float64)
            self.broken.setdefault(i, Kept()).add(gone)
        for i, there in reading.present.items():
            held = np.ones(batch.rows) if there is None else there.astype(np.float64)
            self.present.setdefault(i, Kept()).add(held)
        self.faults.add([f for f in batch.faults if self.reward.concerns(f)], batch.first)

    def found(self) -> Scored:
        """The scores of all rows."""
        graph, order = self.reward.graph, np.argsort(self.codes, kind="stable")
        back = np.empty(len(order), dtype=np.int64)
        back[order] = np.arange(len(order))
        lists = {i: _joined(parts) for i, parts in self.lists.items()}
        broken = {i: kept.whole() != 0 for i, kept in self.broken.items()}
        broken = {i: mask for i, mask in broken.items() if mask.any()}
        outputs: dict[str, Kept] = {name: Kept() for name in graph.outputs}
        for rows, offsets in _chunks(order, self.codes):
            arrays: dict[int, Any] = {i: kept.take(rows) for i, kept in self.arrays.items()}
            arrays |= {i: ragged.permuted(rows) for i, ragged in lists.items()}
            reading = Reading(
                self.needs, len(rows), offsets, arrays,
                {i: mask[rows] for i, mask in broken.items()},
                {i: kept.take(rows) != 0 for i, kept in self.present.items()},
            )  # fmt: skip
            found = compute(self.reward.kernels, reading, graph.outputs, None)
            for name, values in found.values.items():
                outputs[name].add(values)
            self.faults.add([_placed(f, rows) for f in found.faults], 0)
        faults = self.faults.all()
        self.reward.count(faults)
        # One column at a time: in the order of the groups first, then in that of the rows.
        done = {name: Kept(kept.take(back)) for name, kept in outputs.items()}
        inputs = {
            str(graph.source(i)): Kept(_with_gaps(kept.whole(), broken.get(i)))
            for i, kept in self.arrays.items()
            if graph.nodes[i].op == "input"
        }
        return Scored(done.pop("reward"), done, inputs, faults)


def _with_gaps(values: Array, broken: NDArray[np.bool_] | None) -> Array:
    return values if broken is None else np.where(broken, np.nan, values)


def _placed(one: Fault, rows: Rows) -> Fault:
    return replace(one, rows=tuple(sorted(int(rows[r]) for r in one.rows)))


def _joined(parts: Sequence[Ragged]) -> Ragged:
    ends = np.concatenate([np.zeros(1, np.int64), *(p.lengths for p in parts)])
    return Ragged(np.concatenate([p.values for p in parts]), np.cumsum(ends))


def _chunks(order: Rows, codes: Rows) -> Iterator[tuple[Rows, Rows]]:
    """Whole groups of some ten thousand rows, and where in them each group starts."""
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    ends = np.append(starts[1:], len(order))
    first = 0
    while first < len(starts):
        last = int(np.searchsorted(ends, starts[first] + _CHUNK, side="right"))
        last = max(last, first + 1)
        a, b = int(starts[first]), int(ends[last - 1])
        yield order[a:b], np.append(starts[first:last] - a, b - a)
        first = last
