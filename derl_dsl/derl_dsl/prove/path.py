"""What conditions say of the nodes they name: the facts of one path through a program.

A condition is taken apart into paths, one for each way in which it can hold: `a > 0 or b > 0` is
two, `abs(k) > 1` too, `k != 0` is `k < 0` and `k > 0`. On a path some nodes lie in narrower ranges
(`facts`), some are known to be no larger than others (`below`), some lists are known to have steps
(`filled`). What is known of a node is handed down to its arguments as far as float64 allows:
`n - 1 > 0` says `n > 1` exactly, for a difference is never rounded to 0; other ends are moved
outwards by the rounding.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import field, replace
from functools import reduce

from derl_dsl.graph import ranges
from derl_dsl.graph.ir import Graph
from derl_dsl.graph.leaves import steps_of
from derl_dsl.graph.ops import REDUCTIONS
from derl_dsl.graph.ranges import MOST_STEPS, Range
from derl_dsl.prove.least import TINY, least, rounded_in
from derl_grammar.records import record

INF = math.inf
# A condition with more ways to hold says nothing.
_WAYS = 8
# How far a fact is handed down, and how much is read inside each other in all.
_DEPTH, _NESTED = 8, 24
_SLACK = 4e-16
# Below this size a product may lose digits, or all.
_SUBNORMAL = 1e-290
NO, YES = Range(0.0, 0.0), Range(1.0, 1.0)


class Budget:
    """The work that proofs of one program may still do, in nodes looked at."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left


@record
class Path:
    """What is known on one path.

    `below` holds (a, b, strict) for a <= b, or a < b; `step` says that facts are of one step of a
    list, so that they do not hold for its other steps; `splits` how many cases led here.
    """

    facts: Mapping[int, Range] = field(default_factory=dict)
    below: frozenset[tuple[int, int, bool]] = frozenset()
    filled: frozenset[int] = frozenset()
    step: bool = False
    splits: int = 0

    def news(self, before: Path, graph: Graph) -> set[int]:
        """The nodes of which this path knows more than the one before it."""
        found = {i for i, fact in self.facts.items() if before.facts.get(i) != fact}
        for a, b, _ in self.below - before.below:
            found |= {i for i in (a, b) if graph.nodes[i].op != "const"}
        return found


