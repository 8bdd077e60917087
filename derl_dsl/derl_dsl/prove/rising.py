"""Whether the reward never falls when the outcome rises, its branches compared as expressions.

The reward is written out twice in one graph, once with the lower and once with the higher outcome;
what does not depend on the outcome is shared. Then the first must be no more than the second: by
their structure (`relations`), as polynomials of what they share, or, where a condition is open, in
each of its cases. Functions such as exp count as rising and polynomials as exact, so that a proof
holds up to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from derl_dsl.graph import ranges, scalars
from derl_dsl.graph.ir import Graph, Param
from derl_dsl.graph.ops import GROUP, OPERATIONS
from derl_dsl.graph.ranges import Range
from derl_dsl.prove.analyse import Analysis
from derl_dsl.prove.differences import STILL, Differences
from derl_dsl.prove.path import Budget, Learner, Path
from derl_dsl.prove.polynomials import Polynomials
from derl_dsl.prove.relations import Relations

# How many conditions are told apart inside each other.
_CASES = 5
# What rounding may take from an order of numbers of size 1, and its share of smaller ones.
_ROUNDING = 1e-12


class Rising:
    """Compares the reward before and after the outcome rises, all else equal.

    `moved` are the bounds that intervals give; group functions that see the outcome move by them.
    """

    def __init__(self, moved: Differences, root: int, outcome: int, budget: Budget) -> None:
        self.moved, self.budget = moved, budget
        self.source, self.outcome = moved.graph, outcome
        self.graph = Graph()
        self.shared: dict[int, int] = {}
        self.copies: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self.path = Path()
        self.root = root

    def holds(self, before: Range, after: Range, valid: int | None) -> bool:
        """Whether the reward never falls from an outcome in `before` to one in `after`."""
        roots = [self.root] if valid is None else [self.root, valid]
        self._outcomes(before, after)
        for i in self.source.used(roots):
            self._copy(i)
        x, y = (self._at(self.root, side) for side in (0, 1))
        everything = sorted({self._at(i, side) for i in roots for side in (0, 1)})
        analysis = Analysis(self.graph, everything, budget=self.budget)
        paths = [self.path]
        if valid is not None:
            learner = Learner(self.graph, analysis.ranges, self.budget)
            for side in (0, 1):
                paths = [q for p in paths for q in learner.learn(self._at(valid, side), True, p)]
        proofs = _Proofs(self.graph, analysis, self.budget)
        return all(
            proofs.ordered(x, y, known, path)
            for path in paths
            if (known := analysis.renewed([x, y], analysis.ranges, path, Path())) is not None
        )

    def _outcomes(self, before: Range, after: Range) -> None:
        """The two outcomes: known values, or two numbers of which one is no less."""
        is_bool, pair = self.source.nodes[self.outcome].is_bool, []
        for name, found in (("before", before), ("after", after)):
            if is_bool:
                pair.append(self.graph.truth(bool(found.lo), (0, 0)))
            elif found.lo == found.hi:
                pair.append(self.graph.const(found.lo, (0, 0)))
            else:
                pair.append(self._leaf(name, found))
        for copy, node in zip(self.copies, pair, strict=True):
            copy[self.outcome] = node
        if not is_bool:
            self.path = Path(below=frozenset({(pair[0], pair[1], False)}))

    def _leaf(self, name: str, found: Range) -> int:
        return self.graph.add("param", (), (0, 0), Param(name, found.lo, found.lo, found.hi))

    def _at(self, i: int, side: int) -> int:
        found = self.copies[side].get(i)
        return self.shared[i] if found is None else found

    def _copy(self, i: int) -> None:
        if i == self.outcome:
            return
        op, args, payload, _, _ = self.source.nodes[i]
        if self.copies[0].keys().isdisjoint(args):
            pairs = tuple(self.shared[a] for a in args)
            self.shared[i] = self.graph.add(op, pairs, self.source.places[i], payload)
        elif op in GROUP:
            self._group(i)
        else:
            for side, copy in enumerate(self.copies):
                copy[i] = self._simplest(op, tuple(self._at(a, side) for a in args), i)

    def _group(self, i: int) -> None:
        """A statistic that the rollout's own outcome moves: another number, so much away."""
        low, high = self.moved.low[i], self.moved.high[i]
        # Only the condition under which the reward applies may see it.
        change = self.moved.change.get(i, ranges.sub(high, low))
        first = self._leaf(f"group {i}", low)
        self.copies[0][i] = self.copies[1][i] = first
        if change != STILL:
            step = self._leaf(f"change {i}", change)
            held = self.graph.add("add", (first, step), (0, 0))
            for bound, op in ((high.lo, "max"), (high.hi, "min")):
                held = self.graph.add(op, (held, self.graph.const(bound, (0, 0))), (0, 0))
            self.copies[1][i] = held

    def _simplest(self, op: str, args: tuple[int, ...], i: int) -> int:
        """The node for an operation on what the outcome made of its arguments."""
        graph = self.graph
        values = [self._constant(a) for a in args]
        if OPERATIONS[op].kind == "scalar" and None not in values:
            value = scalars.OPS[op](*values)
            if OPERATIONS[op].truth or (op == "select" and graph.nodes[args[1]].is_bool):
                return graph.truth(bool(value), (0, 0))
            if math.isfinite(value):
                return graph.const(value, (0, 0))
        found = self._neutral(op, args, values, i)
        return graph.add(op, args, self.source.places[i], self.source.nodes[i].payload) if (
            found is None
        ) else found  # fmt: skip

    def _constant(self, i: int) -> float | None:
        node = self.graph.nodes[i]
        if isinstance(node.payload, float):
            return node.payload
        below = [self.graph.nodes[a].payload for a in node.args]
        if node.op == "lt" and all(isinstance(v, float) for v in below):
            return float(below[0] < below[1])  # type: ignore[operator]
        return None

    def _neutral(
        self, op: str, args: tuple[int, ...], values: list[float | None], i: int
    ) -> int | None:
        """x + 0, 1 * x, 0 * x and conditions of which one side is known, as values."""
        nodes = self.graph.nodes
        if op == "select" and values[0] is not None:
            return args[1] if values[0] else args[2]
        for value, other in (
            (values[k], args[1 - k]) for k in range(len(args) if len(args) == 2 else 0)
        ):
            if value is None:
                continue
            if nodes[other].is_list != self.source.nodes[i].is_list:
                continue
            if op in ("and", "or"):
                return (
                    other if bool(value) == (op == "and") else self.graph.truth(op == "or", (0, 0))
                )
            if op == "mul" and value == 0 and self._finite(i):
                return self.graph.const(0.0, (0, 0))
            if (op, value) in (("add", 0.0), ("mul", 1.0)):
                return other
        if len(args) == 2 and (op, values[1]) in (("sub", 0.0), ("div", 1.0)):
            return args[0] if nodes[args[0]].is_list == self.source.nodes[i].is_list else None
        return None

    def _finite(self, i: int) -> bool:
        """Whether the operation's arguments are finite, before and after."""
        args = self.source.nodes[i].args
        return all(r.finite for a in args for r in (self.moved.low[a], self.moved.high[a]))


class _Proofs:
    """Proves that one node is never more than another."""

    def __init__(self, graph: Graph, analysis: Analysis, budget: Budget) -> None:
        self.graph, self.analysis, self.budget = graph, analysis, budget

    def ordered(
        self, x: int, y: int, known: Mapping[int, Range], path: Path, cases: int = _CASES
    ) -> bool:
        """Whether x <= y on this path, up to rounding."""
        if self.budget.left <= 0:
            return False
        relations = Relations(self.graph, known, path, self.budget, rough=True)
        # No share of wide bounds: the rewards compared may be small.
        slack = -_ROUNDING * min(1.0, *(max(abs(v) for v in known[i][:2]) for i in (x, y)))
        if relations.rise(x, y) >= slack:
            return True
        if Polynomials(relations).least_rise(x, y) >= slack:
            return True
        if cases == 0:
            return False
        for ways in self.analysis.splits([x, y], known, replace(path, splits=0)):
            # The first condition that is open; another order of cases proves the same.
            return all(
                self.ordered(x, y, inside, way, cases - 1)
                for way in ways
                if (inside := self.analysis.renewed([x, y], known, way, path)) is not None
            )
        return False
