"""Random programs and rows for the differential tests."""

from __future__ import annotations

import random

import numpy as np
from derl_dsl.analyse import input_range
from derl_dsl.elaborate import Elaborator
from derl_dsl.ir import Graph
from derl_dsl.sample import EVERYTHING, sample_program
from derl_dsl.scope import Scope, build_scope
from derl_grammar.diagnostics import Report
from derl_grammar.parser import parse
from derl_grammar.spans import Source
from numpy.typing import NDArray

COLUMNS = {
    "a": "number[0, 1]",
    "b": "number[-2, 2]",
    "c": "number{0, 1}",
    "d": "bool",
    "e": "number",
    "f": "bool",
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
    for k, text in enumerate(texts):
        report = Report(Source(text))
        graph.outputs = {}
        program = parse(text, report)
        assert program is not None, text
        assert Elaborator(names, report, graph).program(program) is not None, report.found
        outputs |= {f"{k}.{name}": node for name, node in graph.outputs.items()}
    graph.outputs = outputs
    return graph


def texts(count: int, seed: int, names: Scope) -> list[str]:
    rng = random.Random(seed)
    return [sample_program(names, rng, EVERYTHING) for _ in range(count)]


def wild_rows(graph: Graph, rows: int, rng: np.random.Generator) -> dict[int, NDArray[np.float64]]:
    """Rows that keep no declared range: corners and wide normals."""
    found = {}
    for i in graph.inputs(graph.outputs.values()):
        values = rng.normal(size=rows) * rng.choice([1.0, 10.0, 1e-3])
        corner = rng.random(rows) < 0.3
        values[corner] = rng.choice(CORNERS, int(corner.sum()))
        if graph.nodes[i].is_bool:
            values = (rng.random(rows) < 0.5).astype(np.float64)
        found[i] = values
    return found


def ranged_rows(
    graph: Graph, rows: int, rng: np.random.Generator
) -> dict[int, NDArray[np.float64]]:
    """Rows inside the declared ranges, their ends included."""
    found = {}
    for i in graph.inputs(graph.outputs.values()):
        source = graph.nodes[i].payload
        assert source is not None
        assert not isinstance(source, float)
        low, high, _ = input_range(source)
        wide = high - low > 1e6
        values = rng.normal(size=rows) * 1e3 if wide else rng.uniform(low, high, rows)
        values = np.where(rng.random(rows) < 0.3, rng.choice([low, high], rows), values)
        domain = getattr(source.type, "values", None)
        if graph.nodes[i].is_bool or domain:
            values = rng.choice(domain or (0.0, 1.0), rows)
        found[i] = values
    return found
