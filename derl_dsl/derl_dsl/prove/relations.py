"""How two nodes compare, whatever their values are: their ratios, beside their order.

Intervals forget that `a` is no larger than `max(a, b)`, or than `a + b` where b is 0 or more. Two
questions bring that back:

- `rise(x, y)`: a lower bound of y - x (`orders.py`);
- `ratio(x, y)`: an upper bound of |x| / y where y is above 0.

Ratios count what a product of denormal numbers may round up to: factors above 1 are rounded up to
whole ones, for then a product of a denormal number is exact.
"""

from __future__ import annotations

import math

from derl_dsl.graph import ranges
from derl_dsl.graph.leaves import is_whole, steps_of
from derl_dsl.graph.ops import OPERATIONS, REDUCTIONS
from derl_dsl.graph.ranges import Range
from derl_dsl.prove.linear import Linear
from derl_dsl.prove.orders import DEPTH, Orders, size_of

INF = math.inf
# Room for the rounding of a bound itself.
_MORE = 1 + 4e-16
# Of n rollouts one is half the spread away from the mean, so that the deviation is at least
# spread / (2 sqrt(n)); two thirds of it where its square is a denormal number. The mean lies
# between the extremes: |x - mean| is at most the spread.
_DEVIATIONS = 3.1e3
# How deep a range is refined.
_INSIDE = 3
_REFINED = frozenset({"add", "sub", "mul", "neg", "min", "max", "abs", "sqrt"})


class Relations(Orders):
    """Compares nodes on one path, by their order and their ratio."""

    def ratio(self, x: int, y: int, top: bool = False, depth: int = DEPTH) -> float:
        """An upper bound of |x| / y; of x where y is 0, unless `top` says that it never is."""
        x, y = self.settled(x), self.settled(y)
        size, divisor = size_of(self.known[x]), self.known[y]
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
            size = size_of(self.known[args[0]])
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
        return self._factor(a, size_of(self.known[b]), y, depth)

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
        return _DEVIATIONS if fine and size_of(self.known[args[0]]) < 1e15 else INF

    # Ranges

    def refined(self, node: int, depth: int = _INSIDE) -> Range:
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
        if depth == _INSIDE and op in ("add", "sub") and found.lo <= 0 <= found.hi:
            form = Linear(self.graph, self.known, self.settled).bounds(node)
            found = found.meet(form.lo, form.hi)
        return found

    def quotient(self, args: tuple[int, ...], divisor: Range, found: Range) -> Range:
        """The range of x / y, cut by the ratio of the two where y is above 0.

        Where y may be 0 as well, the quotient is NaN there, and within that ratio elsewhere.
        """
        x, y = args
        if divisor.lo < 0 or divisor.nan or self.known[x].nan:
            return found
        most = self.ratio(x, y, top=True)
        least = 0.0 if self.known[x].lo >= 0 else -most
        hi = min(found.hi, most if self.known[x].hi > 0 else 0.0)
        return Range(max(found.lo, least), hi, divisor.lo == 0)
