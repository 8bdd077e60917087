"""Range analysis of a graph: what each node can be, sharpened inside conditional branches."""

from __future__ import annotations

import math
from collections.abc import Mapping

from derl_dsl.graph import ranges
from derl_dsl.graph.ir import Graph, Input, Param
from derl_dsl.graph.ops import GROUP
from derl_dsl.graph.ranges import LARGEST, Range
from derl_grammar.types import Bool, List, Number, Type
from derl_runtime.sources import plain

# Work bound: branches are analysed again under their condition, at most this many nodes in all.
_BUDGET = 4000

Facts = Mapping[int, Range]


def _item(source: Input) -> Type:
    kind = plain(source)
    return kind.item if isinstance(kind, List) else kind


def input_range(source: Input) -> Range:
    """The declared range of an input (of a list: of its steps); an open end is any float64."""
    kind = _item(source)
    if isinstance(kind, Number):
        return Range(max(kind.lo, -LARGEST), min(kind.hi, LARGEST))
    return ranges.UNIT


def domain(source: Input) -> tuple[float, ...] | None:
    """All values of an input with one value per rollout, when they are finitely many."""
    kind = plain(source)
    if isinstance(kind, Number):
        return kind.values
    return (0.0, 1.0) if isinstance(kind, Bool) else None


def source_range(graph: Graph, node: int) -> Range:
    """The range of a node that has no arguments: a constant, an input, a parameter."""
    payload = graph.nodes[node].payload
    if isinstance(payload, float):
        return Range(payload, payload)
    if isinstance(payload, Param):
        return Range(payload.lo, payload.hi)
    return ranges.UNIT if graph.nodes[node].op == "valid" else input_range(graph.source(node))


class Analysis:
    """The ranges of all nodes below `roots`.

    `facts` fixes nodes to ranges known from elsewhere; `given` is a condition known to hold.
    `plain`, an analysis of the same roots without either, spares what no fact touches.
    """

    def __init__(
        self,
        graph: Graph,
        roots: list[int],
        facts: Facts | None = None,
        given: int | None = None,
        plain: Analysis | None = None,
    ) -> None:
        self.graph = graph
        self.budget = _BUDGET
        # Facts are of one rollout; a group function sees the others too, of which nothing is known.
        self.groups: dict[int, Range] = {}
        self.facts: dict[int, Range] = {}
        self.ranges: dict[int, Range]
        if plain is not None and facts and given is None:
            self.groups, self.facts = plain.groups, dict(facts)
            self.ranges = self._renewed(roots, plain.ranges, self.facts, set(facts))
            return
        used = graph.used(roots if given is None else [*roots, given])
        grouped = [i for i in used if graph.nodes[i].op in GROUP]
        if grouped:
            everyone = self._all(grouped)
            self.groups = {i: everyone[i] for i in grouped}
        self.facts = dict(facts or {})
        self.ranges = self._all(roots if given is None else [*roots, given])
        if given is not None:
            learned = dict(self.facts)
            self._learn(given, True, self.ranges, learned)
            self.facts = learned
            self.ranges = self._all([*roots, given])

    def _all(self, roots: list[int]) -> dict[int, Range]:
        found: dict[int, Range] = {}
        for i in self.graph.used(roots):
            found[i] = self._node(i, found, self.facts)
        return found

    def _renewed(
        self, roots: list[int], known: Mapping[int, Range], facts: Facts, touched: set[int]
    ) -> dict[int, Range]:
        """The `known` ranges, but made anew where a node is or depends on a touched one."""
        found: dict[int, Range] = {}
        for i in self.graph.used(roots):
            if i in touched or not touched.isdisjoint(self.graph.nodes[i].args):
                touched.add(i)
                found[i] = self._node(i, found, facts)
            else:
                found[i] = known[i]
        return found

    def __getitem__(self, node: int) -> Range:
        return self.ranges[node]

    def _node(self, i: int, known: dict[int, Range], facts: Facts) -> Range:
        found = self._compute(i, known, facts)
        fact = facts.get(i)
        return found if fact is None else found.meet(fact.lo, fact.hi)

    def _compute(self, i: int, known: dict[int, Range], facts: Facts) -> Range:
        op, args = self.graph.nodes[i][:2]
        self.budget -= 1
        if not args:
            return source_range(self.graph, i)
        if i in self.groups:
            return self.groups[i]
        if op == "select":
            return self._select(args, known, facts)
        if len(args) == 2 and args[0] == args[1] and op in ("mul", "sub", "div"):
            return self._same(op, known[args[0]])
        return ranges.OPS[op](*[known[a] for a in args])

    def _same(self, op: str, a: Range) -> Range:
        """x * x, x - x and x / x."""
        if op == "mul":
            return ranges.square(a)
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
        news = {i for i, fact in learned.items() if fact not in (facts.get(i), known.get(i))}
        inside = self._renewed([root], known, learned, news)
        return inside[root] if self.budget > 0 else known[root]

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