class Learner:
    """Reads conditions; `known` are ranges that hold on every path it is given."""

    def __init__(self, graph: Graph, known: Mapping[int, Range], budget: Budget) -> None:
        self.graph, self.known, self.budget = graph, known, budget
        self.level = 0

    def bounds(self, node: int, path: Path) -> Range:
        """What is known of a node on a path."""
        found = path.facts.get(node)
        return self.known.get(node, ranges.ANY) if found is None else found

    def learn(self, test: int, truth: bool, path: Path) -> list[Path]:
        """The paths on which `test` has this truth; none when it cannot."""
        known = self.bounds(test, path)
        if not known.nan and known.lo == known.hi and bool(known.lo) != truth:
            return []
        if self.level >= _NESTED or self.budget.left <= 0:
            return [path]
        self.level += 1
        found = self._ways(test, truth, path)
        self.level -= 1
        return found if len(found) <= _WAYS else [path]

    def _ways(self, test: int, truth: bool, path: Path) -> list[Path]:
        op, args, _, _, _ = self.graph.nodes[test]
        path = self._with(path, test, YES if truth else NO)
        match op:
            case "not":
                return self.learn(args[0], not truth, path)
            case "and" | "or":
                if (op == "and") == truth:
                    return [q for p in self.learn(args[0], truth, path)
                            for q in self.learn(args[1], truth, p)]  # fmt: skip
                return self.learn(args[0], truth, path) + self.learn(args[1], truth, path)
            case "select":
                return [q for choice, branch in ((True, args[1]), (False, args[2]))
                        for p in self.learn(args[0], choice, path)
                        for q in self.learn(branch, truth, p)]  # fmt: skip
            case "lt" | "le" | "eq" | "ne":
                return self._compared(op, args[0], args[1], truth, path)
            case "list_any" if truth:
                return [self._any(args[0], path)]
            case "list_all" if not truth:
                return [self._filled(args[0], path)]
        return [path]

    def _compared(self, op: str, a: int, b: int, truth: bool, path: Path) -> list[Path]:
        if truth != (op != "ne") and (self.bounds(a, path).nan or self.bounds(b, path).nan):
            # A comparison with NaN is false, and says nothing then.
            return [path]
        if op in ("eq", "ne"):
            if truth != (op == "eq"):
                return self.less(a, b, True, path) + self.less(b, a, True, path)
            return [q for p in self.less(a, b, False, path) for q in self.less(b, a, False, p)]
        if not truth:
            a, b = b, a
        return self.less(a, b, (op == "lt") == truth, path)

    def less(self, a: int, b: int, strict: bool, path: Path) -> list[Path]:
        """a < b, or a <= b: cuts a from above and b from below."""
        top, bottom = self.bounds(b, path).hi, self.bounds(a, path).lo
        if strict:
            top, bottom = math.nextafter(top, -INF), math.nextafter(bottom, INF)
        path = replace(path, below=path.below | {(a, b, strict)})
        return [q for p in self.pull(a, -INF, top, path) for q in self.pull(b, bottom, INF, p)]

    def _with(self, path: Path, node: int, found: Range) -> Path:
        return replace(path, facts={**path.facts, node: found})

    def _filled(self, node: int, path: Path) -> Path:
        return replace(path, filled=path.filled | {steps_of(self.graph, node)})

    def _any(self, condition: int, path: Path) -> Path:
        """Some step holds: there is one, and counting them gives 1 or more."""
        path = self._filled(condition, path)
        counted = self.graph.find("num", (condition,))
        total = None if counted is None else self.graph.find("list_sum", (counted,))
        return path if total is None else self._with(path, total, Range(1.0, MOST_STEPS))

    def pull(self, node: int, lo: float, hi: float, path: Path, depth: int = _DEPTH) -> list[Path]:
        """The node lies in [lo, hi]; so do its arguments in what that leaves them."""
        known = self.bounds(node, path)
        self.budget.left -= 1
        lo, hi = (-INF if math.isnan(lo) else lo), (INF if math.isnan(hi) else hi)
        lo, hi = rounded_in(self.graph, node, max(lo, known.lo), min(hi, known.hi))
        if lo > 0 or hi < 0:
            near = least(self.graph, node, self.known)
            lo, hi = (max(lo, near), hi) if lo > 0 else (lo, min(hi, -near))
        if lo > hi:
            return [path] if known.nan else []
        spent = depth == 0 or self.budget.left <= 0 or self.level >= _NESTED
        if (lo, hi) == (known.lo, known.hi) or spent:
            return [path]
        self.level += 1
        paths = self._handed_down(node, Range(lo, hi, known.nan), path, depth)
        self.level -= 1
        return paths

    def _handed_down(self, node: int, found: Range, path: Path, depth: int) -> list[Path]:
        lo, hi, _ = found
        path = self._with(path, node, found)
        paths = self._arguments(node, lo, hi, path, depth - 1)
        for a, b, _ in sorted(path.below):
            if node == a:
                paths = [q for p in paths for q in self.pull(b, lo, INF, p, depth - 1)]
            elif node == b:
                paths = [q for p in paths for q in self.pull(a, -INF, hi, p, depth - 1)]
        return paths if len(paths) <= _WAYS else [path]

    def _arguments(self, node: int, lo: float, hi: float, path: Path, depth: int) -> list[Path]:
        op, args, _, _, _ = self.graph.nodes[node]
        if op in REDUCTIONS:
            return [self._filled(args[0], path) if lo > 0 or hi < 0 else path]
        match op:
            case "num" if lo == hi:
                return self.learn(args[0], bool(lo), path)
            case "neg":
                return self.pull(args[0], -hi, -lo, path, depth)
            case "abs":
                return self._absolute(args[0], lo, hi, path, depth)
            case "max" | "min":
                return self._extreme(op, args, lo, hi, path, depth)
            case "select":
                return self._chosen(args, lo, hi, path, depth)
            case "add" | "sub":
                return self._sum(op, args, lo, hi, path, depth)
            case "mul":
                return self._product(args, lo, hi, path, depth)
            case "div":
                return self._quotient(args, lo, path, depth)
            case "sqrt" if lo > 0:
                return self.pull(args[0], TINY, INF, path, depth)
            case "floor":
                below = hi if math.isinf(hi) else math.nextafter(hi + 1, -INF)
                return self.pull(args[0], lo, below, path, depth)
        return [path]

    def _absolute(self, x: int, lo: float, hi: float, path: Path, depth: int) -> list[Path]:
        if lo <= 0:
            return self.pull(x, -hi, hi, path, depth)
        return self.pull(x, lo, hi, path, depth) + self.pull(x, -hi, -lo, path, depth)

    def _extreme(
        self, op: str, args: tuple[int, ...], lo: float, hi: float, path: Path, depth: int
    ) -> list[Path]:
        """A maximum bounds both from above, and one of them from below."""
        up = op == "max"
        both, one = ((-INF, hi), (lo, INF)) if up else ((lo, INF), (-INF, hi))
        paths = [path]
        for a in args:
            paths = [q for p in paths for q in self.pull(a, *both, p, depth)]
        known = [self.bounds(a, path) for a in args]
        if any(r.lo >= lo for r in known) if up else any(r.hi <= hi for r in known):
            return paths
        return [q for p in paths for a in args for q in self.pull(a, *one, p, depth)]

    def _chosen(
        self, args: tuple[int, ...], lo: float, hi: float, path: Path, depth: int
    ) -> list[Path]:
        """The branch whose values do not reach [lo, hi] was not taken."""
        for k, truth in ((1, False), (2, True)):
            found = self.bounds(args[k], path)
            if not found.nan and (found.lo > hi or found.hi < lo):
                return [q for p in self.learn(args[0], truth, path)
                        for q in self.pull(args[3 - k], lo, hi, p, depth)]  # fmt: skip
        return [path]

    def _sum(
        self, op: str, args: tuple[int, ...], lo: float, hi: float, path: Path, depth: int
    ) -> list[Path]:
        a, b = args
        if op == "sub" and (lo >= 0 or hi <= 0):
            # The sign of a difference is exact.
            pair = (b, a, lo > 0) if lo >= 0 else (a, b, hi < 0)
            paths = self.less(*pair, path)
        else:
            paths = [path]
        for x, y in ((a, b), (b, a)):
            found = self.bounds(y, path)
            if op == "add":
                ends = (_under(lo, -found.hi), _over(hi, -found.lo))
            elif x == a:
                ends = (_under(lo, found.lo), _over(hi, found.hi))
            else:
                ends = (_under(-hi, found.lo), _over(-lo, found.hi))
            paths = [q for p in paths for q in self.pull(x, *ends, p, depth)]
        return paths

    def _product(
        self, args: tuple[int, ...], lo: float, hi: float, path: Path, depth: int
    ) -> list[Path]:
        """Only what is above 0 is handed down: both factors are, and no smaller than they must."""
        known = [self.bounds(a, path) for a in args]
        if lo <= 0 or any(r.lo < 0 for r in known):
            return [path]
        paths = [path]
        for a, other in ((args[0], known[1]), (args[1], known[0])):
            bound = lo / other.hi * (1 - _SLACK) if lo > _SUBNORMAL and other.hi > 0 else TINY
            paths = [q for p in paths for q in self.pull(a, max(bound, TINY), INF, p, depth)]
        return paths

    def _quotient(self, args: tuple[int, ...], lo: float, path: Path, depth: int) -> list[Path]:
        above, below = (self.bounds(a, path) for a in args)
        if lo <= 0 or above.lo < 0 or below.lo <= 0:
            return [path]
        bound = lo * below.lo * (1 - _SLACK) if min(lo, below.lo) > 1e-140 else TINY
        return self.pull(args[0], max(bound, TINY), INF, path, depth)


def _under(x: float, y: float) -> float:
    """A bound just below x + y, with room for the rounding of a sum that is x."""
    return x + y - _room(x, y)


def _over(x: float, y: float) -> float:
    """A bound just above x + y."""
    return x + y + _room(x, y)


def _room(x: float, y: float) -> float:
    return 0.0 if y == 0 or math.isinf(x) or math.isinf(y) else _SLACK * (abs(x) + abs(y))


def hull(found: list[Range]) -> Range:
    """The smallest range that holds all."""
    return reduce(ranges.hull, found)
