"""Random programs and rows for the differential tests."""

from __future__ import annotations

import random

import numpy as np
from numpy.typing import NDArray

from derl_dsl.backends.kernel import Bound, Ragged
from derl_dsl.elaborate.expressions import Elaborator
from derl_dsl.elaborate.scope import Scope, build_scope
from derl_dsl.generate.sample import EVERYTHING, sample_program
from derl_dsl.graph.ir import Graph
from derl_dsl.graph.leaves import source_range
from derl_grammar.diagnostics import Report
from derl_grammar.parser import parse
from derl_grammar.spans import Source
from derl_runtime.sources import plain

COLUMNS = {
    "a": "number[0, 1]",
    "b": "number[-2, 2]",
    "c": "number{0, 1}",
    "d": "bool",
    "e": "number",
    "f": "bool",
    "o": "number[0, 3]?",
    "xs": "list[number[-1, 2]]",
    "ys": "list[number[0, 1]]",
    "cs": "list[bool]",
}
# Values where libraries disagree: both zeros, infinities, NaN, denormals, halves, ties.
CORNERS = np.array(
    [0.0, -0.0, 1.0, -1.0, np.nan, np.inf, -np.inf, 5e-324, 1e308, -1e308, 0.5, 2.5, 1e-6, 3.0]
)


def scope() -> Scope:
    return build_scope(columns=COLUMNS, outcome="d")


def graph_of(texts: list[str], names: Scope) -> Graph:
    """All programs in one graph, so that one compilation serves them; outputs are `3.reward`."""
    graph = Graph()
    outputs: dict[str, int] = {}
    valids: dict[str, int] = {}
    for k, text in enumerate(texts):
        report = Report(Source(text))
        graph.outputs, graph.valids = {}, {}
        program = parse(text, report)
        assert program is not None, text
        assert Elaborator(names, report, graph).program(program) is not None, report.found
        outputs |= {f"{k}.{name}": node for name, node in graph.outputs.items()}
        valids |= {f"{k}.{name}": node for name, node in graph.valids.items()}
    graph.outputs, graph.valids = outputs, valids
    return graph


def texts(count: int, seed: int, names: Scope) -> list[str]:
    rng = random.Random(seed)
    return [sample_program(names, rng, EVERYTHING) for _ in range(count)]


def wild(rows: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Numbers that keep no declared range: corners and wide normals."""
    values = rng.normal(size=rows) * rng.choice([1.0, 10.0, 1e-3])
    corner = rng.random(rows) < 0.3
    values[corner] = rng.choice(CORNERS, int(corner.sum()))
    return values


def ranged(graph: Graph, node: int, rows: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Numbers inside the declared range of an input, its ends included."""
    low, high, _ = source_range(graph, node)
    wide = high - low > 1e6
    values = rng.normal(size=rows) * 1e3 if wide else rng.uniform(low, high, rows)
    values = np.where(rng.random(rows) < 0.3, rng.choice([low, high], rows), values)
    finite = getattr(plain(graph.source(node)), "values", None)
    return rng.choice(finite, rows) if finite else values


def bound(
    graph: Graph, rows: int, rng: np.random.Generator, in_range: bool, group: int = 1
) -> Bound:
    """The inputs of one call; all lists of a rollout have one length, some are empty."""
    lengths = rng.integers(0, 6, rows)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    found: dict[int, NDArray[np.float64] | Ragged] = {}
    for i in graph.inputs(graph.roots()):
        node = graph.nodes[i]
        size = int(offsets[-1]) if node.is_list else rows
        if node.is_bool:
            values = (rng.random(size) < 0.5).astype(np.float64)
        else:
            values = ranged(graph, i, size, rng) if in_range else wild(size, rng)
            if in_range and str(graph.source(i)) == "progress":
                # All rollouts of a batch share it.
                values = np.full(size, values[0])
        found[i] = Ragged(values, offsets) if node.is_list else values
    starts = np.arange(0, rows + 1, group)
    live = np.ones(rows, dtype=bool) if in_range else rng.random(rows) < 0.9
    return Bound(found, rows, starts, live)
