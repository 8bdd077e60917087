"""A program ready for columns of numbers of one shape: nothing is worked out at a call but rewards.

What a batch needs besides its columns (blocks, scratch, records) depends on how many rows it has
and on the size of its groups. It is made once and kept, and a call writes where the columns and the
outputs lie. The columns are held to their types by machine code as well (`llvm/held.py`), for some
tens of thousands of rows at a time, so that the kernel finds them in the cache; and the rewards are
looked at while they are there: one that is no finite number is a fault for others to tell.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derl_dsl.backends.llvm.source import linked
from derl_dsl.backends.pack import Key
from derl_dsl.backends.team import Job
from derl_dsl.backends.threads import cut, threads
from derl_dsl.backends.vm import Code, Run, Session, address
from derl_grammar.types import Bool, Number, Type

# Blocks that are held to their types, computed and looked at together: four columns of 32 blocks
# fill a megabyte.
_TOGETHER = 32
_SHORT = 4096
# Columns are copied up to here: that takes less than to ask where each lies.
_COPIED = 8192
_RECORD = 5
_FINITE = Number(-sys.float_info.max, sys.float_info.max)


@lru_cache(maxsize=2)
def _checked(short: bool) -> Any:
    """Machine code that runs a kernel and says whether columns hold their types."""
    from derl_dsl.backends.llvm import held

    library = linked("checked", held.write, ("derl_checked",))
    kind = ctypes.PYFUNCTYPE if short else ctypes.CFUNCTYPE
    at = library.addresses["derl_checked"]
    call: Any = kind(ctypes.c_int64, ctypes.c_void_p)(at)
    call.library, call.address = library, at
    return call


class Types:
    """Records of columns and of their types; `data` says where each lies."""

    def __init__(self, kinds: Sequence[Type]) -> None:
        self.cells = np.zeros((max(1, len(kinds)), _RECORD), np.int64)
        bounds = self.cells.view(np.float64)
        self._values = []
        for k, kind in enumerate(kinds):
            known = (0.0, 1.0) if isinstance(kind, Bool) else kind.values  # type: ignore[union-attr]
            if known is not None:
                values = np.array(known)
                self._values.append(values)
                self.cells[k, 3:] = address(values), len(values)
            else:
                assert isinstance(kind, Number)
                bounds[k, 1:3] = max(kind.lo, _FINITE.lo), min(kind.hi, _FINITE.hi)
        self.count = len(kinds)
        self.data = self.cells[:, 0]


class _Walls:
    """The call of a run that says whether all that went in and came out is of its type."""

    def __init__(self, run: Run, columns: Types, rewards: Types) -> None:
        rows = int(run.blocks[-1])
        sides = [x for side in (columns, rewards) for x in (address(side.cells), side.count)]
        self.cells = np.array([*sides, 0, rows, *run.code], np.int64)
        self.call = _checked(rows <= _SHORT)
        self.record = (*run.code, self.call.address, address(self.cells))

    def __call__(self) -> int:
        found: int = self.call(self.record[-1])
        return found


class Prepared:
    """Code for batches of `rows` in groups of `size`; one call at a time.

    `finite` is the output whose values are held to be finite, if there is one.
    """

    def __init__(
        self,
        code: Code,
        keys: Sequence[Key],
        kinds: Sequence[Type],
        rows: int,
        size: int | None,
        finite: int | None,
    ) -> None:
        self.code, self.rows = code, rows
        groups = None if size is None else np.arange(0, rows + 1, size)
        self._room = np.empty((len(keys), rows if rows <= _COPIED else 0))
        self._session = Session(dict(zip(keys, self._room, strict=True)), rows, groups)
        first = code.bind(self._session, np.empty((code.program.outputs, rows)))
        self._out = first.out
        blocks, takers = len(first.blocks) - 1, threads(rows, code.program.grouped)
        parts = cut(blocks, takers)
        self._runs = [first, *(code.bind(self._session, first.out) for _ in parts[1:takers])]
        self._columns, self._rewards = Types(kinds), Types([] if finite is None else [_FINITE])
        self._columns.data[:] = [address(row) for row in self._room]
        self._ahead = 0 if finite is None else finite * self._out.strides[0]
        self._rewards.data[:] = address(self._out) + self._ahead
        self._walls = [_Walls(run, self._columns, self._rewards) for run in self._runs]
        self._good: Callable[[], object] = self._walls[0]
        if blocks > _TOGETHER:
            records = [walls.record for walls in self._walls]
            self._good = Job(parts, records, first.fields, _TOGETHER)
        self._rows_of_room = list(self._room)

    def __call__(self, columns: Sequence[NDArray[Any]]) -> NDArray[np.float64] | None:
        """All outputs, (K, B); None where a fault has to be told.

        `columns` are numbers or conditions in the order of the keys.
        """
        if self.rows <= _COPIED:
            for room, column in zip(self._rows_of_room, columns, strict=True):
                room[:] = column
            return self._out.copy() if self._good() else None
        kept = [np.ascontiguousarray(column, np.float64) for column in columns]
        for k, column in enumerate(kept):
            self._columns.data[k] = found = address(column)
            self._session.put(k, found)
        out = np.empty(self._out.shape)
        at = address(out)
        self._rewards.data[:] = at + self._ahead
        for run in self._runs:
            run.write_to(at)
        return out if self._good() else None
