"""Which of two nodes is larger, whatever their values are, and by how much.

Answered from the structure of both nodes, from the orders that conditions state, and from ranges
where nothing else is known. It is about the float64 values that are computed: what follows from
rounding being monotone is exact (x <= fl(x + v) for v >= 0); other bounds leave room for the
rounding of each operation.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from derl_dsl.graph.ir import Graph, Payload
from derl_dsl.graph.ops import GROUP, OPERATIONS, REDUCTIONS, SLICES
from derl_dsl.graph.ranges import Range
from derl_dsl.prove.least import TINY
from derl_dsl.prove.path import Budget, Path

INF = math.inf
DEPTH = 7
# Half a unit in the last place, and a little more.
_ROUND = 1.2e-16
# Of the same values (of no values all are 0): what is no less, and what is no more.
_UP = {"min": ("first", "last", "mean", "max", "sum"), "first": ("max", "sum"),
       "last": ("max", "sum"), "mean": ("max", "sum"), "max": ("sum",)}  # fmt: skip
_DOWN = {"max": ("first", "last", "mean", "min"), "sum": ("max", "first", "last", "mean", "min"),
         "first": ("min",), "last": ("min",), "mean": ("min",)}  # fmt: skip
# Functions whose rounding keeps their order.
_ORDERED = frozenset({"sqrt", "floor", "round", "sign"})


class Orders:
    """Compares nodes on one path; `known` are the ranges there.

    `rough` ones are up to rounding: exp and the like keep an order.
    """

    def __init__(
        self,
        graph: Graph,
        known: Mapping[int, Range],
        path: Path,
        budget: Budget,
        rough: bool = False,
    ) -> None:
        self.graph, self.known, self.path, self.budget = graph, known, path, budget
        self.rough = rough
        self._rises: dict[tuple[int, int], float] = {}

    def rise(self, x: int, y: int, depth: int = DEPTH) -> float:
        """A lower bound of y - x."""
        x, y = self.settled(x), self.settled(y)
        if x == y:
            return 0.0
        low, high = self.known[x], self.known[y]
        if low.nan or high.nan:
            return -INF
        best = _gap(high.lo, low.hi)
        if depth == 0 or best > 0 or self.budget.left <= 0:
            return best
        pair = (x, y)
        if pair not in self._rises:
            self._rises[pair] = best
            self.budget.left -= 1
            self._rises[pair] = max(best, self._risen(x, y, depth - 1))
        return self._rises[pair]

    def settled(self, node: int) -> int:
        """The branch or the extreme that is taken, where this path decides it."""
        while True:
            op, args, _, _, _ = self.graph.nodes[node]
            taken = None
            if op == "select":
                test = self.known[args[0]]
                if not test.nan and test.lo == test.hi:
                    taken = args[1] if test.lo else args[2]
            elif op == "abs" and self.known[args[0]].lo >= 0:
                taken = args[0]
            elif op in ("max", "min") and self.path.below:
                pairs = ((a, (node, a) if op == "max" else (a, node)) for a in args)
                taken = next((a for a, p in pairs if (*p, False) in self.path.below), None)
            if taken is None:
                return node
            node = taken

    def _risen(self, x: int, y: int, depth: int) -> float:
        best = self._both(x, y, depth)
        for above, offset in self.above(x):
            if best > 0:
                break
            best = max(best, _plus(self.rise(above, y, depth), offset))
        for below, offset in self.below(y):
            if best > 0:
                break
            best = max(best, _plus(self.rise(x, below, depth), offset))
        return best

    def above(self, x: int) -> Iterator[tuple[int, float]]:
        """Nodes that x is below, each by at least so much."""
        for a, b, strict in self.path.below:
            if a == x:
                yield b, TINY if strict else 0.0
        op, args, payload, _, is_list = self.graph.nodes[x]
        if is_list:
            # A step is no more than the largest, nor than the sum of steps that are 0 or more.
            yield from self._found("list_max", (x,))
            if self.known[x].lo >= 0:
                yield from self._found("list_sum", (x,))
        if op in REDUCTIONS or op in GROUP:
            yield from self._among(op, args, payload, up=True)
            return
        if len(args) != 2:
            if op == "floor" or (op == "tanh" and self.rough and self.known[args[0]].lo >= 0):
                yield args[0], 0.0
            elif op == "num":
                yield from self._counted("and", args[0])
            elif op == "neg" and self.graph.nodes[args[0]].op == "abs":
                yield self.graph.nodes[args[0]].args[0], 0.0
            return
        a, b = args
        u, v = self.known[a], self.known[b]
        match op:
            case "add":
                yield a, self._offset(x, -v.hi)
                yield b, self._offset(x, -u.hi)
            case "sub":
                yield a, self._offset(x, v.lo)
            case "min":
                yield a, 0.0
                yield b, 0.0
            case "mul":
                if u.lo >= 0 and v.hi <= 1:
                    yield a, 0.0
                if v.lo >= 0 and u.hi <= 1:
                    yield b, 0.0
            case "pow" if self.rough and self._within_one(a) and v.lo >= 1:
                yield a, 0.0
            case "div" if u.lo >= 0 and v.lo >= 1:
                yield a, 0.0

    def below(self, y: int) -> Iterator[tuple[int, float]]:
        """Nodes that y is above, each by at least so much."""
        for a, b, strict in self.path.below:
            if b == y:
                yield a, TINY if strict else 0.0
        op, args, payload, _, is_list = self.graph.nodes[y]
        if is_list:
            yield from self._found("list_min", (y,))
        if op in REDUCTIONS or op in GROUP:
            yield from self._among(op, args, payload, up=False)
            return
        if len(args) != 2:
            if op == "exp" and self.rough:
                yield args[0], 1.0
            elif op == "abs" or (op == "sqrt" and self._within_one(args[0])):
                yield args[0], 0.0
            elif op == "num":
                yield from self._counted("or", args[0])
            return
        a, b = args
        u, v = self.known[a], self.known[b]
        match op:
            case "add":
                yield a, self._offset(y, v.lo)
                yield b, self._offset(y, u.lo)
            case "sub":
                yield a, self._offset(y, -v.hi)
            case "max":
                yield a, 0.0
                yield b, 0.0
            case "mul":
                if u.lo >= 0 and v.lo >= 1:
                    yield a, 0.0
                if v.lo >= 0 and u.lo >= 1:
                    yield b, 0.0
            case "pow" if self.rough and self._within_one(a) and v.lo >= 0 and v.hi <= 1:
                yield a, 0.0
            case "div" if u.lo >= 0 and v.lo > 0 and v.hi <= 1:
                yield a, 0.0

    def _within_one(self, node: int) -> bool:
        found = self.known[node]
        return found.lo >= 0 and found.hi <= 1

    def _offset(self, node: int, offset: float) -> float:
        """What is added, less the rounding of the sum; a sum does not pass what it is made of."""
        moved = offset - _ROUND * size_of(self.known[node])
        return moved if offset < 0 else max(0.0, moved)

    def _counted(self, op: str, condition: int) -> Iterator[tuple[int, float]]:
        """num(a and b) is no more than num(a), num(a or b) no less."""
        at = self.graph.nodes[condition]
        for a in at.args if at.op == op else ():
            counted = self.graph.find("num", (a,))
            if counted is not None and counted in self.known:
                yield counted, 0.0

    def _among(
        self, op: str, args: tuple[int, ...], payload: Payload, up: bool
    ) -> Iterator[tuple[int, float]]:
        """Extremes, means and sums of the same values, and a rollout's own value in its group."""
        kind, _, name = op.partition("_")
        for other in (_UP if up else _DOWN).get(name, ()):
            # A sum is no less than each of its values where none is negative.
            if "sum" not in (name, other) or self.known[args[0]].lo >= 0:
                yield from self._found(f"{kind}_{other}", args)
        if kind == "group":
            member = self.known[args[-1]]
            if name == ("min" if up else "max") and member.lo == 1 and not member.nan:
                yield args[0], 0.0
        elif up and name in ("max", "sum"):
            # Nor is a part of such numbers more than all of them.
            xs = self.graph.nodes[args[0]]
            if xs.op in SLICES and self.known[args[0]].lo >= 0:
                yield from self._found(op, xs.args)

    def _found(self, op: str, args: tuple[int, ...]) -> Iterator[tuple[int, float]]:
        found = self.graph.find(op, args)
        if found is not None and found in self.known:
            yield found, 0.0

    def _both(self, x: int, y: int, depth: int) -> float:
        """The same operation on both sides, and extremes of which every argument counts."""
        one, two = self.graph.nodes[x], self.graph.nodes[y]
        best = -INF
        if one.op == "max":
            best = min(self.rise(a, y, depth) for a in one.args)
        elif one.op == "abs":
            best = self._difference(one.args[0], y, depth)
        if two.op == "min":
            best = max(best, min(self.rise(x, a, depth) for a in two.args))
        elif two.op == "sqrt" and self.rough:
            best = max(best, self._geometric(x, two.args[0], depth))
        if best > 0 or one.op != two.op or one.payload != two.payload or not one.args:
            return best
        return max(best, self._alike(x, y, depth))

    def _difference(self, inside: int, y: int, depth: int) -> float:
        """abs(a - b) of numbers that are 0 or more is no more than the larger one."""
        op, args, _, _, _ = self.graph.nodes[inside]
        if op != "sub" or min(self.known[a].lo for a in args) < 0:
            return -INF
        return min(self.rise(a, y, depth) for a in args)

    def _geometric(self, x: int, inside: int, depth: int) -> float:
        """sqrt(a * b) is no less than the smaller one, up to rounding."""
        op, args, _, _, _ = self.graph.nodes[inside]
        if op != "mul" or min(self.known[a].lo for a in args) < 0:
            return -INF
        return self._kept(min(self.rise(x, a, depth) for a in args))

    def _alike(self, x: int, y: int, depth: int) -> float:
        op, args, _, _, _ = self.graph.nodes[x]
        others = self.graph.nodes[y].args
        if op in ("add", "sub"):
            return self._sums(x, y, depth)
        if op == "neg":
            return self.rise(others[0], args[0], depth)
        if op == "num":
            return 0.0 if self._implies(args[0], others[0]) else -INF
        if op == "group_size":
            everybody = self.known[others[0]].lo == 1 and not self.graph.inputs(others)
            return 0.0 if everybody else -INF
        if self.rough and OPERATIONS[op].rising:
            return self._kept(self.rise(args[0], others[0], depth))
        if op in _ORDERED or (op in REDUCTIONS and OPERATIONS[op].scaling and not self.path.step):
            return self._kept(self.rise(args[0], others[0], depth))
        if op == "mul":
            orders = (others, others[::-1])
            known = [self.known[a] for a in (*args, *others)]
            fine = all(r.lo >= 0 for r in known)
            return max(self._kept(min(self.rise(a, b, depth) for a, b in zip(args, o, strict=True)))
                       for o in orders) if fine else -INF  # fmt: skip
        if op == "div":
            above = [self.known[i] for i in (args[0], others[0])]
            if min(self.known[args[1]].lo, self.known[others[1]].lo) <= 0:
                return -INF
            # The larger the divisor, the smaller a quotient of 0 or more, the larger one below 0.
            positive = min(r.lo for r in above) >= 0
            if not positive and max(r.hi for r in above) > 0:
                return -INF
            divisors = (others[1], args[1]) if positive else (args[1], others[1])
            pairs = ((args[0], others[0]), divisors)
            return self._kept(min(self.rise(*p, depth) for p in pairs))
        return -INF

    def _implies(self, a: int, b: int, depth: int = 4) -> bool:
        one, two = self.graph.nodes[a], self.graph.nodes[b]
        if a == b or depth == 0:
            return a == b
        if two.op == "or" and any(self._implies(a, x, depth - 1) for x in two.args):
            return True
        return one.op == "and" and any(self._implies(x, b, depth - 1) for x in one.args)

    def _kept(self, rise: float) -> float:
        """Rounding keeps an order, though not by how much."""
        return 0.0 if rise >= 0 else -INF

    def _sums(self, x: int, y: int, depth: int) -> float:
        op, (a, b), _, _, _ = self.graph.nodes[x]
        c, d = self.graph.nodes[y].args
        if op == "sub":
            pairs = [(self.rise(a, c, depth), self.rise(d, b, depth))]
        else:
            pairs = [(self.rise(a, c, depth), self.rise(b, d, depth)),
                     (self.rise(a, d, depth), self.rise(b, c, depth))]  # fmt: skip
        lost = _ROUND * (size_of(self.known[x]) + size_of(self.known[y]))
        return max(max(0.0 if min(p) >= 0 else -INF, _plus(*p) - lost) for p in pairs)


def size_of(found: Range) -> float:
    """The largest absolute value."""
    return max(abs(found.lo), abs(found.hi))


def _gap(high: float, low: float) -> float:
    """high - low, rounded down; its sign is exact."""
    gap = high - low
    if math.isnan(gap):
        return -INF
    return gap if abs(gap) < 2e-308 or math.isinf(gap) else math.nextafter(gap, -INF)


def _plus(rise: float, offset: float) -> float:
    total = rise + offset
    if math.isnan(total):
        return -INF
    room = 4e-16 * (abs(rise) + abs(offset)) if rise and offset else 0.0
    return total - room if math.isfinite(room) else total
