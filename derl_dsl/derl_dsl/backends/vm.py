"""The virtual machine: runs any program at once, and many programs over one batch in one call.

Its instructions are compiled once per machine and kept on disk; a program is a few hundred bytes
that `pack` writes in microseconds. What runs is a loop in machine code (`llvm/interpreter.py`):
for every program, for every block of rows, every instruction over the block.

Blocks. A register holds a block, and a program has a handful of registers; 1,024 rows of float64
are 8 kB, so that several lie in the first cache together and no instruction waits for memory.
Smaller blocks would spend their time on deciding what to do next. Where lists are long a block has
fewer rows, for its largest register has as many elements as its lists have steps. Blocks are cut
where groups end, so that a group function finds its group inside the block.

Memory. The machine is told of everything by one array of 64-bit numbers (`ARGS` of `code.py` names
them): addresses, counts, and behind them the parts it works with, one behind the other:

    ARGS | records of the programs | slots of their inputs | pointers | offsets, counts by space
         | cuts of lists | room to sort and to mark a group

A record (`PROGRAM`) is where a program's code, constants and outputs lie. Inputs are found in two
steps: a program names slots of the session's table, and the table has the address of the values
and of the offsets (0 of a column). Scratch lies apart; its rows are 8 elements longer than a
block, for rows of a round size would share lines of the cache.

Nothing is copied that lies as the machine wants it: contiguous, of the kernel's type. Addresses
are taken once, so whoever holds them keeps the arrays (`_kept`).
"""

from __future__ import annotations

import ctypes
import itertools
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derl_dsl.backends import beginning
from derl_dsl.backends.code import ARGS, INSTRUCTIONS, NAMES, PROGRAM
from derl_dsl.backends.kernel import Array, Bound, Kernel, Offsets, Ragged
from derl_dsl.backends.llvm.source import linked
from derl_dsl.backends.pack import Key, Program, key_of, pack
from derl_dsl.backends.team import Job
from derl_dsl.backends.threads import cut, threads
from derl_dsl.graph.ir import Graph
from derl_grammar.records import record

# Elements of a block's largest register: eight registers of 8 kB lie in the first cache together.
BLOCK = 1024
_RECORD = len(PROGRAM)
_OUT = len(ARGS) + PROGRAM.index("out")
# Rows times programs that take microseconds: giving way to other threads would take as long.
_SHORT = 4096
_lock = threading.Lock()


@record
class Machine:
    """The virtual machine for one type of numbers: instructions by number, and its entry."""

    dtype: str
    table: NDArray[np.int64]
    parts: dict[str, Any]

    def need(self, part: str) -> None:
        """Loads instructions; the first process on a machine compiles them."""
        with _lock:
            if part not in self.parts:
                self._load(part)

    def _load(self, part: str) -> None:
        def write() -> str:
            from derl_dsl.backends.llvm import handlers

            return handlers.write(part, handlers.REALS[self.dtype])

        exports = (f"derl_{part}", *(("derl_run",) if part == "core" else ()))
        library = linked(f"vm {part} {self.dtype}", write, exports)
        names = NAMES[part]
        pointers = (ctypes.c_int64 * len(names)).from_address(library.addresses[exports[0]])
        start = INSTRUCTIONS[names[0]]
        self.table[start : start + len(names)] = pointers
        self.parts[part] = library

    @property
    def address(self) -> int:
        """Where the table lies."""
        return address(self.table)

    @property
    def entry(self) -> int:
        """Where the function that runs programs lies."""
        found: int = self.parts["core"].addresses["derl_run"]
        return found


@lru_cache(maxsize=2)
def machine(dtype: str = "float64") -> Machine:
    """The virtual machine with the instructions that every program needs."""
    beginning.over()
    found = Machine(dtype, np.zeros(len(INSTRUCTIONS), np.int64), {})
    found.need("core")
    return found


