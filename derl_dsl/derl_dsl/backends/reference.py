"""The reference backend: plain NumPy, one operation after the other; it defines the meaning.

Transcendental functions come from the C library through `points`, element by element, so that
their last bit is the same as in compiled code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derl_dsl import points
from derl_dsl.ir import Graph

Array = NDArray[np.float64]
Kernel = Callable[[Mapping[int, Array], int], dict[str, Array]]


def _elementwise(name: str) -> Callable[..., Array]:
    ufunc = np.frompyfunc(points.OPS[name], 2 if name == "pow" else 1, 1)
    return lambda *args: ufunc(*args).astype(np.float64)


OPS: dict[str, Callable[..., Any]] = {
    "neg": np.negative,
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "mod": np.mod,
    "min": np.minimum,
    "max": np.maximum,
    "abs": np.abs,
    "sqrt": np.sqrt,
    "floor": np.floor,
    "round": np.rint,
    "sign": np.sign,
    "guard": lambda x, default: np.where(np.isfinite(x), x, default),
    "lt": np.less,
    "le": np.less_equal,
    "eq": np.equal,
    "ne": np.not_equal,
    "and": np.logical_and,
    "or": np.logical_or,
    "not": np.logical_not,
    "num": lambda x: np.asarray(x, dtype=np.float64),
    "select": np.where,
    **{name: _elementwise(name) for name in ("exp", "log", "tanh", "sigmoid", "cos", "pow")},
}


def emit(graph: Graph) -> Kernel:
    """A kernel that runs the graph's operations over whole columns.

    The kernel takes float64 arrays (B,) by input node and B, and returns (B,) arrays by output.
    """
    order = graph.used(graph.outputs.values())

    def kernel(inputs: Mapping[int, Array], rows: int) -> dict[str, Array]:
        done: dict[int, Any] = {}
        with np.errstate(all="ignore"):
            for i in order:
                node = graph.nodes[i]
                if node.op == "const":
                    done[i] = np.full(rows, node.payload)
                elif node.op == "input":
                    done[i] = inputs[i] != 0 if node.is_bool else inputs[i]
                else:
                    done[i] = OPS[node.op](*(done[a] for a in node.args))
        return {name: done[i] for name, i in graph.outputs.items()}

    return kernel
