"""Proofs about a graph: finite, bounded, constant, monotone in the outcome, margin, vetoes."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from derl_grammar.diagnostics import Code, Report
from derl_primitives.primitive import Primitive
from derl_runtime.sources import Apply

from derl_dsl import codes, points
from derl_dsl.analyse import Analysis, domain, input_range
from derl_dsl.certificate import Certificate
from derl_dsl.differences import Differences
from derl_dsl.ir import Graph, Input
from derl_dsl.ranges import Range

# Programs over finite domains with at most this many combinations are proven by enumeration.
CORNERS = 1024
_SAMPLES = 48
# A veto leaves less than this share of the outcome's effect (the 1e-6 shift of derl-math is none).
_VETO_SHARE = 1e-3
_COST = {"constant": 1, "scan": 100, "parse": 1000, "process": 10000}
_ROUNDED = frozenset({"exp", "log", "tanh", "sigmoid", "cos", "pow"})


@dataclass(slots=True)
class Points:
    """Input combinations with the values of all nodes; `exact` when they are all there are."""

    inputs: list[int]
    rows: list[tuple[float, ...]]
    values: dict[int, list[float]]
    exact: bool


def _sources(graph: Graph, inputs: list[int]) -> list[Input]:
    found = []
    for i in inputs:
        payload = graph.nodes[i].payload
        assert payload is not None
        assert not isinstance(payload, float)
        found.append(payload)
    return found


def _sampled(source: Input, rng: random.Random) -> float:
    values = domain(source)
    if values is not None:
        return rng.choice(values)
    lo, hi, _ = input_range(source)
    near = [v for v in (lo, hi, 0.0, 1.0, 0.5) if lo <= v <= hi]
    wide = hi - lo > 1e6
    spread = rng.uniform(max(lo, -1e3), min(hi, 1e3)) if wide else rng.uniform(lo, hi)
    return rng.choice([*near, min(max(spread, lo), hi)])


def _rows(sources: list[Input]) -> tuple[list[tuple[float, ...]], bool]:
    """All combinations of finite domains, or a fixed sample of the inputs' ranges."""
    domains = [domain(s) for s in sources]
    finite = [d for d in domains if d is not None]
    if len(finite) == len(domains) and math.prod(len(d) for d in finite) <= CORNERS:
        return list(itertools.product(*finite)), True
    rng = random.Random(0)
    return [tuple(_sampled(s, rng) for s in sources) for _ in range(_SAMPLES)], False


def _evaluate(graph: Graph, root: int, inputs: list[int]) -> Points:
    rows, exact = _rows(_sources(graph, inputs))
    columns = {i: [row[k] for row in rows] for k, i in enumerate(inputs)}
    values = points.evaluate(graph, [root], columns, len(rows))
    # A comparison with NaN has no meaning; enumeration does not vouch for it.
    compared = {
        a
        for i in values
        if graph.nodes[i].op in ("lt", "le", "eq", "ne")
        for a in graph.nodes[i].args
    }
    exact = exact and not any(math.isnan(v) for i in compared for v in values[i])
    return Points(inputs, rows, values, exact)


