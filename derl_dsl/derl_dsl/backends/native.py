"""The compiled tier: one loop for a whole reward, made of the virtual machine's own operations.

Between two group functions all operations run in one loop over a block of rows; lists that are
reduced over the same steps share an inner loop. Group functions are the virtual machine's. So both
tiers round alike, and one can take over from the other in the middle of a run.
"""

from __future__ import annotations

from collections.abc import Sequence

from derl_dsl.backends.kernel import Kernel
from derl_dsl.backends.llvm.source import linked
from derl_dsl.backends.plan import Plan
from derl_dsl.backends.vm import Code, kernel_of, outputs_of
from derl_dsl.graph.ir import Graph


def build(graph: Graph, roots: Sequence[int], dtype: str = "float64", within: bool = False) -> Code:
    """Compiles the loops that compute `roots`: milliseconds, or less where the cache has them.

    `within` says that all data is within its declared types, as bound columns are.
    """
    plan = Plan.of(graph, tuple(roots), dtype if within else None)

    def write() -> str:
        from derl_dsl.backends.llvm import fused, handlers

        return fused.write(plan, handlers.REALS[dtype])

    library = linked(f"fused {dtype} {plan.shape()}", write, ("derl_fused",))
    return Code(plan.program(), library.addresses["derl_fused"], library)


def coded(graph: Graph, dtype: str = "float64", within: bool = False) -> Code:
    """All outputs of a graph as compiled loops."""
    return build(graph, list(outputs_of(graph).values()), dtype, within)


def emit(graph: Graph, dtype: str = "float64", within: bool = False) -> Kernel:
    """A kernel of compiled loops."""
    code = coded(graph, dtype, within)
    return kernel_of(graph, dtype, lambda rows: code)
