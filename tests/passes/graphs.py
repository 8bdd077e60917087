"""Running graphs before and after a pass, and random graphs full of things to simplify."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
from numpy.typing import NDArray

from derl_dsl.backends import Emit, reference
from derl_dsl.backends.kernel import Bound
from derl_dsl.graph.ir import Graph
from derl_dsl.graph.ops import GROUP, OPERATIONS, REDUCTIONS
from derl_dsl.passes import feeds
from derl_runtime.sources import Column
from tests.differential.programs import COLUMNS, bound, scope

ROWS = 48
NOWHERE = (0, 0)


def same_bits(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Bit for bit: -0.0 is not 0.0; one NaN is as good as another."""
    return (a.view(np.int64) == b.view(np.int64)) | (np.isnan(a) & np.isnan(b))


def run(graph: Graph, lowered: Graph, inputs: Bound, emit: Emit) -> dict[str, NDArray[np.float64]]:
    """The outputs of the lowered graph on the inputs of the graph it was made of."""
    moved = {new: inputs.inputs[old] for new, old in feeds(graph, lowered).items()}
    return emit(lowered)(dataclasses.replace(inputs, inputs=moved))


def differing(
    graph: Graph,
    lowered: Graph,
    rng: np.random.Generator,
    in_range: bool = False,
    emit: Emit = reference.emit,
) -> list[str]:
    """The outputs in which two graphs differ on random rows and corners."""
    inputs = bound(graph, ROWS, rng, in_range=in_range, group=4)
    before, after = reference.emit(graph)(inputs), run(graph, lowered, inputs, emit)
    found = []
    for name, values in before.items():
        # A condition that is gone always held.
        now = after.get(name, np.ones(ROWS) if name.startswith("?") else np.full(ROWS, np.nan))
        if not same_bits(values, now).all():
            wrong = np.flatnonzero(~same_bits(values, now))[0]
            found.append(f"{name}: {values[wrong]!r} became {now[wrong]!r}")
    return found


_NUMBERS = ("neg", "add", "sub", "mul", "div", "mod", "pow", "min", "max", "abs", "sqrt", "floor",
            "round", "sign", "guard", "num", "exp", "sigmoid", "tanh", "select")  # fmt: skip
_LISTS = (*sorted(REDUCTIONS), "third", "part")
_POOL = (0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 3.0, -4.0, 0.1)
_LITERALS = {
    "third": ((1.0,), (3.0,)),
    "part": ((0.0, 1.0), (0.2, 0.6)),
    "group_quantile": ((0.5,),),
}


def random_graph(rng: random.Random, size: int) -> Graph:
    """Random operations on few constants and inputs, so that most rules meet what they are for."""
    graph = Graph()
    types = scope().names
    chosen = rng.sample([n for n in COLUMNS if n != "o"], 4)
    for name in chosen:
        source = types[name]
        assert isinstance(source, Column)
        graph.add("input", (), NOWHERE, source)
    for value in rng.sample(_POOL, 3):
        graph.const(value, NOWHERE)
    graph.truth(rng.random() < 0.5, NOWHERE)
    compares = ("lt", "le", "eq", "ne", "and", "or", "not", "select")
    for _ in range(size):
        _grow(graph, rng, rng.choice(rng.choice((_NUMBERS, compares, _LISTS, tuple(GROUP)))))
    numbers = [i for i, n in enumerate(graph.nodes) if not n.is_bool and not n.is_list]
    for k in range(3):
        graph.outputs[f"o{k}"] = rng.choice(numbers[-6:])
    conditions = [i for i, n in enumerate(graph.nodes) if n.is_bool and not n.is_list]
    if rng.random() < 0.3:
        graph.valids["o0"] = rng.choice(conditions)
    return graph


def _grow(graph: Graph, rng: random.Random, op: str) -> None:
    """One more node, when there are arguments for it; later nodes are taken more often."""
    args: list[int] = []
    branch = rng.random() < 0.3
    for kind in OPERATIONS[op].takes:
        wants_bool = branch if kind in "xX" else kind in "bB"
        fit = [
            i
            for i, n in enumerate(graph.nodes)
            if n.is_bool == wants_bool
            and (not kind.isupper() or n.is_list)
            and not (op in GROUP and n.is_list)
        ]
        if not fit:
            return
        args.append(rng.choice(fit[-5:] if rng.random() < 0.6 else fit))
    if len({graph.slicing(a) for a in args if graph.nodes[a].is_list}) < 2:
        payload = rng.choice(_LITERALS[op]) if op in _LITERALS else None
        graph.add(op, tuple(args), NOWHERE, payload)
