"""The one walk that all passes share: nodes are rebuilt in order, each through the rules of its op.

A rule sees arguments that are simplified already and returns the node that has the same value, or
None. What it returns must be bit-identical for every float64, NaN, infinities and both zeros
included; a rule that needs more asks `Builder.bounds`, which hold for all data the runtime lets
through.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

from derl_dsl.graph.ir import Graph, Node, Payload
from derl_dsl.graph.ops import BOOLEAN, GROUP, OPERATIONS, REDUCTIONS, SLICES
from derl_dsl.graph.ranges import Range
from derl_grammar.nodes import Place
from derl_grammar.records import record

INF = math.inf
Rule = Callable[["Builder", tuple[int, ...], Payload], int | None]
Rules = Mapping[str, tuple[Rule, ...]]
Ranges = Mapping[int, Range]


class Builder:
    """Builds the simplified graph; nodes are named by their index in it."""

    __slots__ = ("false", "index", "lists", "nodes", "place", "places", "ranges", "rules", "true")

    def __init__(self, rules: Rules, lists: bool) -> None:
        self.rules = rules
        self.lists = lists
        self.nodes: list[Node] = []
        self.places: list[Place] = []
        self.place: Place = (0, 0)
        self.index: dict[object, int] = {}
        self.ranges: dict[int, Range] = {}
        # The constant conditions, once there are any.
        self.true = self.false = -1

    def add(self, op: str, args: tuple[int, ...], payload: Payload = None) -> int:
        """The simplest node known for this operation."""
        rules = self.rules.get(op)
        if rules is not None:
            for rule in rules:
                found = rule(self, args, payload)
                # One value for a rollout does not stand for one value a step, equal as they may be.
                if found is not None and (
                    not self.lists or self.nodes[found].is_list == self._many(op, args)
                ):
                    return found
        return self.put(op, args, payload)

    def put(self, op: str, args: tuple[int, ...], payload: Payload = None) -> int:
        """The node for this operation as it is; the same operation on the same arguments is one."""
        key = (op, args, payload)
        found = self.index.get(key)
        if found is not None:
            return found
        if op == "select":
            is_bool = self.nodes[args[1]].is_bool
        else:
            is_bool = op in BOOLEAN or (op in SLICES and self.nodes[args[0]].is_bool)
        is_list = self.lists and self._many(op, args)
        at = self._append(key, Node(op, args, payload, is_bool, is_list))
        if op == "lt":
            self._remember(at, args)
        return at

    def _remember(self, at: int, args: tuple[int, ...]) -> None:
        a, b = (self.constant(i) for i in args)
        if a is not None and b is not None:
            if a < b:
                self.true = at
            else:
                self.false = at

    def _many(self, op: str, args: tuple[int, ...]) -> bool:
        return op not in REDUCTIONS and any(self.nodes[a].is_list for a in args)

    def _append(self, key: object, node: Node) -> int:
        at = len(self.nodes)
        self.nodes.append(node)
        self.places.append(self.place)
        self.index[key] = at
        return at

    def leaf(self, node: Node) -> int:
        """A node without arguments, as it is."""
        if node.op != "const":
            return self._append((node.op, (), node.payload), node)
        assert isinstance(node.payload, float)
        key = ("const", node.payload, math.copysign(1.0, node.payload))
        found = self.index.get(key)
        return self._append(key, node) if found is None else found

    def const(self, value: float) -> int:
        """A constant; 0.0 and -0.0 are two."""
        key = ("const", value, math.copysign(1.0, value))
        found = self.index.get(key)
        return self._append(key, Node("const", (), value, False)) if found is None else found

    def truth(self, value: bool) -> int:
        """A constant condition."""
        known = self.true if value else self.false
        if known < 0:
            one, zero = self.const(1.0), self.const(0.0)
            known = self.put("lt", (zero, one) if value else (one, zero))
        return known

    def constant(self, i: int) -> float | None:
        """The value of a constant; None of any other node."""
        node = self.nodes[i]
        return node.payload if node.op == "const" else None  # type: ignore[return-value]

    def below(self, i: int, op: str) -> tuple[int, ...] | None:
        """The arguments of a node of this op; None of any other node."""
        node = self.nodes[i]
        return node.args if node.op == op else None


@record
class Pass:
    """Rules by op, under one name; called, it runs alone."""

    name: str
    doc: str
    rules: Mapping[str, Rule]

    def __call__(self, graph: Graph, ranges: Ranges | None = None) -> Graph:
        """The graph after this pass; `ranges` are proven ones of the graph's nodes."""
        return rewrite(graph, by_op((self,)), ranges)


def by_op(passes: Iterable[Pass]) -> Rules:
    """All rules of an op, in the order of the passes."""
    found: dict[str, tuple[Rule, ...]] = {}
    for one in passes:
        for op, rule in one.rules.items():
            found[op] = (*found.get(op, ()), rule)
    return found


def rewrite(graph: Graph, rules: Rules, ranges: Ranges | None = None) -> Graph:
    """The graph rebuilt through `rules`; what no output needs is left out."""
    nodes, places = graph.nodes, graph.places
    order = graph.used(graph.roots())
    build = Builder(rules, any(nodes[i].is_list for i in order))
    known = None if ranges is None else _everywhere(graph, order, ranges)
    at: dict[int, int] = {}
    for i in order:
        op, args, payload, _, _ = node = nodes[i]
        build.place = places[i]
        if args:
            found = build.add(op, tuple([at[a] for a in args]), payload)
        else:
            found = build.leaf(node)
        at[i] = found
        if known is not None and i in known:
            build.ranges.setdefault(found, known[i])
    outputs = {name: at[i] for name, i in graph.outputs.items()}
    # What always applies needs no condition.
    valids = {name: at[i] for name, i in graph.valids.items() if at[i] != build.true}
    return sweep(build, outputs, valids)


def _everywhere(graph: Graph, order: list[int], ranges: Ranges) -> Ranges:
    """The ranges that hold in every row.

    A statistic of no rollout is 0, whatever its range; it does not apply there, but it is computed.
    """
    loose: set[int] = set()
    for i in order:
        node = graph.nodes[i]
        if (node.op in GROUP and OPERATIONS[node.op].among) or not loose.isdisjoint(node.args):
            loose.add(i)
    return {i: found for i, found in ranges.items() if i not in loose}


def sweep(build: Builder, outputs: dict[str, int], valids: dict[str, int]) -> Graph:
    """The nodes that the outputs need, numbered anew in the same order."""
    nodes = build.nodes
    needed = bytearray(len(nodes))
    for i in (*outputs.values(), *valids.values()):
        needed[i] = 1
    for i in range(len(nodes) - 1, -1, -1):
        if needed[i]:
            for a in nodes[i].args:
                needed[a] = 1
    if 0 not in needed:
        return Graph(nodes, build.places, outputs, valids, build.index)
    new: dict[int, int] = {}
    graph = Graph()
    for key, i in build.index.items():
        if not needed[i]:
            continue
        node = nodes[i]
        new[i] = len(graph.nodes)
        if node.args:
            args = tuple([new[a] for a in node.args])
            if args != node.args:
                node = Node(node.op, args, *node[2:])
            key = (node.op, args, node.payload)
        graph._index[key] = len(graph.nodes)
        graph.nodes.append(node)
        graph.places.append(build.places[i])
    graph.outputs = {name: new[i] for name, i in outputs.items()}
    graph.valids = {name: new[i] for name, i in valids.items()}
    return graph
