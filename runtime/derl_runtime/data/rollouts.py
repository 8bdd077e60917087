"""Rollouts: the rows of files, or of memory, in parts of bounded size, as often as needed.

Most questions about rows need two passes: one that looks (which columns there are, their types,
which rows are a group, whether completions are conversations) and one that reads what is wanted.
What the first one finds is of all rows, so that nothing depends on where a part ends. Rows that fit
into one part are read once and kept.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from derl_grammar.records import record
from derl_grammar.types import Bool, List, Text, Type
from derl_runtime import arrow, conversations
from derl_runtime.data.blocks import Block, Wanted, rows_at_once
from derl_runtime.data.json_rows import json_blocks
from derl_runtime.data.places import (
    ARROW_SUFFIXES,
    CSV_SUFFIXES,
    KINDS,
    PARQUET_SUFFIXES,
    places_of,
    shown,
)
from derl_runtime.data.problems import BadRow, DataProblem, failed, refuse
from derl_runtime.data.table_rows import arrow_blocks, csv_blocks, parquet_blocks
from derl_runtime.dumps import Dump, find_dump, is_grader
from derl_runtime.frames import as_columns
from derl_runtime.reading import rows_in
from derl_runtime.seen import Keys, Seen

Columns = dict[str, list[Any]]
Given = str | os.PathLike[str]
_BY_KIND = {
    **dict.fromkeys(PARQUET_SUFFIXES, parquet_blocks),
    **dict.fromkeys(ARROW_SUFFIXES, arrow_blocks),
    **dict.fromkeys(CSV_SUFFIXES, csv_blocks),
}
_SHOWN_BAD = 5
_TRIMMED = 32  # blocks
_CUT = (list, tuple, np.ndarray)
_DERIVED: dict[str, Type] = {
    "completion": Text(),
    "reasoning": Text(),
    "truncated": Bool(),
}


class Watch(Protocol):
    """What is told how far a pass over the rows has come."""

    def begin(self, title: str) -> None:
        """A pass begins."""

    def reach(self, share: float) -> None:
        """This share of all bytes is done."""

    def end(self) -> None:
        """The pass has ended."""


@record
class Part:
    """Some rows: columns of equal length (lists or Arrow arrays), and the number of the first."""

    columns: Mapping[str, Any]
    rows: int
    first: int


class _Looked:
    """What the first pass found of all rows."""

    def __init__(self, typed: Iterable[str], keyed: Iterable[str]) -> None:
        self.rows = 0
        self.names: dict[str, None] = {}
        self.seen = {name: Seen() for name in typed}
        self.keys = {name: Keys(name) for name in keyed}
        self.sources: dict[str, None] = {}
        self.truncated = False

    def add(self, block: Block, whole: bool) -> None:
        self.names.update(dict.fromkeys(block.names))
        for name, seen in self.seen.items():
            if name in block.columns:
                seen.add(block.columns[name])
        for name, keys in self.keys.items():
            if name in block.columns:
                keys.add(block.columns[name])
            else:
                keys.lack(block.rows)
        if whole:
            self._conversations(block)
        self.rows += block.rows

    def _conversations(self, block: Block) -> None:
        for name in conversations.SOURCES:
            values = block.columns.get(name, ())
            if str(getattr(values, "type", "")) in ("string", "large_string"):
                continue
            if any(map(conversations.is_conversation, listed(values))):
                self.sources[name] = None
        if self.sources and not self.truncated and "truncated" not in self.names:
            found = conversations.column("truncated", _lists(block.columns))
            self.truncated = found is not None


Read = Callable[[Wanted, BadRow], Iterator[Block]]


class Rollouts:
    """Rows that are read in parts; made by `rollouts_of`.

    `name` is how messages call them, `size` their bytes. `bad` are the first few rows that could
    not be read, of `bad_rows` in all.
    """

    def __init__(
        self, name: str, size: int, read: Read, logs: bool = False, strict: bool = False,
        said: Callable[[str], None] | None = None,
    ) -> None:  # fmt: skip
        self.name, self.size = name, size
        self.watch: Watch = _Unwatched()
        self.bad: list[DataProblem] = []
        self.bad_rows = 0
        self._read, self._logs, self._strict, self._said = read, logs, strict, said
        self._looked: _Looked | None = None
        self._only: Block | None = None
        self._dump: Dump | None = None
        self._begun = False

    # What there is

    def look(self, typed: Iterable[str] = (), keyed: Iterable[str] = ()) -> None:
        """See in one pass the types of some columns, and the groups that some columns make."""
        typed, keyed = set(typed), set(keyed)
        looked = self._looked
        if looked is not None and typed <= looked.seen.keys() and keyed <= looked.keys.keys():
            return
        if looked is not None:
            typed, keyed = typed | looked.seen.keys(), keyed | looked.keys.keys()
        fresh = _Looked(typed, keyed)
        wanted = {*typed, *keyed, *(conversations.COLUMNS if self._logs else ())}
        wanted |= set(conversations.SOURCES) if self._logs else set()
        self._begin()
        if looked is None and not self._only:
            self.bad, self.bad_rows = [], 0
        heard = self._heard if looked is None else _ignore
        for block in self._blocks(wanted, "looking at the rows", heard):
            fresh.add(block, self._logs)
        if not fresh.rows or not fresh.names:
            raise failed(self.name, "holds no rows", "give at least one row with one column")
        self._looked = fresh

    @property
    def _seen(self) -> _Looked:
        self.look()
        assert self._looked is not None
        return self._looked

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self._seen.rows

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns, in the order in which they first occur."""
        looked = self._seen
        names = dict(looked.names)
        if looked.sources:
            given = (n for n in conversations.COLUMNS if n != "truncated" or looked.truncated)
            names |= dict.fromkeys(given)
        return tuple(names)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def type_of(self, name: str) -> Type | None:
        """The type that the values of a column have in common, if any."""
        self.look([name])
        looked = self._seen
        own = name in looked.names and name != "completion"
        if looked.sources and name in conversations.COLUMNS and not own:
            return _DERIVED.get(name, List(Text()))
        return looked.seen[name].type()

    def keys(self, name: str) -> Keys:
        """Which rows have equal values in a column."""
        self.look(keyed=[name])
        return self._seen.keys[name]

    def forget_keys(self, but: str | None) -> None:
        """Let go of the groups that other columns make."""
        kept = self._seen.keys
        for name in [name for name in kept if name != but]:
            del kept[name]

    # The rows

    def parts(self, wanted: Wanted = None, title: str = "reading") -> Iterator[Part]:
        """All rows in parts; each has all of the `wanted` columns that the rows have anywhere."""
        names = [n for n in self.names if wanted is None or n in wanted]
        looked = self._seen
        raw = None if wanted is None else {*names, *looked.sources}
        first = 0
        for block in self._blocks(raw, title, _ignore):
            columns: Mapping[str, Any] = block.columns
            if looked.sources:
                columns = self._told(columns, names, looked)
            absent = [None] * block.rows
            yield Part({n: columns.get(n, absent) for n in names}, block.rows, first)
            first += block.rows

    def some(self, rows: Collection[int], wanted: Wanted = None) -> dict[int, dict[str, Any]]:
        """Some rows by their numbers, each a mapping from columns to values."""
        left = sorted(set(rows))
        found: dict[int, dict[str, Any]] = {}
        if not left:
            return found
        for part in self.parts(wanted, "looking up rows"):
            inside = [r for r in left if part.first <= r < part.first + part.rows]
            for row in inside:
                at = row - part.first
                found[row] = {n: value_of(values, at) for n, values in part.columns.items()}
            if left[-1] < part.first + part.rows:
                break
        return found

    def whole(self) -> Columns:
        """All rows at once, as columns of Python values."""
        columns: Columns = {name: [] for name in self.names}
        for part in self.parts():
            for name, values in part.columns.items():
                columns[name] += listed(values)
        return columns

    def _told(
        self, columns: Mapping[str, Any], names: Sequence[str], looked: _Looked
    ) -> Mapping[str, Any]:
        plain = _lists(columns)
        rows = len(next(iter(plain.values()), ()))
        for source in looked.sources:
            plain.setdefault(source, [None] * rows)
        derived = [n for n in names if n not in looked.names and n in conversations.COLUMNS]
        return conversations.told(plain, list(looked.sources), derived, "completion" in names)

    def _begin(self) -> None:
        """Sees by the first rows what dump they are, and keeps them where there are no others."""
        if self._begun:
            return
        blocks = self._read(None, self._heard)
        first, more = next(blocks, None), next(blocks, None)
        self._begun = True
        if first is None:
            return
        if self._logs and is_grader(first.names):
            hint = f"derl-dsl import {self.name} -o reward.derl makes a reward of it"
            raise failed(self.name, "an OpenAI grader, which is no rows", hint)
        self._dump = find_dump(first.names) if self._logs else None
        if more is None:
            self._only = self._renamed(first)
        if self._dump is not None and self._said is not None:
            self._said(f"{self.name}: {self._dump.note(first.columns)}")

    def _heard(self, problem: DataProblem) -> None:
        if self._strict:
            refuse(problem)
        self.bad_rows += 1
        if len(self.bad) < _SHOWN_BAD:
            self.bad.append(problem)

    def _blocks(self, wanted: Wanted, title: str, heard: BadRow) -> Iterator[Block]:
        """All rows, dumps under our names."""
        if self._only is not None:
            yield self._only
            return
        self.watch.begin(title)
        try:
            read = self._read(None if self._dump is not None else wanted, heard)
            for number, block in enumerate(read, 1):
                self.watch.reach(block.share)
                yield self._renamed(block)
                if number % _TRIMMED == 0:
                    give_back()
        finally:
            give_back()
            self.watch.end()

    def _renamed(self, block: Block) -> Block:
        if self._dump is None:
            return block
        columns = self._dump.read(_lists(block.columns))
        rows = len(next(iter(columns.values()), ()))
        return Block(columns, rows, tuple(columns), block.share)