class Prover:
    """Proves what it can about `root`; reports what is wrong at the place that causes it."""

    def __init__(self, graph: Graph, root: int, outcome: int | None, report: Report) -> None:
        self.graph, self.root, self.outcome, self.report = graph, root, outcome, report
        self.used = graph.used([root])
        self.inputs = [i for i in self.used if graph.nodes[i].op == "input"]
        self.points = _evaluate(graph, root, self.inputs)
        self.analysis = None if self.points.exact else Analysis(graph, [root])

    def certificate(self) -> Certificate:
        """Runs all proofs."""
        found = self._range()
        finite = found.finite
        constant = finite and self._constant(found)
        monotone = self._monotone() if finite else None
        if constant:
            message = f"the reward is always {found.lo:.6g}"
            self.report.add(codes.CONSTANT, self._place(), message, "equal rewards teach nothing")
        elif finite:
            self._report_outcome(monotone)
        return Certificate(
            finite=finite,
            lo=found.lo,
            hi=found.hi,
            constant=constant,
            outcome_monotone=monotone,
            margin=self._margin() if finite else None,
            vetoes=self._vetoes() if finite and not constant else (),
            cost=self._cost(),
            exact=self.points.exact,
        )

    def _place(self) -> tuple[int, int]:
        return self.graph.places[self.root]

    # Finite and bounded

    def _range(self) -> Range:
        if self.analysis is not None:
            found = self.analysis[self.root]
            if not found.finite:
                self._report_interval_culprits()
            return found
        values = self.points.values[self.root]
        bad = [k for k, v in enumerate(values) if not math.isfinite(v)]
        if bad:
            self._report_exact_culprits(bad)
            fine = [v for v in values if not math.isnan(v)]
            nan = len(fine) < len(values)
            return Range(min(fine, default=-math.inf), max(fine, default=math.inf), nan)
        lo, hi = min(values), max(values)
        if any(self.graph.nodes[i].op in _ROUNDED for i in self.used):
            slack = 1e-12 * max(abs(lo), abs(hi))
            return Range(lo - slack, hi + slack)
        return Range(lo, hi)

    def _report_exact_culprits(self, bad: list[int]) -> None:
        """The operations that first turn finite numbers into NaN or infinity."""
        values = self.points.values
        for i in self.used:
            args = self.graph.nodes[i].args
            for k in bad:
                if math.isfinite(values[i][k]) or not all(
                    math.isfinite(values[a][k]) for a in args
                ):
                    continue
                row = self.points.rows[k]
                example = ", ".join(
                    f"{s} = {v:.9g}"
                    for s, v in zip(_sources(self.graph, self.inputs), row, strict=True)
                )
                self._report_culprit(i, f"for example at {example}")
                break

    def _report_interval_culprits(self) -> None:
        assert self.analysis is not None
        stack, seen = [self.root], set()
        while stack:
            i = stack.pop()
            if i in seen or self.analysis[i].finite:
                continue
            seen.add(i)
            node = self.graph.nodes[i]
            args = node.args[1:] if node.op in ("guard", "select") else node.args
            below = [a for a in args if not self.analysis[a].finite]
            if node.op == "select" and self.analysis[node.args[0]].nan:
                below.append(node.args[0])
            if below:
                stack.extend(below)
            else:
                self._report_culprit(i)

    def _report_culprit(self, i: int, example: str | None = None) -> None:
        node = self.graph.nodes[i]
        code, message, hint = self._explain(i, node.op, node.args)
        more = (example,) if example else ()
        self.report.add(code, self.graph.places[i], message, hint, *more)

    def _explain(self, i: int, op: str, args: tuple[int, ...]) -> tuple[Code, str, str]:
        ranges = [self._shown(a) for a in args]
        guarded = "give it a default: guard(…, 0)"
        if op in ("div", "mod") and self._holds_zero(args[1]):
            what = "this division" if op == "div" else "this remainder"
            message = f"{what} can divide by zero: the divisor lies in {ranges[1]}"
            return codes.DIVISION, message, guarded + ", or keep the divisor away from 0"
        if op in ("log", "sqrt", "pow", "cos", "tanh"):
            shown = " and ".join(ranges)
            message = f"{op} is not defined, or infinite, on all of its arguments: {shown}"
            return codes.DOMAIN, message, guarded + ", or max(…, a bound)"
        message = f"this can overflow: its arguments lie in {' and '.join(ranges)}"
        return codes.OVERFLOW, message, "hold it with clip(…), or declare the inputs' ranges"

    def _bounds(self, i: int) -> Range:
        if self.analysis is not None:
            return self.analysis[i]
        values = [v for v in self.points.values[i] if not math.isnan(v)]
        return Range(min(values, default=-math.inf), max(values, default=math.inf))

    def _holds_zero(self, i: int) -> bool:
        bounds = self._bounds(i)
        return bounds.lo <= 0 <= bounds.hi

    def _shown(self, i: int) -> str:
        bounds = self._bounds(i)
        return f"[{bounds.lo:.6g}, {bounds.hi:.6g}]"

    # Constant

    def _constant(self, found: Range) -> bool:
        if self.points.exact:
            return len(set(self.points.values[self.root])) == 1
        return found.lo == found.hi

    # The outcome

    def _outcome_domain(self) -> tuple[float, ...] | None:
        assert self.outcome is not None
        return domain(_sources(self.graph, [self.outcome])[0])

    def _uses_outcome(self) -> bool:
        return self.outcome is not None and self.outcome in self.inputs

    def _pairs(self) -> Iterator[tuple[float, float]]:
        """Rewards before and after the outcome rises, all other inputs equal."""
        assert self.outcome is not None
        at = self.inputs.index(self.outcome)
        groups: dict[tuple[float, ...], list[tuple[float, float]]] = {}
        for row, value in zip(self.points.rows, self.points.values[self.root], strict=True):
            rest = row[:at] + row[at + 1 :]
            groups.setdefault(rest, []).append((row[at], value))
        for members in groups.values():
            ordered = [value for _, value in sorted(members)]
            yield from itertools.pairwise(ordered)

    def _monotone(self) -> bool | None:
        if self.outcome is None:
            return None
        if not self._uses_outcome():
            return True
        if self.points.exact:
            return all(before <= after for before, after in self._pairs())
        change = self._change()
        if change.lo >= 0:
            return True
        return False if change.hi < 0 or self._falls_at_a_sample() else None

    def _change(self, facts: dict[int, Range] | None = None) -> Range:
        """Bounds on the change of the reward from every lower to every higher outcome."""
        assert self.outcome is not None
        values = self._outcome_domain()
        if values is not None and len(values) == 2:
            before, after = (Range(v, v) for v in values)
        else:
            before = after = input_range(_sources(self.graph, [self.outcome])[0])
        return Differences(self.graph, self.root, self.outcome, before, after, facts).result

    def _falls_at_a_sample(self) -> bool:
        """Whether raising the outcome alone lowers the reward at one of the sampled points."""
        assert self.outcome is not None
        at = self.inputs.index(self.outcome)
        source = _sources(self.graph, [self.outcome])[0]
        bounds = input_range(source)
        values = domain(source) or (bounds.lo, (bounds.lo + bounds.hi) / 2, bounds.hi)
        rows = [(*row[:at], v, *row[at + 1 :]) for row in self.points.rows for v in values]
        columns = {i: [row[k] for row in rows] for k, i in enumerate(self.inputs)}
        found = points.evaluate(self.graph, [self.root], columns, len(rows))[self.root]
        steps = len(values)
        return any(
            found[k] > found[k + 1]
            for start in range(0, len(found), steps)
            for k in range(start, start + steps - 1)
        )

    def _report_outcome(self, monotone: bool | None) -> None:
        if self.outcome is None:
            return
        name = str(_sources(self.graph, [self.outcome])[0])
        if not self._uses_outcome():
            message = f"the reward does not depend on the outcome {name}"
            self.report.add(codes.IGNORED, self._place(), message, f"add {name}")
        elif monotone is False:
            message = f"the reward can fall when the outcome {name} rises"
            self.report.add(codes.INVERTED, self._place(), message, "check the signs of its terms")

    def _margin(self) -> float | None:
        if self.outcome is None:
            return None
        values = self._outcome_domain()
        if not self._uses_outcome():
            found = self._range()
            return found.lo - found.hi
        if self.points.exact:
            at = self.inputs.index(self.outcome)
            top = max(row[at] for row in self.points.rows)
            scored = list(zip(self.points.rows, self.points.values[self.root], strict=True))
            right = [v for row, v in scored if row[at] == top]
            wrong = [v for row, v in scored if row[at] < top]
            return min(right) - max(wrong)
        if values is None:
            return None
        right_range = self._given(values[-1], values[-1])
        wrong_range = self._given(values[0], values[-2])
        return right_range.lo - wrong_range.hi

    def _given(self, lo: float, hi: float) -> Range:
        assert self.outcome is not None
        return Analysis(self.graph, [self.root], {self.outcome: Range(lo, hi)})[self.root]

    def _vetoes(self) -> tuple[str, ...]:
        """Inputs that, at one of their values, leave nothing of the outcome's effect."""
        if not self._uses_outcome():
            return ()
        others = [i for i in self.inputs if i != self.outcome]
        found = self._exact_vetoes(others) if self.points.exact else self._interval_vetoes(others)
        return tuple(str(_sources(self.graph, [i])[0]) for i in found)

    def _exact_vetoes(self, others: list[int]) -> list[int]:
        assert self.outcome is not None
        at = self.inputs.index(self.outcome)
        effects: dict[tuple[float, ...], list[float]] = {}
        for row, value in zip(self.points.rows, self.points.values[self.root], strict=True):
            effects.setdefault((*row[:at], math.nan, *row[at + 1 :]), []).append(value)
        gaps = [(key, max(v) - min(v)) for key, v in effects.items()]
        largest = max(gap for _, gap in gaps)
        found = []
        for i in others:
            k = self.inputs.index(i)
            by_value: dict[float, float] = {}
            for key, gap in gaps:
                by_value[key[k]] = max(by_value.get(key[k], 0.0), gap)
            if min(by_value.values()) <= _VETO_SHARE * largest:
                found.append(i)
        return found

    def _interval_vetoes(self, others: list[int]) -> list[int]:
        whole = self._change()
        largest = max(abs(whole.lo), abs(whole.hi))
        found = []
        for i in others:
            bounds = input_range(_sources(self.graph, [i])[0])
            for end in {bounds.lo, bounds.hi}:
                change = self._change({i: Range(end, end)})
                if max(abs(change.lo), abs(change.hi)) <= _VETO_SHARE * largest:
                    found.append(i)
                    break
        return found

    def _cost(self) -> int:
        """Operations per rollout; each primitive counts by its cost class, once."""
        total = 0
        seen: set[Apply] = set()
        stack: list[object] = list(_sources(self.graph, self.inputs))
        while stack:
            source = stack.pop()
            if isinstance(source, Apply) and source not in seen:
                seen.add(source)
                stack.extend(source.args)
                primitive = source.primitive
                total += _COST[primitive.cost] if isinstance(primitive, Primitive) else 100
        return total + sum(self.graph.nodes[i].op not in ("const", "input") for i in self.used)
