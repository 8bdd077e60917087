"""The default backend: the virtual machine at once, compiled code for rewards that are much used.

Both give the same bits, so a reward changes over in the middle of a run without a trace.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache

from derl_dsl.backends import native, vm
from derl_dsl.backends.kernel import Array, Bound, Kernel
from derl_dsl.graph.ir import Graph
from derl_dsl.passes import feeds, lower

logger = logging.getLogger(__name__)
# Compiling takes about 10 ms and saves about 2 ns a row: it pays from here on.
HOT_ROWS = 5_000_000


@lru_cache(maxsize=1)
def _builder() -> ThreadPoolExecutor:
    """One thread that compiles; LLVM lets others run meanwhile."""
    return ThreadPoolExecutor(1, thread_name_prefix="derl-dsl-compile")


class Tiered:
    """A kernel that starts on the virtual machine and counts what it does."""

    def __init__(self, graph: Graph, dtype: str, hot: int = HOT_ROWS) -> None:
        self._graph, self._dtype, self._hot = graph, dtype, hot
        self._kernel = vm.emit(graph, dtype)
        self._rows = 0
        self._building: Future[Kernel] | None = None

    @property
    def compiled(self) -> bool:
        """Whether compiled code has taken over."""
        return self._building is not None and self._building.done()

    def __call__(self, bound: Bound) -> dict[str, Array]:
        """The outputs for one batch."""
        if self._building is None:
            self._rows += bound.rows
            if self._rows >= self._hot:
                self._building = _builder().submit(_compile, self._graph, self._dtype)
                self._building.add_done_callback(self._take_over)
        return self._kernel(bound)

    def _take_over(self, built: Future[Kernel]) -> None:
        error = built.exception()
        if error is None:
            self._kernel = built.result()
        else:
            # The virtual machine goes on; that compiling failed is a fault of ours to hear about.
            logger.error("a reward could not be compiled and stays interpreted: %s", error)


def _compile(graph: Graph, dtype: str) -> Kernel:
    if dtype == "float32":  # the passes fold constants in float64
        return native.emit(graph, dtype, within=True)
    lowered = lower(graph)
    fed = feeds(graph, lowered)
    compiled = native.emit(lowered, dtype, within=True)

    def kernel(bound: Bound) -> dict[str, Array]:
        return compiled(replace(bound, inputs={new: bound.inputs[old] for new, old in fed.items()}))

    return kernel


def emit(graph: Graph, dtype: str = "float64") -> Kernel:
    """A kernel that is fast at once and faster later."""
    return Tiered(graph, dtype)