def _ignore(problem: DataProblem) -> None:
    """A row that was heard of before."""


def give_back() -> None:
    """Give memory that was let go of back to the system: holes between what is kept."""
    pa.default_memory_pool().release_unused()


class _Unwatched:
    """Nobody looks how far a pass has come."""

    def begin(self, title: str) -> None:
        pass

    def reach(self, share: float) -> None:
        pass

    def end(self) -> None:
        pass


def listed(values: Any) -> list[Any]:
    """The values of a column as a list of Python's."""
    found: list[Any] = arrow.listed(values) if hasattr(values, "to_pylist") else list(values)
    return found


def value_of(values: Any, at: int) -> Any:
    """One value of a column as Python's."""
    value = values[at]
    return arrow.value_of(value) if hasattr(value, "as_py") else value


def _lists(columns: Mapping[str, Any]) -> dict[str, list[Any]]:
    return {name: listed(values) for name, values in columns.items()}


def rollouts_of(
    data: Any,
    logs: bool = False,
    strict: bool = False,
    said: Callable[[str], None] | None = None,
) -> Rollouts:
    """Rollouts of paths, or of what is in memory: columns, a frame, a table, a list of rows.

    A path is a file, a folder, a pattern, or `-` for standard input; several are read one after the
    other. `logs`: dumps of trainers come under our names and conversations as the columns of suite
    `chat`, and `said` gets a note of what a dump was taken for. `strict`: a row that cannot be read
    is an error; else it is left out and told in `bad`.
    """
    if isinstance(data, Rollouts):
        return data
    paths = _paths(data)
    if paths is None:
        columns = as_columns(data)
        block = Block(dict(columns), rows_in(columns), tuple(columns))
        return Rollouts("the data", 0, lambda wanted, bad: _pieces(block))
    places = places_of(paths)

    def read(wanted: Wanted, bad: BadRow) -> Iterator[Block]:
        done = 0
        total = max(1, sum(place.size for place in places))
        for place in places:
            for block in _BY_KIND.get(place.kind, json_blocks)(place, wanted, bad):
                share = (done + block.share * place.size) / total
                yield replace(block, share=share)
            done += place.size

    return Rollouts(shown(paths), sum(p.size for p in places), read, logs, strict, said)


