"""How the reward moves when the outcome rises and every other input stays: bounds on the change.

For each node the pass keeps its range before (`low`), its range after (`high`) and the range of
`after - before`. It is an interval derivative that also holds for steps and conditions.
"""

from __future__ import annotations

import math
from functools import reduce

from derl_dsl.graph import ranges
from derl_dsl.graph.ir import Graph
from derl_dsl.graph.ops import GROUP, OPERATIONS
from derl_dsl.graph.ranges import UNIT, Range
from derl_dsl.prove.analyse import Analysis, Facts
from derl_dsl.prove.path import Budget

STILL = Range(0.0, 0.0)


class Differences:
    """Bounds on `reward(outcome = after) - reward(outcome = before)` for before < after."""

    def __init__(
        self,
        graph: Graph,
        root: int,
        outcome: int,
        before: Range,
        after: Range,
        facts: Facts | None = None,
        given: int | None = None,
        plain: Analysis | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.graph = graph
        # A list whose steps are fixed has some.
        filled = frozenset(i for i in facts or {} if graph.nodes[i].is_list)
        self.low = Analysis(
            graph, [root], {**(facts or {}), outcome: before}, given, plain, budget, filled
        )
        self.high = (
            self.low
            if after == before
            else Analysis(
                graph, [root], {**(facts or {}), outcome: after}, given, plain, budget, filled
            )
        )
        self.change: dict[int, Range] = {}
        for i in graph.used([root]):
            if i == outcome:
                self.change[i] = Range(max(0.0, after.lo - before.hi), after.hi - before.lo)
            else:
                self.change[i] = self._node(i)
        self.result = self.change[root]

    def _node(self, i: int) -> Range:
        node = self.graph.nodes[i]
        moved = [self.change[a] for a in node.args]
        if moved.count(STILL) == len(moved):
            return STILL
        bound = ranges.sub(self.high[i], self.low[i])
        if node.op in GROUP and self._moves_others(node.args):
            return bound
        found = self._rule(node.op, node.args, moved)
        if found is None or found.nan or math.isnan(found.lo) or math.isnan(found.hi):
            return bound
        return found.meet(bound.lo, bound.hi) if not bound.nan else found

    def _moves_others(self, args: tuple[int, ...]) -> bool:
        """Whether a group function inside moves: then the values of all rollouts do, not one's."""
        inside = self.graph.used(args)
        return any(self.graph.nodes[i].op in GROUP and self.change[i] != STILL for i in inside)

    def _rule(self, op: str, args: tuple[int, ...], moved: list[Range]) -> Range | None:
        match op:
            case "add":
                return ranges.add(*moved)
            case "sub":
                return ranges.sub(*moved)
            case "neg" | "not":
                return ranges.neg(moved[0])
            case "mul":
                return self._product(args, moved)
            case "div":
                return self._quotient(args, moved)
            case "min" | "max" | "and" | "or":
                return Range(min(m.lo for m in moved), max(m.hi for m in moved))
            case "lt" | "le":
                return self._comparison(ranges.sub(moved[1], moved[0]))
            case "abs":
                return self._absolute(args[0], moved[0])
            case "select":
                return self._select(args, moved)
            case "guard":
                return self._guard(args, moved)
            case "third" | "part":
                return moved[0]
            case "list_sum":
                return ranges.list_sum(moved[0])
            case "list_count":
                return STILL
            case "group_rank" | "group_std" if moved[1] == STILL:
                return self._spread(op, moved[0])
            case _ if OPERATIONS[op].among and all(m == STILL for m in moved[1:]):
                # An empty list, or a group of others, does not move at all.
                return ranges.hull(moved[0], STILL)
            case _ if OPERATIONS[op].rising:
                return self._rising(op, moved[0])
        return None

    def _product(self, args: tuple[int, ...], moved: list[Range]) -> Range:
        """x'y' - xy = x' dy + y dx = y' dx + x dy."""
        (x, y), (dx, dy) = args, moved
        one = ranges.add(ranges.mul(self.high[x], dy), ranges.mul(self.low[y], dx))
        two = ranges.add(ranges.mul(self.high[y], dx), ranges.mul(self.low[x], dy))
        return one.meet(two.lo, two.hi) if not (one.nan or two.nan) else one

    def _quotient(self, args: tuple[int, ...], moved: list[Range]) -> Range:
        """x'/y' - x/y = dx / y' - x dy / (y y')."""
        (x, y), (dx, dy) = args, moved
        first = ranges.div(dx, self.high[y])
        if dy == STILL:
            return first
        below = ranges.mul(self.low[y], self.high[y])
        return ranges.sub(first, ranges.div(ranges.mul(self.low[x], dy), below))

    def _comparison(self, gap: Range) -> Range | None:
        if gap.lo >= 0:
            return Range(0.0, 1.0)
        return Range(-1.0, 0.0) if gap.hi <= 0 else None

    def _absolute(self, x: int, dx: Range) -> Range:
        if self.low[x].lo >= 0 and self.high[x].lo >= 0:
            return dx
        if self.low[x].hi <= 0 and self.high[x].hi <= 0:
            return ranges.neg(dx)
        far = max(abs(dx.lo), abs(dx.hi))
        return Range(-far, far)

    def _rising(self, op: str, dx: Range) -> Range | None:
        if op == "num":
            return dx
        if dx.lo >= 0:
            return Range(0.0, math.inf)
        return Range(-math.inf, 0.0) if dx.hi <= 0 else None

    def _select(self, args: tuple[int, ...], moved: list[Range]) -> Range | None:
        """Which branches can be taken before and after, and the change for each such pair."""
        (test, then, other), (dc, da, db) = args, moved
        low, high = self.low[test], self.high[test]
        found: list[Range] = []
        if low.hi and high.hi and dc.hi >= 0 >= dc.lo:
            found.append(da)
        if not (low.lo or high.lo) and dc.hi >= 0 >= dc.lo:
            found.append(db)
        if dc.hi > 0 and not low.lo and high.hi:
            found.append(ranges.sub(self.high[then], self.low[other]))
        if dc.lo < 0 and low.hi and not high.lo:
            found.append(ranges.sub(self.high[other], self.low[then]))
        return reduce(ranges.hull, found) if found else None

    def _spread(self, op: str, dx: Range) -> Range | None:
        """The rank of a rollout rises with its own x; the deviation moves by no more than x."""
        if op == "group_rank":
            if dx.lo >= 0:
                return UNIT
            return Range(-1.0, 0.0) if dx.hi <= 0 else None
        far = max(abs(dx.lo), abs(dx.hi))
        return Range(-far, far)

    def _guard(self, args: tuple[int, ...], moved: list[Range]) -> Range | None:
        x = args[0]
        return moved[0] if self.low[x].finite and self.high[x].finite else None
