"""The compiled tier: one loop for a whole reward, made of the virtual machine's own operations.

Between two group functions all operations run in one loop over a block of rows; lists that are
reduced over the same steps share an inner loop. Group functions are the virtual machine's. So both
tiers round alike, and one can take over from the other in the middle of a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from derl_dsl.backends.kernel import Array, Bound, Kernel
from derl_dsl.backends.llvm.source import digest
from derl_dsl.backends.pack import Program, key_of
from derl_dsl.backends.plan import Plan
from derl_dsl.backends.vm import Run, Session
from derl_dsl.graph.ir import Graph


@dataclass(frozen=True, slots=True)
class Compiled:
    """A compiled graph: what data it needs, and its code."""

    program: Program
    entry: int
    library: Any

    def bind(self, session: Session) -> Run:
        """The code on a batch; call it to compute."""
        return Run(session, [self.program], None, self.entry, self.library)


def build(
    graph: Graph, roots: Sequence[int], dtype: str = "float64", within: bool = False
) -> Compiled:
    """Compiles the loops that compute `roots`: milliseconds, or less where the cache has them.

    `within` says that all data is within its declared types, as bound columns are.
    """
    from derl_dsl.backends.llvm.machine import load

    plan = Plan.of(graph, tuple(roots), dtype if within else None)

    def write() -> str:
        from derl_dsl.backends.llvm import fused, handlers

        return fused.write(plan, handlers.REALS[dtype])

    key = f"fused {dtype} {digest()} {plan.shape()}"
    library = load(key, write, ("derl_fused",))
    return Compiled(plan.program(), library.addresses["derl_fused"], library)


def emit(graph: Graph, dtype: str = "float64", within: bool = False) -> Kernel:
    """A kernel of compiled loops."""
    outputs = {**graph.outputs, **{f"?{name}": i for name, i in graph.valids.items()}}
    compiled = build(graph, list(outputs.values()), dtype, within)
    nodes = {key_of(graph.nodes[i]): i for i in graph.inputs(graph.roots())}

    def kernel(bound: Bound) -> dict[str, Array]:
        inputs = {key: bound.inputs[i] for key, i in nodes.items()}
        session = Session(inputs, bound.rows, bound.groups, bound.live, dtype)
        out = compiled.bind(session)().astype(np.float64, copy=False)
        return dict(zip(outputs, out, strict=True))

    return kernel
