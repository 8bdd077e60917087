"""The default backend: the virtual machine at once, compiled code for rewards that are much used.

Both give the same bits, so a reward changes over in the middle of a run without a trace.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache

from derl_dsl.backends import native, vm
from derl_dsl.backends.kernel import Array, Bound, Kernel
from derl_dsl.backends.vm import Code
from derl_dsl.graph.ir import Graph
from derl_dsl.passes import lower

logger = logging.getLogger(__name__)
# Compiling takes about 10 ms and saves about 2 ns a row: it pays from here on.
HOT_ROWS = 5_000_000


@lru_cache(maxsize=1)
def _builder() -> ThreadPoolExecutor:
    """One thread that compiles; LLVM lets others run meanwhile."""
    return ThreadPoolExecutor(1, thread_name_prefix="derl-dsl-compile")


class Tiers:
    """The code of a graph for all its outputs: it starts on the virtual machine, and counts rows.

    Compiled code is made of the graph after all passes, or as written in float32, where the passes
    would fold constants in float64.
    """

    def __init__(self, graph: Graph, dtype: str, hot: int = HOT_ROWS) -> None:
        self._graph, self._dtype, self._hot = graph, dtype, hot
        self._code = vm.coded(graph)
        self._rows = 0
        self._building: Future[Code] | None = None

    @property
    def compiled(self) -> bool:
        """Whether compiled code has taken over."""
        return self._building is not None and self._building.done()

    def code(self, rows: int) -> Code:
        """What to run on a batch of so many rows."""
        if self._building is None:
            self._rows += rows
            if self._rows >= self._hot:
                self._building = _builder().submit(self._compile)
                self._building.add_done_callback(self._take_over)
        return self._code

    def _compile(self) -> Code:
        graph = self._graph if self._dtype == "float32" else lower(self._graph)
        return native.coded(graph, self._dtype, within=True)

    def _take_over(self, built: Future[Code]) -> None:
        error = built.exception()
        if error is None:
            self._code = built.result()
        else:
            # The virtual machine goes on; that compiling failed is a fault of ours to hear about.
            logger.error("a reward could not be compiled and stays interpreted: %s", error)


class Tiered:
    """A kernel that starts on the virtual machine and counts what it does."""

    def __init__(self, graph: Graph, dtype: str, hot: int = HOT_ROWS) -> None:
        self.tiers = Tiers(graph, dtype, hot)
        self._kernel = vm.kernel_of(graph, dtype, self.tiers.code)

    @property
    def compiled(self) -> bool:
        """Whether compiled code has taken over."""
        return self.tiers.compiled

    def __call__(self, bound: Bound) -> dict[str, Array]:
        """The outputs for one batch."""
        return self._kernel(bound)


def emit(graph: Graph, dtype: str = "float64") -> Kernel:
    """A kernel that is fast at once and faster later."""
    return Tiered(graph, dtype)
