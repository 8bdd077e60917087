"""The intermediate form: a hash-consed graph of float64 and boolean operations on inputs.

A node has one value per rollout, or (`is_list`) one per step of each rollout. What is not
applicable for some rollouts is a pair of nodes: the value, and a condition that says whether it
counts; every operation is total, so the graph itself knows no missing values.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Container, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from derl_dsl.graph.ops import BOOLEAN, REDUCTIONS, SLICES
from derl_grammar.nodes import Place
from derl_grammar.records import record
from derl_grammar.types import Bool, List
from derl_runtime.sources import STEPS, Apply, Column, Literal, Source, plain

Input = Column | Apply


@record
class Param:
    """A tunable constant: its name, its value, and the range it may be set to."""

    name: str
    value: float
    lo: float
    hi: float

    def __str__(self) -> str:
        return f"{self.name} = {self.value:g}"


# A constant, an input, a parameter, or the literal arguments of third, part and group_quantile.
Payload = float | Input | Param | tuple[float, ...] | None


class Node(NamedTuple):
    """One operation; `args` are indices of earlier nodes."""

    op: str
    args: tuple[int, ...]
    payload: Payload
    is_bool: bool
    is_list: bool = False


# What Node does, in half the time.
_node = partial(tuple.__new__, Node)


def _steps_of(source: Source) -> tuple[object, ...]:
    """What gives a list its length: the episode, or the primitive that read it out of a text."""
    if not isinstance(source, Apply):
        steps = STEPS.get(str(source))
        return () if steps is None else (steps,)
    lists = [a for a in source.args if not isinstance(a, Literal) and isinstance(plain(a), List)]
    return _steps_of(lists[0]) if lists else (str(source),)


@dataclass(slots=True)
class Graph:
    """Nodes in an order where arguments come first, with the named outputs.

    `places` holds the place in the text where each node was first written; `valids` the condition
    under which an output counts, where it is optional. `steps` is the list of step rewards, which
    is no output of the kernels, and `steps_valid` its condition.
    """

    nodes: list[Node] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    outputs: dict[str, int] = field(default_factory=dict)
    valids: dict[str, int] = field(default_factory=dict)
    _index: dict[object, int] = field(default_factory=dict)
    _used: dict[tuple[int, ...], list[int]] = field(default_factory=dict, repr=False, compare=False)

    # Which of the first nodes are whole numbers, as far as it was asked (`leaves.is_whole`).
    whole: list[bool] = field(default_factory=list, repr=False, compare=False)
    steps: int | None = None
    steps_valid: int | None = None

    def add(self, op: str, args: tuple[int, ...], place: Place, payload: Payload = None) -> int:
        """The node for this operation; the same operation on the same arguments is one node."""
        key: object = (op, args, payload)
        if op == "const":
            assert isinstance(payload, float)
            key = (payload, math.copysign(1.0, payload))
        # One look-up, for the hash of an input is that of a primitive with all its arguments.
        nodes = self.nodes
        at = self._index.setdefault(key, len(nodes))
        if at == len(nodes):
            is_bool, is_list = self._kind(op, args, payload)
            nodes.append(_node((op, args, payload, is_bool, is_list)))
            self.places.append(place)
        return at

    def _kind(self, op: str, args: tuple[int, ...], payload: Payload) -> tuple[bool, bool]:
        """Whether the node is a condition, and whether it has one value per step."""
        if op == "input":
            assert isinstance(payload, Input)
            kind = plain(payload)
            many = isinstance(kind, List)
            return isinstance(kind.item if isinstance(kind, List) else kind, Bool), many
        if not args:
            return op == "valid", False
        nodes, many = self.nodes, False
        if op not in REDUCTIONS:
            for a in args:
                if nodes[a][4]:
                    many = True
        if op == "select":
            return nodes[args[1]].is_bool, many
        if op in SLICES:
            return nodes[args[0]].is_bool, many
        return op in BOOLEAN, many

    def find(self, op: str, args: tuple[int, ...], payload: Payload = None) -> int | None:
        """The node for this operation, where the graph has it."""
        return self._index.get((op, args, payload))

    def const(self, value: float, place: Place) -> int:
        """A constant."""
        return self.add("const", (), place, float(value))

    def truth(self, value: bool, place: Place) -> int:
        """A constant condition."""
        one, zero = self.const(1.0, place), self.const(0.0, place)
        return self.add("lt", (zero, one) if value else (one, zero), place)

    def roots(self) -> list[int]:
        """All nodes that an output needs: its value and its condition."""
        return [*self.outputs.values(), *self.valids.values()]

    def step_roots(self) -> list[int]:
        """The nodes of the step rewards: their list and its condition."""
        return [i for i in (self.steps, self.steps_valid) if i is not None]

    def roots_of(self, name: str) -> list[int]:
        """The nodes that one output (or `steps`) needs: its value and its condition."""
        if name == "steps" and self.steps is not None:
            return self.step_roots()
        return [table[name] for table in (self.outputs, self.valids) if name in table]

    def only(self, names: Collection[str]) -> Graph:
        """A graph of the same nodes with some of the outputs."""
        outputs = {name: i for name, i in self.outputs.items() if name in names}
        valids = {name: i for name, i in self.valids.items() if name in names}
        nodes, places = list(self.nodes), list(self.places)
        return Graph(nodes, places, outputs, valids, _index=dict(self._index))

    def used(self, roots: Iterable[int], known: Container[int] = ()) -> list[int]:
        """The nodes that `roots` depend on, themselves included, in order.

        What only `known` nodes depend on is left out.
        """
        if known:
            return self._reached(roots, known)
        # What nodes depend on never changes, and proofs ask for it again and again.
        key = tuple(roots)
        found = self._used.get(key)
        if found is None:
            found = self._used[key] = self._reached(key, ())
        return list(found)

    def _reached(self, roots: Iterable[int], known: Container[int]) -> list[int]:
        seen: set[int] = set()
        stack = list(roots)
        while stack:
            at = stack.pop()
            if at not in seen:
                seen.add(at)
                if at not in known:
                    stack.extend(self.nodes[at].args)
        return sorted(seen)

    def inputs(self, roots: Iterable[int]) -> list[int]:
        """The input nodes (values and conditions) that `roots` depend on, in order."""
        return [i for i in self.used(roots) if self.nodes[i].op in ("input", "valid")]

    def source(self, node: int) -> Input:
        """The input behind an `input` or `valid` node."""
        payload = self.nodes[node].payload
        assert isinstance(payload, Input)
        return payload

    def slicing(self, node: int) -> tuple[object, ...]:
        """How a list node was cut from whole episodes; lists of one slicing go together."""
        at = self.nodes[node]
        if at.op == "input":
            return _steps_of(self.source(node))
        if at.op in SLICES:
            return (*self.slicing(at.args[0]), (at.op, at.payload))
        lists = [a for a in at.args if self.nodes[a].is_list]
        return self.slicing(lists[0]) if lists else ()

    def text(self) -> str:
        """The graph as readable lines, one node a line."""
        lines = []
        for i, node in enumerate(self.nodes):
            shown = [str(node.payload)] if node.payload is not None else []
            shown += [f"%{a}" for a in node.args]
            lines.append(f"%{i} = {node.op} {', '.join(shown)}")
        for name, i in self.outputs.items():
            condition = f" where %{self.valids[name]}" if name in self.valids else ""
            lines.append(f"{name}: %{i}{condition}")
        return "\n".join(lines)
