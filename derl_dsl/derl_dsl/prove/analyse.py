"""Range analysis of a graph: what each node can be, sharpened by the conditions it stands under.

Every node gets an interval from those of its arguments. A branch of a conditional is analysed
again on each path on which its condition holds (`path`). Where an interval leaves an operation
undefined or infinite, its arguments are compared (`relations`), and what still is undecided is told
apart: once with a condition inside true and once false, with each value of a small domain, with
either order of the arguments of a maximum. All of it draws on one budget; when that is spent, plain
intervals stand.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

from derl_dsl.graph import ranges
from derl_dsl.graph.ir import Graph
from derl_dsl.graph.leaves import domain, is_whole, source_range, steps_of
from derl_dsl.graph.ops import GROUP, REDUCTIONS
from derl_dsl.graph.ranges import MOST_ROLLOUTS, Range
from derl_dsl.prove.path import Budget, Learner, Path, hull
from derl_dsl.prove.relations import Relations

# The work of one analysis where no budget is given, in nodes looked at.
_BUDGET = 4000
# How often cases are told apart inside each other, how many are tried, and of how many values.
_SPLITS, _TRIED, _VALUES = 3, 4, 6
# How many branches are analysed inside each other.
_NESTED = 20
# A quotient beyond this is compared with what it is made of.
_LARGE = 100.0

Facts = Mapping[int, Range]


class _Impossible(Exception):
    """No value is left: this path cannot be taken."""


class Analysis:
    """The ranges of all nodes below `roots`.

    `facts` fixes nodes to ranges known from elsewhere; `given` is a condition known to hold.
    `filled` are lists known to have steps. `plain`, an analysis of the same roots without either,
    spares what no fact touches.
    """

    def __init__(
        self,
        graph: Graph,
        roots: list[int],
        facts: Facts | None = None,
        given: int | None = None,
        plain: Analysis | None = None,
        budget: Budget | None = None,
        filled: frozenset[int] = frozenset(),
    ) -> None:
        self.graph = graph
        self.budget = budget or Budget(_BUDGET)
        self.nested = 0
        # Facts are of one rollout; a group function sees the others too, of which nothing is known.
        self.groups: dict[int, Range] = {}
        # The arguments of operations that stayed undefined or infinite, as far as they were known.
        self.open: dict[int, list[Range]] = {}
        path = Path(dict(facts or {}), filled=filled)
        self.ranges: dict[int, Range]
        if plain is not None and facts and given is None:
            self.groups = plain.groups
            try:
                self.ranges = self._renewed(roots, plain.ranges, path, set(facts))
            except _Impossible:
                self.ranges = dict(plain.ranges)
            return
        used = graph.used(roots if given is None else [*roots, given])
        grouped = [i for i in used if graph.nodes[i].op in GROUP]
        if grouped:
            everyone = self._all(grouped, Path())
            self.groups = {i: everyone[i] for i in grouped}
        everything = roots if given is None else [*roots, given]
        try:
            self.ranges = self._all(everything, path)
        except _Impossible:
            self.ranges = self._all(everything, Path())
        if given is not None:
            self.ranges = self._given(everything, given, path)

    def __getitem__(self, node: int) -> Range:
        return self.ranges[node]

    def _all(self, roots: list[int], path: Path) -> dict[int, Range]:
        found: dict[int, Range] = {}
        for i in self.graph.used(roots):
            found[i] = self._node(i, found, path)
        return found

    def _given(self, roots: list[int], given: int, path: Path) -> dict[int, Range]:
        """The ranges where the condition holds; those of everything when it never does."""
        cases = []
        for way in Learner(self.graph, self.ranges, self.budget).learn(given, True, path):
            inside = self.renewed(roots, self.ranges, way, path)
            if inside is not None:
                cases.append(inside)
        if not cases:
            return self.ranges
        return {i: hull([case[i] for case in cases]) for i in self.ranges}

    def _renewed(
        self, roots: list[int], known: Mapping[int, Range], path: Path, touched: set[int]
    ) -> dict[int, Range]:
        """The `known` ranges, made anew where a node is or depends on a touched one."""
        found = dict(known)
        nodes = self.graph.nodes
        for i in self.graph.used(roots):
            args = nodes[i].args
            if path.step and nodes[i].op in REDUCTIONS and i not in path.facts:
                # What is known of one step says nothing of the others.
                continue
            filled = path.filled and nodes[i].op in REDUCTIONS
            if i in touched or filled or not touched.isdisjoint(args):
                touched.add(i)
                found[i] = self._node(i, found, path)
        for i in touched:
            # Conditions speak of nodes outside the branch, too.
            if i in path.facts and i in found:
                fact = path.facts[i]
                found[i] = found[i].meet(fact.lo, fact.hi)
        return found

    def _node(self, i: int, known: dict[int, Range], path: Path) -> Range:
        self.budget.left -= 1
        found = self._compute(i, known, path)
        fact = path.facts.get(i)
        if fact is None:
            return found
        lo, hi = max(found.lo, fact.lo), min(found.hi, fact.hi)
        if lo > hi:
            if found.nan:
                return found
            raise _Impossible
        return Range(lo, hi, found.nan)

    def _compute(self, i: int, known: dict[int, Range], path: Path) -> Range:
        op, args = self.graph.nodes[i][:2]
        if not args:
            return source_range(self.graph, i)
        if i in self.groups:
            return self._own_group(i, op, args, known)
        if op == "select":
            return self._select(args, known, path)
        below = [known[a] for a in args]
        if len(args) == 2 and args[0] == args[1] and op in ("mul", "sub", "div"):
            found = self._same(op, below[0])
        elif op in REDUCTIONS and path.filled and steps_of(self.graph, args[0]) in path.filled:
            found = ranges.FILLED[op](below[0])
        else:
            found = ranges.OPS[op](*below)
        if op == "sub" and found.lo < 0 < found.hi and (path.below or self._among(args)):
            relations = Relations(self.graph, known, path, self.budget)
            found = found.meet(relations.rise(args[1], args[0]), -relations.rise(*args))
        if found.finite and not (op == "div" and max(-found.lo, found.hi) > _LARGE):
            return found
        if self.budget.left <= 0 or not all(r.finite for r in below):
            return found
        return self._rescued(i, op, args, found, known, path)

    def _among(self, args: tuple[int, ...]) -> bool:
        """Whether one of them is of a list or a group, whose values have an order."""
        ops = [self.graph.nodes[a].op for a in args]
        return any(op in GROUP or op in REDUCTIONS for op in ops)

    def _same(self, op: str, a: Range) -> Range:
        """x * x, x - x and x / x."""
        if op == "mul":
            return ranges.square(a)
        if not a.finite or (op == "div" and a.lo <= 0 <= a.hi):
            return ranges.OPS[op](a, a)
        value = 0.0 if op == "sub" else 1.0
        return Range(value, value)

    def _own_group(
        self, i: int, op: str, args: tuple[int, ...], known: Mapping[int, Range]
    ) -> Range:
        """A group function where the rollout itself is one of those it looks at."""
        found, member = self.groups[i], known[args[-1]]
        if member.nan or member.lo != 1:
            return found
        if op == "group_size":
            return Range(1.0, found.hi)
        own = known[args[0]]
        if own.nan or found.nan:
            return found
        match op:
            case "group_max":
                return found.meet(own.lo, math.inf)
            case "group_min":
                return found.meet(-math.inf, own.hi)
            case "group_mean" if found.lo >= 0:
                # A sum of numbers that are 0 or more is no less than each, rounded or not.
                lo, hi = own.lo / MOST_ROLLOUTS, math.inf
                if own.hi == 0 and found.hi <= 1 and is_whole(self.graph, args[0]):
                    hi = (MOST_ROLLOUTS - 1) / MOST_ROLLOUTS
                return found.meet(lo, hi)
        return found

    # Conditionals

    def _select(self, args: tuple[int, ...], known: dict[int, Range], path: Path) -> Range:
        test, then, other = args
        decided = known[test]
        if not decided.nan and decided.lo == decided.hi:
            truth = bool(decided.lo)
            taken = then if truth else other
            return self._branch(taken, test, truth, known, path) or known[taken]
        found = [self._branch(then, test, True, known, path),
                 self._branch(other, test, False, known, path)]  # fmt: skip
        left = [r for r in found if r is not None] or [known[then], known[other]]
        result = hull(left)
        return Range(result.lo, result.hi, result.nan or decided.nan)

    def _branch(
        self, root: int, test: int, truth: bool, known: dict[int, Range], path: Path
    ) -> Range | None:
        """The range of a branch, knowing what its condition says; None when it is never taken."""
        if self.budget.left <= 0 or self.nested >= _NESTED:
            return known[root]
        if self.graph.nodes[test].is_list:
            path = replace(path, step=True)
        cases = []
        self.nested += 1
        for way in Learner(self.graph, known, self.budget).learn(test, truth, path):
            inside = self.renewed([root], known, way, path)
            if inside is not None:
                cases.append(inside[root])
        self.nested -= 1
        return hull(cases) if cases else None

    # What intervals leave open

    def _rescued(
        self, i: int, op: str, args: tuple[int, ...], found: Range, known: dict[int, Range],
        path: Path,
    ) -> Range:  # fmt: skip
        """The range of an operation that intervals cannot bound."""
        relations = Relations(self.graph, known, path, self.budget)
        below = [relations.refined(a) for a in args]
        better = ranges.OPS[op](*below)
        if op == "div":
            better = relations.quotient(args, below[1], better)
        if better.finite or found.finite or path.splits >= _SPLITS:
            return better
        for ways in self.splits([i], known, path):
            told = self._told_apart(i, ways, known, path)
            if told.finite:
                return told
        if path.splits == 0:
            self.open[i] = below
        return better

    def _told_apart(self, i: int, ways: list[Path], known: dict[int, Range], path: Path) -> Range:
        cases = []
        for way in ways:
            deeper = replace(way, splits=path.splits + 1)
            touched = deeper.news(path, self.graph) | {i}
            try:
                cases.append(self._renewed([i], known, deeper, touched)[i])
            except _Impossible:
                continue
            if not cases[-1].finite:
                return cases[-1]
        return hull(cases) if cases else known.get(i, ranges.ANY)

    def splits(
        self, roots: list[int], known: Mapping[int, Range], path: Path
    ) -> Iterator[list[Path]]:
        """The cases that may be told apart inside some nodes, a few of them."""
        tried = 0
        for k in self._inside(roots):
            ways = self._cases(k, roots[0], known, path)
            if len(ways) > 1:
                yield ways
                tried += 1
                if tried == _TRIED:
                    return

    def renewed(
        self, roots: list[int], known: Mapping[int, Range], path: Path, before: Path
    ) -> dict[int, Range] | None:
        """The ranges on a path that knows more than `before`; None when it cannot be taken."""
        relations = Relations(self.graph, known, before, self.budget)
        for a, b, strict in path.below - before.below:
            # What is known to be no less cannot be less.
            fixed = "const" in (self.graph.nodes[a].op, self.graph.nodes[b].op)
            if strict and not fixed and relations.rise(b, a) >= 0:
                return None
        try:
            return self._renewed(roots, known, path, path.news(before, self.graph))
        except _Impossible:
            return None

    def _inside(self, roots: list[int]) -> Iterator[int]:
        """The nodes that others are made of for one rollout: conditions first."""
        nodes = self.graph.nodes
        behind = {
            k for k in self.graph.used(roots) if nodes[k].op in GROUP or nodes[k].op in REDUCTIONS
        }
        cone = self.graph.used(roots, known=behind)
        tests = dict.fromkeys(nodes[k].args[0] for k in cone if nodes[k].op in ("num", "select"))
        yield from tests
        yield from (k for k in cone if k not in tests)

    def _cases(self, k: int, i: int, known: Mapping[int, Range], path: Path) -> list[Path]:
        op, args, _, is_bool, is_list = self.graph.nodes[k]
        if k not in known or (is_list and not self.graph.nodes[i].is_list):
            return []
        learner = Learner(self.graph, known, self.budget)
        if is_list:
            path = replace(path, step=True)
        if is_bool:
            return learner.learn(k, True, path) + learner.learn(k, False, path)
        if op == "input" and not is_list:
            values = domain(self.graph.source(k))
            if values is None or len(values) > _VALUES:
                return []
            return [w for v in values for w in learner.pull(k, v, v, path)]
        if op in ("max", "min"):
            a, b = args
            ways = []
            for x, y in ((a, b), (b, a)):
                # y is the larger one: the maximum is y, the minimum x.
                same = frozenset({(k, y, False)}) if op == "max" else frozenset({(x, k, False)})
                ways += [replace(w, below=w.below | same) for w in learner.less(x, y, False, path)]
            return ways
        if op == "abs":
            x = args[0]
            return learner.pull(x, 0.0, math.inf, path) + learner.pull(x, -math.inf, 0.0, path)
        return []
