"""The default backend: the virtual machine, compiled code for rewards that are much used.

What a process scores first the reference computes (`beginning.py`), while no machine is loaded.
After five million rows the compiled tier takes over, built in a thread. After two hundred million,
numba's loops are built as well, both are timed on the same 65,536 random rows, and the faster one
computes from then on. All give the same bits, so a reward changes over in the middle of a run
without a trace.
"""

from __future__ import annotations

import logging
import time
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np

from derl_dsl.backends import beginning, native, reference, vm
from derl_dsl.backends.kernel import Array, Bound, Kernel, Ragged
from derl_dsl.backends.loops import loops
from derl_dsl.backends.pack import Key
from derl_dsl.backends.threads import executor
from derl_dsl.backends.vm import Code, Run, Session
from derl_dsl.graph.ir import Graph
from derl_dsl.graph.ops import GROUP
from derl_dsl.passes import lower
from derl_grammar.types import List
from derl_runtime.sources import plain

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

logger = logging.getLogger(__name__)
# Compiling takes about 10 ms and saves about 2 ns a row: it pays from here on.
HOT_ROWS = 5_000_000
# Numba takes seconds, and is seldom the faster of the two: asked once, when so many were scored.
MEASURED_ROWS = 200_000_000
_SAMPLE, _TURNS = 65_536, 5


@lru_cache(maxsize=1)
def _builder() -> ThreadPoolExecutor:
    """One thread that compiles; LLVM lets others run meanwhile."""
    return executor(1, "compile")


class Tiers:
    """The code of a graph for all its outputs: it starts on the virtual machine, and counts rows.

    Compiled code is made of the graph after all passes, or as written in float32, where the passes
    would fold constants in float64.
    """

    def __init__(
        self, graph: Graph, dtype: str, hot: int = HOT_ROWS, measured: int = MEASURED_ROWS
    ) -> None:
        self._graph, self._dtype = graph, dtype
        self._built: Code | None = None
        self._rows = 0
        self._ahead = [(hot, self._compile), (measured, self._faster)]
        self._building: Future[Code] | None = None

    @property
    def _code(self) -> Code:
        if self._built is None:
            self._built = vm.coded(self._graph)
        return self._built

    @property
    def compiled(self) -> bool:
        """Whether compiled code has taken over."""
        return self._built is not None and self._built.entry is not None

    def code(self, rows: int) -> Code:
        """What to run on a batch of so many rows."""
        if self._ahead:
            self._rows += rows
            if self._rows >= self._ahead[0][0] and (not self._building or self._building.done()):
                _, build = self._ahead.pop(0)
                self._building = _builder().submit(build)
                self._building.add_done_callback(self._take_over)
        return self._code

    @property
    def _lowered(self) -> Graph:
        return self._graph if self._dtype == "float32" else lower(self._graph)

    def _compile(self) -> Code:
        return native.coded(self._lowered, self._dtype, within=True)

    def _faster(self) -> Code:
        """The compiled code or numba's, whichever takes less time on a batch like those of use."""
        mine, other = self._code, loops().coded(self._lowered, self._dtype)
        runs = [code.bind(_sample(mine, self._dtype)) for code in (mine, other)]
        taken = [
            min(t)
            for t in zip(*([seconds(run) for run in runs] for _ in range(_TURNS)), strict=False)
        ]
        return other if taken[1] < taken[0] else mine

    def _take_over(self, built: Future[Code]) -> None:
        error = built.exception()
        if error is None:
            self._built = built.result()
        else:
            # What ran before goes on; that compiling failed is a fault of ours to hear about.
            logger.error("a reward could not be compiled and stays as it is: %s", error)


def seconds(run: Run) -> float:
    """The time of one run of the processor, whatever else the machine does."""
    start = time.thread_time()
    run()
    return time.thread_time() - start


def _sample(code: Code, dtype: str) -> Session:
    """A batch of random numbers for all that a program reads, in groups of eight."""
    rng = np.random.default_rng(0)
    inputs: dict[Key, Array | Ragged] = {}
    for key in code.program.inputs:
        if key.op == "input" and isinstance(plain(key.source), List):
            ends = np.concatenate([[0], np.cumsum(rng.integers(0, 16, _SAMPLE))])
            inputs[key] = Ragged(rng.random(int(ends[-1])), ends)
        else:
            inputs[key] = rng.random(_SAMPLE)
    return Session(inputs, _SAMPLE, np.arange(0, _SAMPLE + 1, 8), dtype=dtype)


class Tiered:
    """A kernel that starts on the virtual machine and counts what it does."""

    def __init__(self, graph: Graph, dtype: str, hot: int = HOT_ROWS) -> None:
        self.tiers = Tiers(graph, dtype, hot)
        self._graph, self._dtype = graph, dtype
        # Groups and lists go value by value there.
        self._plain = not any(n.is_list or n.op in GROUP for n in graph.nodes)

    def first(self, numbers: int) -> bool:
        """Whether the reference is to compute a batch that reads so many numbers."""
        return self._plain and beginning.fits(numbers)

    @cached_property
    def _reference(self) -> Kernel:
        return reference.emit(self._graph, self._dtype)

    @cached_property
    def _machine(self) -> Kernel:
        return vm.kernel_of(self._graph, self._dtype, self.tiers.code)

    @property
    def compiled(self) -> bool:
        """Whether compiled code has taken over."""
        return self.tiers.compiled

    def __call__(self, bound: Bound) -> dict[str, Array]:
        """The outputs for one batch."""
        numbers = bound.rows * len(bound.inputs)
        if not self.first(numbers):
            return self._machine(bound)
        beginning.take(numbers)
        return self._reference(bound)


def emit(graph: Graph, dtype: str = "float64") -> Kernel:
    """A kernel that is fast at once and faster later."""
    return Tiered(graph, dtype)
