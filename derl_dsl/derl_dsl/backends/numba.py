"""The numba backend: the whole graph as one fused loop over the rows, compiled on first use."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derl_dsl.backends.reference import Kernel
from derl_dsl.ir import Graph

Array = NDArray[np.float64]

# Constants live in an array, so that programs which differ in numbers alone share their code.
OPS: dict[str, str] = {
    "neg": "-{0}",
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{0} / {1}",
    "mod": "mod({0}, {1})",
    "pow": "{0} ** {1}",
    "min": "{0} if ({0} < {1} or {0} != {0}) else {1}",
    "max": "{0} if ({0} > {1} or {0} != {0}) else {1}",
    "abs": "abs({0})",
    "exp": "math.exp({0})",
    "log": "log({0})",
    "sqrt": "math.sqrt({0})",
    "tanh": "math.tanh({0})",
    "sigmoid": "sigmoid({0})",
    "cos": "math.cos({0})",
    "floor": "np.floor({0})",
    "round": "np.rint({0})",
    "sign": "np.sign({0})",
    "guard": "{0} if math.isfinite({0}) else {1}",
    "lt": "{0} < {1}",
    "le": "{0} <= {1}",
    "eq": "{0} == {1}",
    "ne": "{0} != {1}",
    "and": "{0} and {1}",
    "or": "{0} or {1}",
    "not": "not {0}",
    "num": "1.0 if {0} else 0.0",
    "select": "{1} if {0} else {2}",
}


def _sigmoid(x: float) -> float:
    if x >= 0:
        return 1.0 / (1.0 + math.exp(-x))
    grown = math.exp(x)
    return grown / (1.0 + grown)


def _log(x: float) -> float:
    # -inf at 0 and NaN below, where math.log raises.
    if x > 0 or x != x:
        return math.log(x)
    return -math.inf if x == 0 else math.nan


def _mod(a: float, b: float) -> float:
    return math.nan if b == 0 else a % b


def source(graph: Graph) -> tuple[str, Array]:
    """The loop as Python source, and its constants."""
    order = graph.used(graph.outputs.values())
    constants: list[float] = []
    lines = ["def kernel(x, c, out):", "    for r in range(out.shape[1]):"]
    column = {i: k for k, i in enumerate(graph.inputs(graph.outputs.values()))}
    for i in order:
        node = graph.nodes[i]
        if node.op == "const":
            assert isinstance(node.payload, float)
            text = f"c[{len(constants)}]"
            constants.append(node.payload)
        elif node.op == "input":
            text = f"x[{column[i]}, r]" + (" != 0.0" if node.is_bool else "")
        else:
            text = OPS[node.op].format(*(f"v{a}" for a in node.args))
        lines.append(f"        v{i} = {text}")
    lines += [f"        out[{k}, r] = v{i}" for k, i in enumerate(graph.outputs.values())]
    return "\n".join(lines), np.array(constants or [0.0])


_compiled: dict[str, Any] = {}


def _compile(text: str) -> Any:
    import numba

    if text not in _compiled:
        jit = numba.njit(error_model="numpy", fastmath=False)
        names: dict[str, Any] = {
            "math": math,
            "np": np,
            "sigmoid": jit(_sigmoid),
            "log": jit(_log),
            "mod": jit(_mod),
        }
        exec(text, names)
        _compiled[text] = jit(names["kernel"])
    return _compiled[text]


def emit(graph: Graph) -> Kernel:
    """A kernel that runs the whole graph in one compiled loop; compiling takes a second or less.

    The kernel takes float64 arrays (B,) by input node and B, and returns (B,) arrays by output.
    """
    text, constants = source(graph)
    inputs_in_order = graph.inputs(graph.outputs.values())
    names = list(graph.outputs)
    function = _compile(text)

    def kernel(inputs: Mapping[int, Array], rows: int) -> dict[str, Array]:
        x = np.empty((max(1, len(inputs_in_order)), rows))
        for k, i in enumerate(inputs_in_order):
            x[k] = inputs[i]
        out = np.empty((len(names), rows))
        function(x, constants, out)
        return dict(zip(names, out, strict=True))

    return kernel
