"""The programs worth keeping: the best order of each size and spread, and the front of them."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import NamedTuple

from derl_dsl.tools.search.forest import Tree

# How many programs a cell (a size, a tenth of signal) keeps.
_CELL = 4
_BANDS = 10
# Orders and signals that differ by less are the same to a front.
_STEP = 0.002
_rank = attrgetter("rank")


class Entry(NamedTuple):
    """A screened program; `order` and `signal` in [0, 1], `print` its fingerprint."""

    order: float
    signal: float
    size: int
    print: int
    code: int
    tree: Tree

    @property
    def cell(self) -> tuple[int, int]:
        """Its size and its band of signal."""
        return cell_of(self.size, self.signal)

    @property
    def rank(self) -> tuple[float, float, int, int]:
        """What programs of a cell are sorted by; the best is the smallest."""
        return -self.order, -self.signal, self.size, self.code


def cell_of(size: int, signal: float) -> tuple[int, int]:
    """The cell of a program of this size and signal."""
    return size, int(signal * _BANDS)


class Archive:
    """The best programs of each cell; of those with equal fingerprints the smallest."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._cells: dict[tuple[int, int], list[Entry]] = {}
        self._prints: dict[int, Entry] = {}
        for entry in entries:
            self.offer(entry)

    @property
    def entries(self) -> list[Entry]:
        """All programs, cell by cell."""
        return [e for cell in sorted(self._cells) for e in self._cells[cell]]

    def least(self, cell: tuple[int, int]) -> float:
        """The order below which a cell takes nothing more."""
        found = self._cells.get(cell, [])
        return found[-1].order if len(found) >= _CELL else -1.0

    def has_better(self, print_: int, size: int, rank: tuple[float, float, int, int]) -> bool:
        """Whether a program of this fingerprint is kept that is smaller, or as large and better."""
        twin = self._prints.get(print_)
        return twin is not None and (twin.size, twin.rank) <= (size, rank)

    def offer(self, entry: Entry) -> bool:
        """Keep a program if it is among the best of its cell; whether it was kept."""
        if self.has_better(entry.print, entry.size, entry.rank):
            return False
        twin = self._prints.get(entry.print)
        if twin is not None:
            self._drop(twin)
        cell = self._cells.setdefault(entry.cell, [])
        insort(cell, entry, key=_rank)
        self._prints[entry.print] = entry
        if len(cell) > _CELL:
            last = cell[-1]
            self._drop(last)
            return last is not entry
        return True

    def _drop(self, entry: Entry) -> None:
        self._cells[entry.cell].remove(entry)
        del self._prints[entry.print]


def front(entries: Iterable[Entry]) -> list[Entry]:
    """The programs that no other beats in order, signal and size at once; best order first."""
    rounded = [
        (round(e.order / _STEP), round(e.signal / _STEP), -e.size, e)
        for e in sorted(entries, key=lambda e: (e.size, e.rank))
    ]
    kept: list[tuple[int, int, int, Entry]] = []
    for a in rounded:
        if not any(all(x >= y for x, y in zip(b[:3], a[:3], strict=True)) for b in kept):
            # Smaller ones came first: only equals in size can still be beaten.
            kept = [
                b for b in kept
                if not all(x >= y for x, y in zip(a[:3], b[:3], strict=True))
            ]  # fmt: skip
            kept.append(a)
    return sorted((k[3] for k in kept), key=lambda e: e.rank)


def spread_out(entries: Sequence[Entry], count: int) -> list[Entry]:
    """At most `count` of a front, as far apart as they come: the crowded ones go first."""
    kept = list(entries)
    while len(kept) > max(1, count):
        kept.remove(min(kept, key=lambda e: (_room(e, kept), e.rank)))
    return kept


def _room(entry: Entry, others: Sequence[Entry]) -> float:
    """How much of each axis lies between a program's neighbours; endless at an end."""
    room = 0.0
    for axis in ("order", "signal", "size"):
        values = sorted(getattr(e, axis) for e in others)
        width = values[-1] - values[0]
        if not width:
            continue
        at = getattr(entry, axis)
        best = values[-1] if axis != "size" else values[0]
        if at == best and values.count(best) == 1:
            return float("inf")
        below = max((v for v in values if v < at), default=at)
        above = min((v for v in values if v > at), default=at)
        crowd = values.count(at)
        room += (above - below) / width / crowd
    return room