@lru_cache(maxsize=256)
def _function(address: int, short: bool) -> Any:
    """Code as a Python function; a call that is not short lets other threads run meanwhile."""
    kind = ctypes.PYFUNCTYPE if short else ctypes.CFUNCTYPE
    return kind(None, ctypes.c_void_p)(address)


def address(array: NDArray[Any]) -> int:
    """Where an array lies."""
    found: int = array.__array_interface__["data"][0]
    return found


class Partition:
    """Blocks of rows: where each starts, and the groups it has."""

    def __init__(self, rows: int, groups: Offsets | None, lists: Sequence[Ragged]) -> None:
        longest = max((len(v.values) for v in lists), default=0)
        # Rows of a block: fewer where lists are long.
        wanted = max(1, min(BLOCK, BLOCK * rows // max(1, longest))) if rows else 1
        if groups is None:
            self.rows = np.append(np.arange(0, rows, wanted), rows).astype(np.int64)
            self.groups, self.starts, self.size = self.rows, self.rows, 1
        else:
            self._by_group(np.ascontiguousarray(groups, np.int64), wanted)
        ends = np.ascontiguousarray(self.rows)
        self.largest = int(np.diff(ends).max(initial=0))
        steps = [int(np.diff(v.offsets[ends]).max(initial=0)) for v in lists]
        self.capacity = max([self.largest, *steps, 1])
        self.fields = {
            "blocks": address(self.rows),
            "block_groups": address(self.groups),
            "block_count": len(self.rows) - 1,
            "groups": address(self.starts),
            "group_size": self.size,
            "cut_capacity": self.largest + 1,
        }

    def _by_group(self, starts: Offsets, wanted: int) -> None:
        sizes = np.diff(starts)
        self.starts = starts
        self.size = int(sizes[0]) if len(sizes) and (sizes == sizes[0]).all() else 0
        if self.size:
            each = max(1, wanted // self.size)
            chosen = np.append(np.arange(0, len(sizes), each), len(sizes))
        else:
            found, at = [0], 0
            while at < len(sizes):
                after = int(np.searchsorted(starts, starts[at] + wanted, side="right")) - 1
                at = max(at + 1, after)
                found.append(at)
            chosen = np.array(found)
        self.groups = chosen.astype(np.int64)
        self.rows = starts[chosen].astype(np.int64)


class Session:
    """A batch that programs can be run on: its data by key, its groups, and which rows count."""

    def __init__(
        self,
        inputs: Mapping[Key, Array | Ragged],
        rows: int,
        groups: Offsets | None = None,
        live: NDArray[np.bool_] | None = None,
        dtype: str = "float64",
    ) -> None:
        self.rows, self.dtype = rows, dtype
        self._groups = groups
        self._live = None if live is None or live.all() else np.ascontiguousarray(live, np.uint8)
        self.slots: dict[Key, int] = {}
        self._lists: list[Ragged] = []
        self._kept: list[Any] = []
        self._partitions: dict[bool, Partition] = {}
        table: list[int] = []
        for key, value in inputs.items():
            self.slots[key] = len(self.slots)
            table += self._addresses(value)
        self._table = np.array(table or [0, 0], np.int64)
        self.address = address(self._table)
        self.live_address = 0 if self._live is None else address(self._live)

    @property
    def has_lists(self) -> bool:
        """Whether some of its data are lists."""
        return bool(self._lists)

    def put(self, slot: int, at: int) -> None:
        """A column lies elsewhere from now on: contiguous, of the session's type, of its rows."""
        self._table[2 * slot] = at

    def _addresses(self, value: Array | Ragged) -> tuple[int, int]:
        with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and found later
            return self._address(value)

    def _address(self, value: Array | Ragged) -> tuple[int, int]:
        if not isinstance(value, Ragged):
            data = np.ascontiguousarray(value, self.dtype)
            self._kept.append(data)
            return address(data), 0
        data = np.ascontiguousarray(value.values, self.dtype)
        offsets = np.ascontiguousarray(value.offsets, np.int64)
        self._lists.append(Ragged(data, offsets))
        return address(data), address(offsets)

    def partition(self, grouped: bool) -> Partition:
        """The blocks of the batch, cut where groups end if programs look at groups."""
        if grouped not in self._partitions:
            groups = self._groups if grouped else None
            self._partitions[grouped] = Partition(self.rows, groups, self._lists)
        return self._partitions[grouped]

    def bind(self, programs: Sequence[Program], out: NDArray[Any] | None = None) -> Run:
        """The programs with room for their work and their rows of output: call it to compute."""
        return Run(self, programs, out)

    def run(self, programs: Sequence[Program]) -> NDArray[Any]:
        """All outputs of all programs, one row each: (K, B)."""
        bound = Run(self, programs, None)
        bound()
        return bound.out


class Run:
    """Programs on a batch, ready to run; calling it writes `out`, and is not safe in threads.

    `entry` and `library` are compiled code that stands in for the virtual machine's loop; `code`
    has the addresses of what runs and of its argument.
    """

    __slots__ = ("_address", "_blocks", "_cells", "_entry", "_kept", "code", "out")

    def __init__(
        self,
        session: Session,
        programs: Sequence[Program],
        out: NDArray[Any] | None = None,
        entry: int | None = None,
        library: Any = None,
    ) -> None:
        grouped = any(p.grouped for p in programs)
        vm = machine(session.dtype)
        if grouped:
            vm.need("groups")
        if any(p.lists for p in programs):
            vm.need("lists")
        if out is None:
            out = np.empty((sum([p.outputs for p in programs]), session.rows), session.dtype)
        self.out = out
        blocks = session.partition(grouped)
        cells, at = self._room(programs, blocks, grouped)
        # Registers of a round size would fall on the same lines of the cache.
        stride = blocks.capacity + 8
        registers = max([p.registers for p in programs], default=0)
        scratch = np.empty(max(1, registers) * stride, session.dtype)
        own = {
            "table": vm.address,
            "program_count": len(programs),
            "inputs": session.address,
            "live": session.live_address,
            "scratch": address(scratch),
            "capacity": stride,
            "rows": session.rows,
        }
        texts = self._fill(cells, at | blocks.fields | own, programs, session.slots)
        self._kept = (session, blocks, cells, scratch, texts, vm, library)
        self._cells, self._blocks = cells, blocks
        self._address = address(cells)
        short = session.rows * len(programs) <= _SHORT
        found = vm.entry if entry is None else entry
        self._entry = _function(found, short)
        self.code = found, self._address

    @staticmethod
    def _room(
        programs: Sequence[Program], blocks: Partition, grouped: bool
    ) -> tuple[NDArray[np.int64], dict[str, int]]:
        """The array that the machine works with, and where each of its parts lies in memory."""
        inputs = max([len(p.inputs) for p in programs], default=0)
        cuts = max([p.cuts for p in programs], default=0)
        spaces = inputs + cuts + 1
        sizes = {
            "programs": _RECORD * len(programs),
            "wanted": sum([len(p.inputs) for p in programs]),
            "pointers": inputs,
            "offsets": spaces,
            "counts": spaces,
            "cuts": cuts * (blocks.largest + 1),
            "sorting": blocks.largest if grouped else 0,
            "mask": blocks.largest // 8 + 1 if grouped else 0,
        }
        ends = list(itertools.accumulate(sizes.values(), initial=len(ARGS)))
        cells = np.empty(ends[-1], np.int64)
        base = address(cells)
        return cells, {name: base + 8 * start for name, start in zip(sizes, ends, strict=False)}

    def _fill(
        self,
        cells: NDArray[np.int64],
        fields: Mapping[str, int],
        programs: Sequence[Program],
        slots: Mapping[Key, int],
    ) -> Any:
        """Writes the arguments, the records and the slots they name; gives the programs' texts."""
        cells[: len(ARGS)] = [fields[name] for name in ARGS]
        texts = self._write(cells, fields["wanted"], programs)
        wanted = [slots[k] for p in programs for k in p.inputs]
        first = len(ARGS) + _RECORD * len(programs)
        cells[first : first + len(wanted)] = wanted
        return texts

    def _write(self, cells: NDArray[np.int64], at_slot: int, programs: Sequence[Program]) -> Any:
        """The records of the programs; gives the texts they point at."""
        code = np.frombuffer(b"".join([p.code for p in programs]) or bytes(8), np.uint8)
        pool = np.frombuffer(b"".join([p.constants for p in programs]) or bytes(8), np.uint8)
        at_code, at_pool, at_out = address(code), address(pool), address(self.out)
        width = self.out.strides[0]
        found: list[int] = []
        for p in programs:
            inputs = len(p.inputs)
            found += (at_code, p.length, at_pool, at_slot, inputs, p.cuts, at_out)
            at_code += len(p.code)
            at_pool += len(p.constants)
            at_slot += 8 * inputs
            at_out += width * p.outputs
        cells[len(ARGS) : len(ARGS) + len(found)] = found
        return code, pool

    @property
    def blocks(self) -> NDArray[np.int64]:
        """Where each block of rows starts, and the end."""
        return self._blocks.rows

    @property
    def fields(self) -> dict[str, int]:
        """Where the blocks lie."""
        return self._blocks.fields

    def write_to(self, at: int) -> None:
        """From now on write the outputs of the one program to memory at an address."""
        self._cells[_OUT] = at

    @property
    def call(self) -> Callable[[], object]:
        """Computes all outputs, with nothing between the caller and the code."""
        return partial(self._entry, self._address)

    def __call__(self) -> NDArray[Any]:
        """Compute all outputs."""
        self._entry(self._address)
        return self.out


@record
class Code:
    """A program, and compiled code that stands in for the machine's loop where there is some."""

    program: Program
    entry: int | None = None
    library: Any = None

    def bind(self, session: Session, out: NDArray[Any] | None = None) -> Run:
        """The code on a batch; call it to compute."""
        return Run(session, [self.program], out, self.entry, self.library)


def outputs_of(graph: Graph) -> dict[str, int]:
    """The outputs of a kernel by name: those of the graph, and where they apply."""
    return {**graph.outputs, **{f"?{name}": i for name, i in graph.valids.items()}}


def coded(graph: Graph) -> Code:
    """All outputs of a graph for the virtual machine."""
    return Code(pack(graph, list(outputs_of(graph).values())))


class InParts:
    """A bound program whose blocks are shared out to threads; calling it writes `out`."""

    __slots__ = ("_job", "_runs", "out")

    def __init__(self, code: Code, session: Session) -> None:
        first = code.bind(session)
        self.out = first.out
        blocks = len(first.blocks) - 1
        takers = threads(session.rows, session.has_lists or code.program.grouped)
        parts = cut(blocks, takers)
        self._runs = [first, *(code.bind(session, first.out) for _ in parts[1:takers])]
        self._job = None
        if len(self._runs) > 1:
            records = [(*run.code, 0, 0) for run in self._runs]
            self._job = Job(parts, records, first.fields, blocks)

    @property
    def call(self) -> Callable[[], object]:
        """Computes all outputs."""
        return self._job or self._runs[0].call


def kernel_of(graph: Graph, dtype: str, code: Callable[[int], Code]) -> Kernel:
    """A kernel that runs the code that `code` gives for so many rows."""
    names = list(outputs_of(graph))
    nodes = {key_of(graph.nodes[i]): i for i in graph.inputs(graph.roots())}

    def kernel(bound: Bound) -> dict[str, Array]:
        inputs = {key: bound.inputs[i] for key, i in nodes.items()}
        session = Session(inputs, bound.rows, bound.groups, bound.live, dtype)
        run = InParts(code(bound.rows), session)
        run.call()
        return dict(zip(names, run.out.astype(np.float64, copy=False), strict=True))

    return kernel


def emit(graph: Graph, dtype: str = "float64") -> Kernel:
    """A kernel that runs on the virtual machine."""
    code = coded(graph)
    return kernel_of(graph, dtype, lambda rows: code)
