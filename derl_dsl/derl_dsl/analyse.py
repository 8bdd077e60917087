"""Range analysis of a graph: what each node can be, sharpened inside conditional branches."""

from __future__ import annotations

import math
from collections.abc import Mapping

from derl_grammar.types import Number

from derl_dsl import ranges
from derl_dsl.ir import Graph, Input
from derl_dsl.ranges import LARGEST, Range

# Work bound: branches are analysed again under their condition, at most this many nodes in all.
_BUDGET = 4000

Facts = Mapping[int, Range]


def input_range(source: Input) -> Range:
    """The declared range of an input; an open end means any finite float64."""
    kind = source.type
    if isinstance(kind, Number):
        return Range(max(kind.lo, -LARGEST), min(kind.hi, LARGEST))
    return ranges.UNIT


def domain(source: Input) -> tuple[float, ...] | None:
    """All values of an input, when they are finitely many."""
    kind = source.type
    if isinstance(kind, Number):
        return kind.values
    return (0.0, 1.0)


class Analysis:
    """The ranges of all nodes; `facts` fixes nodes to ranges known from elsewhere."""

    def __init__(self, graph: Graph, roots: list[int], facts: Facts | None = None) -> None:
        self.graph = graph
        self.budget = _BUDGET
        self.facts = dict(facts or {})
        self.ranges: dict[int, Range] = {}
        for i in graph.used(roots):
            self.ranges[i] = self._node(i, self.ranges, self.facts)

    def __getitem__(self, node: int) -> Range:
        return self.ranges[node]

    def _node(self, i: int, known: dict[int, Range], facts: Facts) -> Range:
        found = self._compute(i, known, facts)
        fact = facts.get(i)
        return found if fact is None else found.meet(fact.lo, fact.hi)

    def _compute(self, i: int, known: dict[int, Range], facts: Facts) -> Range:
        node = self.graph.nodes[i]
        self.budget -= 1
        if node.op == "const":
            assert isinstance(node.payload, float)
            return Range(node.payload, node.payload)
        if node.op == "input":
            assert node.payload is not None
            assert not isinstance(node.payload, float)
            return input_range(node.payload)
        if node.op == "select":
            return self._select(node.args, known, facts)
        if node.op == "mul" and node.args[0] == node.args[1]:
            return ranges.square(known[node.args[0]])
        if node.op in ("sub", "div") and node.args[0] == node.args[1]:
            return self._same(node.op, known[node.args[0]])
        return ranges.OPS[node.op](*(known[a] for a in node.args))

    def _same(self, op: str, a: Range) -> Range:
        """x - x and x / x."""
        if not a.finite or (op == "div" and a.lo <= 0 <= a.hi):
            return ranges.OPS[op](a, a)
        value = 0.0 if op == "sub" else 1.0
        return Range(value, value)

    def _select(self, args: tuple[int, ...], known: dict[int, Range], facts: Facts) -> Range:
        test, then, other = args
        decided = known[test]
        if not decided.nan and decided.lo == decided.hi:
            return self._branch(then if decided.lo else other, test, bool(decided.lo), known, facts)
        result = ranges.hull(
            self._branch(then, test, True, known, facts),
            self._branch(other, test, False, known, facts),
        )
        return Range(result.lo, result.hi, result.nan or decided.nan)

    def _branch(
        self, root: int, test: int, truth: bool, known: dict[int, Range], facts: Facts
    ) -> Range:
        """The range of a branch, knowing what its condition says."""
        learned = dict(facts)
        if self.budget <= 0 or not self._learn(test, truth, known, learned):
            return known[root]
        inside: dict[int, Range] = {}
        for i in self.graph.used([root]):
            inside[i] = self._node(i, inside, learned)
            if self.budget <= 0:
                return known[root]
        return inside[root]

    def _learn(
        self, test: int, truth: bool, known: dict[int, Range], facts: dict[int, Range]
    ) -> bool:
        """Adds to `facts` what a condition says of the nodes it names; whether anything was."""
        node = self.graph.nodes[test]
        if node.op == "not":
            return self._learn(node.args[0], not truth, known, facts)
        if node.op == ("and" if truth else "or"):
            return any(self._learn(a, truth, known, facts) for a in node.args)
        if node.op in ("lt", "le"):
            a, b = node.args
            if not truth:
                a, b = b, a
            return self._learn_less(a, b, (node.op == "lt") == truth, known, facts)
        value = Range(float(truth), float(truth))
        facts[test] = value
        return True

    def _learn_less(
        self, a: int, b: int, strict: bool, known: dict[int, Range], facts: dict[int, Range]
    ) -> bool:
        """a < b (or <=) cuts a from above and b from below; NaN was reported where it arose."""
        top, bottom = known[b].hi, known[a].lo
        if strict:
            top, bottom = math.nextafter(top, -math.inf), math.nextafter(bottom, math.inf)
        for node, lo, hi in ((a, -math.inf, top), (b, bottom, math.inf)):
            before = facts.get(node, known[node])
            facts[node] = before.meet(lo, hi)
        return True
