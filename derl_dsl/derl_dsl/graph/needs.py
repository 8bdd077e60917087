"""What a graph needs of the data: its inputs by output, and lists that go together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from derl_dsl.graph.ir import Graph
from derl_dsl.graph.ops import GROUP
from derl_grammar.records import record


@record
class Needs:
    """What a graph needs of the data.

    `inputs` are all its input nodes, `of_output` those of each output, of the step rewards as
    `steps`; `together` the lists that meet step by step, `meeting` those of each output, and
    `grouped` says whether there are group
    functions.
    """

    graph: Graph
    inputs: tuple[int, ...]
    of_output: Mapping[str, tuple[int, ...]]
    together: tuple[tuple[int, ...], ...]
    meeting: Mapping[str, tuple[tuple[int, ...], ...]]
    grouped: bool

    @classmethod
    def of(cls, graph: Graph) -> Needs:
        """The needs of a graph."""
        names = [*graph.outputs, *(["steps"] if graph.steps is not None else [])]
        own = {name: graph.roots_of(name) for name in names}
        roots = [*graph.roots(), *graph.step_roots()]
        used = graph.used(roots)
        return cls(
            graph,
            tuple(graph.inputs(roots)),
            {name: tuple(graph.inputs(nodes)) for name, nodes in own.items()},
            together(graph, roots),
            {name: together(graph, nodes) for name, nodes in own.items()},
            any(graph.nodes[i].op in GROUP for i in used),
        )


def together(graph: Graph, roots: Iterable[int]) -> tuple[tuple[int, ...], ...]:
    """The list inputs that meet in one operation below `roots`, directly or through others."""
    sets: dict[int, set[int]] = {}
    for i in graph.used(roots):
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
