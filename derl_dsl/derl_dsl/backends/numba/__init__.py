"""The numba backend: Python loops that numba compiles, bit for bit what the reference computes.

The source is for people to read and keep (`derl-dsl explain --numba`). Compiling it takes seconds
where `native` takes milliseconds. What comes out is called as the machine's own loop is: with one
array of addresses (`ARGS` of `code.py`), from which the function below the rewards makes arrays. So
a batch is bound, shared out to threads and held to its types as for the other tiers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numba
from llvmlite import ir
from numba.extending import intrinsic

from derl_dsl.backends.code import ARGS, PROGRAM
from derl_dsl.backends.kernel import Kernel
from derl_dsl.backends.numba.source import Source
from derl_dsl.backends.vm import Code, kernel_of, outputs_of
from derl_dsl.graph.ir import Graph

_LARGEST = 2**48  # more elements than an array has


@intrinsic  # type: ignore[untyped-decorator]
def pointer(_: Any, address: Any) -> Any:
    """An address as a pointer."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], ir.IntType(8).as_pointer())

    return numba.types.voidptr(address), code


def build(graph: Graph, roots: Sequence[int], dtype: str = "float64") -> Code:
    """The loops that compute `roots`, compiled: seconds."""
    source = Source(graph, roots, dtype)
    made: dict[str, Any] = {"carray": numba.carray, "pointer": pointer}
    exec(compile(f"{source.text()}\n{_entry(source)}", "<reward by numba>", "exec"), made)
    kind = numba.types.void(numba.types.voidptr)
    entry = numba.cfunc(kind, error_model="numpy")(made["entry"])
    return Code(source.plan.program(), entry.address, entry)


def _entry(source: Source) -> str:
    """The function that is called with the machine's arguments."""

    def array(name: str, at: str, shape: object, kind: str = "int64") -> str:
        return f"    {name} = carray(pointer({at}), {shape}, np.{kind})"

    def argument(name: str) -> str:
        return f"cell[{ARGS.index(name)}]"

    def field(name: str) -> str:
        return f"program[{PROGRAM.index(name)}]"

    plan, real = source.plan, source.dtype
    rows, last = argument("rows"), f"[{argument('block_count')}]"
    lines = [
        "def entry(args):",
        f"    cell = carray(args, {len(ARGS)}, np.int64)",
        array("program", argument("programs"), len(PROGRAM)),
        array("slots", field("inputs"), len(plan.inputs) + 1),
        array("table", argument("inputs"), _LARGEST),
        array("bounds", argument("block_groups" if plan.grouped else "blocks"), _LARGEST),
        array("groups", argument("groups"), _LARGEST),
    ]
    for k, i in enumerate(plan.inputs):
        lines.append(array(f"c{i}", f"table[2 * slots[{k}]]", _LARGEST, real))
        if source.graph.nodes[i].is_list:
            lines.append(array(f"o{i}", f"table[2 * slots[{k}] + 1]", f"{rows} + 1"))
    lines.append(array("out", field("out"), f"({len(plan.roots)}, {rows})", real))
    if plan.grouped:
        lines += [f"    if {argument('live')} == 0:", f"        live = np.ones({rows}, np.bool_)",
                  "    else:", "    " + array("live", argument("live"), rows, "bool_")]  # fmt: skip
    else:
        lines.append("    live = np.empty(0, np.bool_)")
    given = ", ".join(["bounds[0]", f"bounds{last}", "groups", "live", *source.arguments(), "out"])
    return "\n".join([*lines, f"    rewards({given})", ""])


def coded(graph: Graph, dtype: str = "float64") -> Code:
    """All outputs of a graph as loops compiled by numba."""
    return build(graph, list(outputs_of(graph).values()), dtype)


def emit(graph: Graph, dtype: str = "float64") -> Kernel:
    """A kernel of loops compiled by numba."""
    code = coded(graph, dtype)
    return kernel_of(graph, dtype, lambda rows: code)
