"""Lowering keeps every bit: random programs and random graphs, on corners and within ranges."""

from __future__ import annotations

import random

import numpy as np
import pytest

from derl_dsl.backends import BACKENDS
from derl_dsl.graph.ir import Graph
from derl_dsl.passes import PASSES, lower, verify
from derl_dsl.prove.analyse import Analysis
from tests.differential.programs import graph_of, scope, texts
from tests.passes.graphs import differing, random_graph


def problems(graph: Graph, rng: np.random.Generator) -> list[str]:
    """What lowering broke, without proven ranges on any data, and with them on data within."""
    verify(graph)
    lowered = lower(graph)
    verify(lowered, dense=True)
    found = differing(graph, lowered, rng)
    if lower(lowered).text() != lowered.text():
        found.append("lowering again changes the graph")
    ranged = lower(graph, Analysis(graph, graph.roots()).ranges)
    verify(ranged, dense=True)
    return found + differing(graph, ranged, rng, in_range=True)


def wrong_programs(count: int, seed: int) -> list[tuple[str, list[str]]]:
    names, rng = scope(), np.random.default_rng(seed)
    results = [(t, problems(graph_of([t], names), rng)) for t in texts(count, seed, names)]
    return [(text, found) for text, found in results if found]


def wrong_graphs(count: int, seed: int) -> list[tuple[str, list[str]]]:
    rng, numbers = random.Random(seed), np.random.default_rng(seed)
    graphs = [random_graph(rng, rng.randint(5, 25)) for _ in range(count)]
    results = [(g.text(), problems(g, numbers)) for g in graphs]
    return [(text, found) for text, found in results if found]


def test_random_programs() -> None:
    assert wrong_programs(300, seed=21) == []


def test_random_graphs() -> None:
    assert wrong_graphs(800, seed=22) == []


def test_every_pass_alone_keeps_the_bits() -> None:
    rng, numbers = random.Random(23), np.random.default_rng(23)
    changed = dict.fromkeys([p.name for p in PASSES], 0)
    for _ in range(150):
        graph = random_graph(rng, rng.randint(5, 25))
        least = len(graph.used(graph.roots()))
        for one in PASSES:
            after = one(graph)
            verify(after, dense=True)
            assert differing(graph, after, numbers) == [], graph.text()
            changed[one.name] += len(after.nodes) != least
    # `order` keeps the number of nodes for the most part; the others find something to do.
    assert all(count > 5 for name, count in changed.items() if name not in ("order", "share"))


def test_the_virtual_machine_computes_the_lowered_graph_as_the_reference_does_the_written() -> None:
    names, rng = scope(), np.random.default_rng(24)
    emit = BACKENDS["vm"]()
    for text in texts(80, seed=24, names=names):
        graph = graph_of([text], names)
        assert differing(graph, lower(graph), rng, emit=emit) == [], text


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(31, 35))
def test_twenty_thousand_programs(seed: int) -> None:
    assert wrong_programs(5_000, seed) == []


@pytest.mark.slow
def test_twenty_thousand_graphs() -> None:
    assert wrong_graphs(20_000, seed=41) == []
