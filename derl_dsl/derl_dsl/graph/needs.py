"""What a graph needs of the data: its inputs by output, and lists that go together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from derl_dsl.graph.ir import Graph
from derl_dsl.graph.ops import GROUP


@dataclass(frozen=True, slots=True)
class Needs:
    """What a graph needs of the data.

    `inputs` are all its input nodes, `of_output` those of each output, of the step rewards as
    `steps`; `together` the lists that meet step by step, and `grouped` says whether there are group
    functions.
    """

    graph: Graph
    inputs: tuple[int, ...]
    of_output: Mapping[str, tuple[int, ...]]
    together: tuple[tuple[int, ...], ...]
    grouped: bool

    @classmethod
    def of(cls, graph: Graph) -> Needs:
        """The needs of a graph."""
        of_output = {}
        for name, node in graph.outputs.items():
            roots = [node, graph.valids[name]] if name in graph.valids else [node]
            of_output[name] = tuple(graph.inputs(roots))
        roots = [*graph.roots(), *graph.step_roots()]
        if graph.steps is not None:
            of_output["steps"] = tuple(graph.inputs(graph.step_roots()))
        used = graph.used(roots)
        return cls(
            graph,
            tuple(graph.inputs(roots)),
            of_output,
            together(graph, roots),
            any(graph.nodes[i].op in GROUP for i in used),
        )


def together(graph: Graph, roots: list[int] | None = None) -> tuple[tuple[int, ...], ...]:
    """The list inputs that meet below `roots` (all outputs), directly or through others."""
    sets: dict[int, set[int]] = {}
    for i in graph.used(graph.roots() if roots is None else roots):
        node = graph.nodes[i]
        if node.is_list:
            merged = {i} if node.op == "input" else set()
            for a in node.args:
                merged |= sets.get(a, set())
            for member in merged:
                merged = merged | sets.get(member, set())
            sets[i] = merged
            for member in merged:
                sets[member] = merged
    found = {tuple(sorted(s)) for s in sets.values() if len(s) > 1}
    return tuple(sorted(f for f in found if not any(set(f) < set(o) for o in found)))