def _pieces(block: Block) -> Iterator[Block]:
    """Columns in memory as blocks of the usual size, where they can be cut."""
    cut = all(hasattr(v, "to_pylist") or isinstance(v, _CUT) for v in block.columns.values())
    # What lists hold is not known: their rows alone count.
    size = sum(getattr(values, "nbytes", 0) for values in block.columns.values())
    count = rows_at_once(block.rows, size)
    if not cut or block.rows <= count:
        yield block
        return
    for start in range(0, block.rows, count):
        end = min(start + count, block.rows)
        columns = {name: values[start:end] for name, values in block.columns.items()}
        yield Block(columns, end - start, block.names, end / block.rows)


def _paths(data: Any) -> list[Given] | None:
    if isinstance(data, str | os.PathLike):
        return [data]
    if (
        isinstance(data, list | tuple)
        and data
        and all(isinstance(d, str | os.PathLike) for d in data)
    ):
        return list(data)
    return None


def read_rows(path: Given) -> Columns:
    """The rows of a file as columns of equal length, in the order their names first occur.

    A key that a row lacks gives None. Blank lines are skipped. The JSON literals NaN and Infinity
    become the floats they name: they are the reader's to report. Raises DataError for a file that
    cannot be read, is no such file, or holds no rows; nothing is skipped in silence.
    """
    if os.path.isdir(path):
        raise failed(path, "is a directory", KINDS)
    return rollouts_of(path, strict=True).whole()


def read_logs(given: Given | Sequence[Given], said: Callable[[str], None] | None = None) -> Columns:
    """`read_rows` of logged rollouts, whole: several files, dumps, conversations; see
    `rollouts_of`."""
    return rollouts_of(given, logs=True, strict=True, said=said).whole()
