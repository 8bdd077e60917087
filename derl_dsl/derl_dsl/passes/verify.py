"""The verifier: what every graph must be, before a pass and after it."""

from __future__ import annotations

from derl_dsl.graph.ir import Graph, Node, Param
from derl_dsl.graph.ops import BOOLEAN, GROUP, OPERATIONS
from derl_runtime.sources import Apply, Column

# What a leaf holds.
_PAYLOADS: dict[str, tuple[type, ...]] = {
    "const": (float,),
    "param": (Param,),
    "input": (Column, Apply),
    "valid": (Column, Apply),
}


class BrokenGraph(AssertionError):
    """A graph that no program has: a bug of what built it."""


def verify(graph: Graph, dense: bool = False) -> None:
    """Raises BrokenGraph with the first thing that is wrong.

    `dense` wants that every node is needed by an output, as it is after a pass.
    """
    seen: dict[object, int] = {}
    for i, node in enumerate(graph.nodes):
        problem = _node(graph, i, node)
        key = (node.op, node.args, repr(node.payload) if node.op == "const" else node.payload)
        if problem is None and key in seen:
            problem = f"is %{seen[key]} again"
        if problem is not None:
            raise BrokenGraph(f"%{i} = {node.op} {node.args}: {problem}\n{graph.text()}")
        seen[key] = i
    problem = _outputs(graph, dense)
    if problem is not None:
        raise BrokenGraph(f"{problem}\n{graph.text()}")


def _node(graph: Graph, i: int, node: Node) -> str | None:
    """What is wrong with one node."""
    known = OPERATIONS.get(node.op)
    if known is None:
        return "no operation of this name"
    wanted = known.takes
    if len(node.args) != len(wanted):
        return f"{len(node.args)} arguments, {len(wanted)} wanted"
    if not all(0 <= a < i for a in node.args):
        return "an argument comes after its use"
    written = tuple if known.literals else type(None)
    if not isinstance(node.payload, _PAYLOADS.get(node.op, written)):
        return f"payload {node.payload!r}"
    if isinstance(node.payload, tuple) and len(node.payload) != known.literals:
        return f"literals {node.payload!r}"
    below = [graph.nodes[a] for a in node.args]
    for k, (kind, arg) in enumerate(zip(wanted, below, strict=True)):
        if kind.lower() != "x" and arg.is_bool != (kind.lower() == "b"):
            return f"argument {k + 1} is of the wrong kind"
        if kind.isupper() and not arg.is_list:
            return f"argument {k + 1} is no list"
    return _kinds(graph, node, below)


def _kinds(graph: Graph, node: Node, below: list[Node]) -> str | None:
    """What is wrong with how a node is marked, or with the lists that meet in it."""
    if node.op == "select" and below[1].is_bool != below[2].is_bool:
        return "branches of different kinds"
    if node.op in GROUP and any(b.is_list for b in below):
        return "a group function of a list"
    if graph._kind(node.op, node.args, node.payload) != (node.is_bool, node.is_list):
        return f"marked bool {node.is_bool}, list {node.is_list}"
    if node.op in BOOLEAN and not node.is_bool:
        return "a condition that is a number"
    slicings = {graph.slicing(a) for a in node.args if graph.nodes[a].is_list}
    return "lists cut differently" if len(slicings) > 1 else None


def _outputs(graph: Graph, dense: bool) -> str | None:
    """What is wrong with the outputs, their conditions, or what stands beside the nodes."""
    count = len(graph.nodes)
    if len(graph.places) != count:
        return f"{len(graph.places)} places of {count} nodes"
    if not all(0 <= i < count for i in graph.roots()):
        return "an output is no node"
    for name, i in graph.outputs.items():
        if graph.nodes[i].is_list or graph.nodes[i].is_bool:
            return f"output {name} is no number"
    for name, i in graph.valids.items():
        if name not in graph.outputs or graph.nodes[i].is_list or not graph.nodes[i].is_bool:
            return f"the condition of {name} is none, or of no output"
    if dense and len(graph.used(graph.roots())) != count:
        return "nodes that no output needs"
    return None
