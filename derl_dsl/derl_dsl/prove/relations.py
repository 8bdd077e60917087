"""How two nodes compare, whatever their values are: differences and ratios of related numbers.

Intervals forget that `a` is no larger than `max(a, b)`, or than `a + b` where b is 0 or more. Two
questions bring that back, answered from the structure of both nodes, from the orders that
conditions state, and from ranges where nothing else is known:

- `rise(x, y)`: a lower bound of y - x;
- `ratio(x, y)`: an upper bound of |x| / y where y is above 0.

Both are about the float64 values that are computed. What follows from rounding being monotone is
exact (x <= fl(x + v) for v >= 0); other bounds leave room for the rounding of each operation.
Ratios count what a product of denormal numbers may round up to: factors above 1 are rounded up to
whole ones, for then a product of a denormal number is exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from derl_dsl.graph import ranges
from derl_dsl.graph.ir import Graph, Payload
from derl_dsl.graph.leaves import is_whole, steps_of
from derl_dsl.graph.ops import GROUP, OPERATIONS, REDUCTIONS, SLICES
from derl_dsl.graph.ranges import Range
from derl_dsl.prove.least import TINY
from derl_dsl.prove.path import Budget, Path

INF = math.inf
_DEPTH = 7
# Half a unit in the last place, and a little more.
_ROUND = 1.2e-16
_MORE = 1 + 4e-16
# Of n rollouts one is half the spread away from the mean, so that the deviation is at least
# spread / (2 sqrt(n)); two thirds of it where its square is a denormal number. The mean lies
# between the extremes: |x - mean| is at most the spread.
_DEVIATIONS = 3.1e3
# Of the same values (of no values all are 0): what is no less, and what is no more.
_UP = {"min": ("first", "last", "mean", "max", "sum"), "first": ("max", "sum"),
       "last": ("max", "sum"), "mean": ("max", "sum"), "max": ("sum",)}  # fmt: skip
_DOWN = {"max": ("first", "last", "mean", "min"), "sum": ("max", "first", "last", "mean", "min"),
         "first": ("min",), "last": ("min",), "mean": ("min",)}  # fmt: skip
# Functions whose rounding keeps their order.
_ORDERED = frozenset({"sqrt", "floor", "round", "sign"})


class Relations:
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

    # Differences

    def rise(self, x: int, y: int, depth: int = _DEPTH) -> float:
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
        moved = offset - _ROUND * _size(self.known[node])
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
        if two.op == "min":
            best = max(best, min(self.rise(x, a, depth) for a in two.args))
        if best > 0 or one.op != two.op or one.payload != two.payload or not one.args:
            return best
        return max(best, self._alike(x, y, depth))

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
            fine = min(self.known[args[0]].lo, self.known[others[0]].lo) >= 0
            fine = fine and min(self.known[args[1]].lo, self.known[others[1]].lo) > 0
            pairs = ((args[0], others[0]), (others[1], args[1]))
            return self._kept(min(self.rise(*p, depth) for p in pairs)) if fine else -INF
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
        lost = _ROUND * (_size(self.known[x]) + _size(self.known[y]))
        return max(max(0.0 if min(p) >= 0 else -INF, _plus(*p) - lost) for p in pairs)

    # Ratios

    def ratio(self, x: int, y: int, top: bool = False, depth: int = _DEPTH) -> float:
        """An upper bound of |x| / y; of x where y is 0, unless `top` says that it never is."""
        x, y = self.settled(x), self.settled(y)
        size, divisor = _size(self.known[x]), self.known[y]
        if self.known[x].nan or divisor.nan:
            return INF
        if size == 0:
            return 0.0
        best = size / divisor.lo * _MORE if divisor.lo > 0 else INF
        if depth == 0 or self.budget.left <= 0 or best <= 1:
            return best
        self.budget.left -= 1
        if self.known[x].lo >= 0 and self.rise(x, y, depth - 1) >= 0:
            best = min(best, 1.0)
        best = min(best, self._of_numerator(x, y, depth - 1))
        return min(best, self._of_divisor(x, y, top, depth - 1))

    def _of_numerator(self, x: int, y: int, depth: int) -> float:
        op, args, _, _, _ = self.graph.nodes[x]
        if op == "list_sum" and self._counts(args[0], y):
            size = _size(self.known[args[0]])
            exact = size == 1 and is_whole(self.graph, args[0])
            return size if exact else size * (1 + 1e-9)
        if op in REDUCTIONS:
            inside = OPERATIONS[op].among and not self.path.step and not self.graph.nodes[y].is_list
            return self.ratio(args[0], y, depth=depth) if inside else INF
        match op:
            case "neg" | "abs":
                return self.ratio(args[0], y, depth=depth)
            case "mul":
                return min(self._times(a, b, y, depth) for a, b in (args, args[::-1]))
            case "div":
                least = min(abs(self.known[args[1]].lo), abs(self.known[args[1]].hi))
                apart = self.known[args[1]].lo * self.known[args[1]].hi > 0 and least > 1e-300
                return self._factor(args[0], 1 / least * _MORE, y, depth) if apart else INF
            case "add" | "sub" | "min" | "max" | "select":
                return self._several(op, args, y, depth)
        return INF

    def _counts(self, xs: int, y: int) -> bool:
        """Whether y is the number of steps of this list."""
        op, args, _, _, _ = self.graph.nodes[y]
        return op == "list_count" and steps_of(self.graph, args[0]) == steps_of(self.graph, xs)

    def _times(self, a: int, b: int, y: int, depth: int) -> float:
        return self._factor(a, _size(self.known[b]), y, depth)

    def _factor(self, a: int, factor: float, y: int, depth: int) -> float:
        """The ratio of a product; a factor above 1 counts as the next whole number."""
        if factor > 1e15:
            return INF
        found = self.ratio(a, y, depth=depth)
        whole = math.ceil(factor)
        # A power of two scales without rounding.
        return found if factor <= 1 else found * whole * (1 if whole & (whole - 1) == 0 else _MORE)

    def _several(self, op: str, args: tuple[int, ...], y: int, depth: int) -> float:
        below = args[1:] if op == "select" else args
        found = [self.ratio(a, y, depth=depth) for a in below]
        positive = all(self.known[a].lo >= 0 for a in below)
        if op == "min" and positive:
            return min(found)
        if op == "add" or (op == "sub" and not positive):
            return sum(found) * _MORE
        return max(found)

    def _of_divisor(self, x: int, y: int, top: bool, depth: int) -> float:
        op, args, _, _, _ = self.graph.nodes[y]
        best = INF
        if op == "abs" and (x == args[0] or self._mirrored(x, args[0])):
            return 1.0
        if op in ("min", "select"):
            below = args[1:] if op == "select" else args
            best = max(self.ratio(x, a, depth=depth) for a in below)
        for part, offset in self.below(y):
            if offset >= 0 and self.known[part].lo >= 0:
                best = min(best, self.ratio(x, part, depth=depth))
        return min(best, self._never_zero(x, y, op, args, depth)) if top else best

    def _mirrored(self, x: int, y: int) -> bool:
        one, two = self.graph.nodes[x], self.graph.nodes[y]
        return one.op == two.op == "sub" and one.args == two.args[::-1]

    def _never_zero(self, x: int, y: int, op: str, args: tuple[int, ...], depth: int) -> float:
        """What holds where the divisor did not round to 0."""
        if op == "mul":
            for a, b in (args, args[::-1]):
                factor = self.known[b]
                if 1e-300 < factor.lo < 1 and self.known[a].lo >= 0:
                    # y = a * b rounds by half of the smallest number, or half of itself.
                    return self.ratio(x, a, True, depth) * 1.5 / factor.lo * _MORE
        if op == "div" and self.known[args[0]].lo >= 0 and self.known[args[1]].lo >= 1:
            size = self.known[args[1]].hi
            return self.ratio(x, args[0], True, depth) * 1.5 * size * _MORE if size < 1e300 else INF
        if op == "sqrt":
            square = self.graph.find("mul", (x, x))
            if square is not None and square in self.known:
                # x * x rounds to 0 below 1.6e-162, and a root is 2.2e-162 at least.
                return 1.3 if self.rise(square, args[0], depth) >= 0 else INF
        if op == "group_std":
            return self._deviations(x, args)
        return INF

    def _deviations(self, x: int, args: tuple[int, ...]) -> float:
        """A rollout's distance from the mean of its group, in deviations."""
        at, member = self.graph.nodes[x], self.known[args[1]]
        if at.op != "sub" or member.lo != 1 or member.nan:
            return INF
        mean = self.graph.find("group_mean", args)
        fine = mean is not None and set(at.args) == {args[0], mean}
        return _DEVIATIONS if fine and _size(self.known[args[0]]) < 1e15 else INF

    # Ranges

    def refined(self, node: int, depth: int = 3) -> Range:
        """The range of a node, its differences compared rather than subtracted."""
        op, args, _, _, _ = self.graph.nodes[node]
        found = self.known[node]
        if depth == 0 or not args or found.nan or op not in _REFINED:
            return found
        parts = [self.refined(a, depth - 1) for a in args]
        inside = ranges.OPS[op](*parts)
        if not inside.nan:
            found = found.meet(inside.lo, inside.hi)
        if op == "sub":
            a, b = args
            found = found.meet(self.rise(b, a), -self.rise(a, b))
        return found

    def quotient(self, args: tuple[int, ...], divisor: Range, found: Range) -> Range:
        """The range of x / y, cut by the ratio of the two where y is above 0."""
        x, y = args
        if divisor.lo <= 0 or divisor.nan or self.known[x].nan:
            return found
        most = self.ratio(x, y, top=True)
        least = 0.0 if self.known[x].lo >= 0 else -most
        return Range(max(found.lo, least), min(found.hi, most if self.known[x].hi > 0 else 0.0))


_REFINED = frozenset({"add", "sub", "mul", "neg", "min", "max", "abs", "sqrt"})


def _size(found: Range) -> float:
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
