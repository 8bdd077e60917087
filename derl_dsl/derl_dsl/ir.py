"""The intermediate form: a hash-consed graph of float64 and boolean operations on inputs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from derl_grammar.nodes import Place
from derl_grammar.types import Bool
from derl_runtime.sources import Apply, Column

Input = Column | Apply
Payload = float | Input | None


class Node(NamedTuple):
    """One operation; `args` are indices of earlier nodes, `payload` a constant or an input."""

    op: str
    args: tuple[int, ...]
    payload: Payload
    is_bool: bool


BOOLEAN = frozenset({"lt", "le", "eq", "ne", "and", "or", "not"})


@dataclass(slots=True)
class Graph:
    """Nodes in an order where arguments come first, with the named outputs.

    `places` holds the place in the text where each node was first written.
    """

    nodes: list[Node] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    outputs: dict[str, int] = field(default_factory=dict)
    _index: dict[object, int] = field(default_factory=dict)

    def add(self, op: str, args: tuple[int, ...], place: Place, payload: Payload = None) -> int:
        """The node for this operation; the same operation on the same arguments is one node."""
        if op == "const":
            assert isinstance(payload, float)
            key: object = (op, payload, math.copysign(1.0, payload))
        else:
            key = (op, args, payload)
        found = self._index.get(key)
        if found is not None:
            return found
        is_bool = op in BOOLEAN
        if op == "select":
            is_bool = self.nodes[args[1]].is_bool
        elif op == "input":
            assert isinstance(payload, Column | Apply)
            is_bool = _is_bool(payload)
        self.nodes.append(Node(op, args, payload, is_bool))
        self.places.append(place)
        self._index[key] = len(self.nodes) - 1
        return len(self.nodes) - 1

    def const(self, value: float, place: Place) -> int:
        """A constant."""
        return self.add("const", (), place, float(value))

    def used(self, roots: Iterable[int]) -> list[int]:
        """The nodes that `roots` depend on, themselves included, in order."""
        seen: set[int] = set()
        stack = list(roots)
        while stack:
            at = stack.pop()
            if at not in seen:
                seen.add(at)
                stack.extend(self.nodes[at].args)
        return sorted(seen)

    def inputs(self, roots: Iterable[int]) -> list[int]:
        """The input nodes that `roots` depend on, in order."""
        return [i for i in self.used(roots) if self.nodes[i].op == "input"]

    def text(self) -> str:
        """The graph as readable lines, one node a line."""
        lines = []
        for i, node in enumerate(self.nodes):
            shown = [str(node.payload)] if node.payload is not None else []
            shown += [f"%{a}" for a in node.args]
            lines.append(f"%{i} = {node.op} {', '.join(shown)}")
        lines += [f"{name}: %{i}" for name, i in self.outputs.items()]
        return "\n".join(lines)


def _is_bool(source: Input) -> bool:
    return isinstance(source.type, Bool)
