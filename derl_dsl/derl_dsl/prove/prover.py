"""Proofs about a graph: finite, bounded, constant, monotone in the outcome, margin, vetoes."""

from __future__ import annotations

import math
from functools import cached_property, partial
from itertools import pairwise
from typing import Any

from derl_dsl.graph.ir import Graph
from derl_dsl.graph.leaves import domain, input_range, source_range
from derl_dsl.graph.ops import GROUP, LEAVES, OPERATIONS
from derl_dsl.graph.ranges import Range
from derl_dsl.graph.shared import shared_nodes
from derl_dsl.prove import codes
from derl_dsl.prove.analyse import Analysis, Facts
from derl_dsl.prove.bounds import bound_of
from derl_dsl.prove.certificate import Certificate
from derl_dsl.prove.culprits import Culprits
from derl_dsl.prove.differences import Differences
from derl_dsl.prove.groups import sampled_groups
from derl_dsl.prove.path import Budget
from derl_dsl.prove.rising import Rising
from derl_dsl.prove.witness import at_rows, leaf_name, witness
from derl_grammar.diagnostics import Report
from derl_primitives.primitive import Primitive
from derl_runtime.sources import Apply

# The work of all proofs of one reward, in nodes looked at; beyond it they are not decided.
_WORK = 20_000
# A veto leaves less than this share of the outcome's effect (the 1e-6 shift of derl-math is none).
_VETO_SHARE = 1e-3
# At how many sampled points it is looked for what the outcome moves.
_VETO_ROWS = 6
_COST = {"constant": 1, "scan": 100, "parse": 1000, "process": 10000}


class Prover:
    """Proves what it can about the reward; reports what is wrong at the place that causes it."""

    def __init__(self, graph: Graph, outcome: int | None, report: Report) -> None:
        self.graph, self.outcome, self.report = graph, outcome, report
        self.root = graph.outputs["reward"]
        self.valid = graph.valids.get("reward")
        self.used = graph.used([self.root])
        self.inputs = [i for i in self.used if graph.nodes[i].op in ("input", "valid")]
        self.budget = Budget(_WORK)
        self.points = witness(graph, self.root, self.valid)
        self.analysis = (
            None
            if self.points.exact
            else Analysis(graph, [self.root], given=self.valid, budget=self.budget)
        )
        self.range = self._range()

    def certificate(self) -> Certificate:
        """Runs all proofs."""
        found = self.range
        finite = found.finite
        constant = finite and self._constant()
        monotone = self._monotone() if finite else None
        place = self.graph.places[self.root]
        if not finite:
            Culprits(self.graph, self.root, self.points, self.analysis, self.report).report_all()
        elif constant:
            message = f"the reward is always {found.lo:.6g}"
            self.report.add(codes.CONSTANT, place, message, "equal rewards teach nothing")
        elif self._shared():
            message = "the reward is the same for all rollouts of a group"
            hint = "GRPO takes the group's mean off: add what tells its rollouts apart"
            self.report.add(codes.CONSTANT, place, message, hint)
        else:
            self._report_outcome(monotone)
        vetoes, undecided = self._vetoes() if finite and not constant else ((), ())
        return Certificate(
            finite=finite,
            lo=found.lo,
            hi=found.hi,
            constant=constant,
            outcome_monotone=monotone,
            margin=self._margin() if finite else None,
            vetoes=vetoes,
            undecided_vetoes=undecided,
            cost=self._cost(),
            exact=self.points.exact,
            bound=bound_of(self.graph),
        )

    # Finite, bounded, constant

    def _range(self) -> Range:
        if self.analysis is not None:
            return self.analysis[self.root]
        values = self.points.values[self.root]
        fine = [v for v in values if not math.isnan(v)]
        lo, hi = min(fine, default=0.0), max(fine, default=0.0)
        if any(OPERATIONS[self.graph.nodes[i].op].last_bit for i in self.used):
            slack = 1e-12 * max(abs(lo), abs(hi))
            lo, hi = lo - slack, hi + slack
        return Range(lo, hi, len(fine) < len(values))

    def _shared(self) -> bool:
        """Whether all rollouts of a group get one reward, and no step of theirs another."""
        return self.graph.steps is None and self.root in shared_nodes(self.graph, self.root)

    def _constant(self) -> bool:
        if self.points.exact:
            return len(set(self.points.values[self.root])) <= 1
        return self.range.lo == self.range.hi

    # The outcome

    def _uses_outcome(self) -> bool:
        return self.outcome is not None and self.outcome in self.inputs

    def _outcome_values(self) -> tuple[float, ...] | None:
        assert self.outcome is not None
        return domain(self.graph.source(self.outcome))

    def _place_of_outcome(self) -> int | None:
        """Where the outcome stands in the witness rows; None when only group functions see it."""
        leaves = self.points.leaves
        return leaves.index(self.outcome) if self.outcome in leaves else None

    def _monotone(self) -> bool | None:
        if self.outcome is None:
            return None
        if not self._uses_outcome():
            return True
        if self.points.exact:
            return all(along == sorted(along) for along in self._rising)
        change = self._whole_change
        if change.lo >= 0:
            return True
        if change.hi < 0 or self._falls_at_a_sample():
            return False
        return True if self._rises() else None

    def _rises(self) -> bool:
        """Whether each step of the outcome is proven to leave the reward or raise it."""
        assert self.outcome is not None
        values = self._outcome_values()
        if values is None:
            steps = [(input_range(self.graph.source(self.outcome)),) * 2]
        else:
            steps = [(Range(u, u), Range(v, v)) for u, v in pairwise(values)]
        return all(
            Rising(self.differences(self.outcome, *step), self.root, self.outcome, self.budget)
            .holds(*step, self.valid)
            for step in steps
        )  # fmt: skip

    @cached_property
    def _effect(self) -> bool:
        """Whether the outcome changes anything; not when the reward only names it."""
        if not self._uses_outcome():
            return False
        if self.points.exact and self._place_of_outcome() is not None:
            return any(self._gaps)
        change = self._whole_change
        return change.lo != 0 or change.hi != 0

    @cached_property
    def _rising(self) -> list[list[float]]:
        """The rewards as the outcome rises, once for each combination of the other inputs."""
        assert self.outcome is not None
        scores = self.points.values[self.root]
        return [[scores[k] for k in line] for line in self.points.lines(self.outcome)]

    @cached_property
    def _gaps(self) -> list[float]:
        """How far the outcome moves the reward, for each combination of the other inputs."""
        return [max(along) - min(along) for along in self._rising]

    def _change(self, facts: Facts | None = None) -> Range:
        """Bounds on the change of the reward from every lower to every higher outcome."""
        assert self.outcome is not None
        values = self._outcome_values()
        if values is not None and len(values) == 2:
            before, after = (Range(v, v) for v in values)
        else:
            before = after = input_range(self.graph.source(self.outcome))
        return self.differences(self.outcome, before, after, facts).result

    def differences(
        self, source: int, before: Range, after: Range, facts: Facts | None = None
    ) -> Differences:
        """Bounds on the reward's change when one input rises, from the analysis at hand."""
        return Differences(
            self.graph, self.root, source, before, after, facts, self.valid, self.analysis,
            self.budget,
        )  # fmt: skip

    @cached_property
    def _whole_change(self) -> Range:
        return self._change()

    def _falls_at_a_sample(self) -> bool:
        """Whether raising the outcome alone lowers the reward at one of the sampled points."""
        assert self.outcome is not None
        at = self._place_of_outcome()
        groups = [i for i in self.points.leaves if self.graph.nodes[i].op in GROUP]
        # A group function that sees the outcome moves with it: sampling proves nothing then. So
        # too when the outcome decides whether the reward applies at all.
        behind = groups if self.valid is None else [*groups, self.valid]
        if at is None or self.outcome in self.graph.used(behind):
            return False
        bounds = input_range(self.graph.source(self.outcome))
        values = self._outcome_values() or (bounds.lo, (bounds.lo + bounds.hi) / 2, bounds.hi)
        points = self.points.rows
        if groups:
            # Free group functions are of no group that there can be.
            points = sampled_groups(self.graph, self.root, self.valid, self.points.leaves)
        rows = [(*row[:at], v, *row[at + 1 :]) for row in points for v in values]
        found = at_rows(self.graph, [self.root], self.points.leaves, rows)[self.root]
        steps = len(values)
        return any(
            found[k] > found[k + 1]
            for start in range(0, len(found), steps)
            for k in range(start, start + steps - 1)
        )

    def _report_outcome(self, monotone: bool | None) -> None:
        if self.outcome is None:
            return
        name, place = leaf_name(self.graph, self.outcome), self.graph.places[self.root]
        if not self._effect:
            message = f"the reward does not depend on the outcome {name}"
            self.report.add(codes.IGNORED, place, message, f"add {name}")
        elif monotone is False:
            message = f"the reward can fall when the outcome {name} rises"
            self.report.add(codes.INVERTED, place, message, "check the signs of its terms")

    def _margin(self) -> float | None:
        if self.outcome is None:
            return None
        values = self._outcome_values()
        if not self._uses_outcome():
            return self.range.lo - self.range.hi
        at = self._place_of_outcome()
        if self.points.exact and at is not None:
            scores, outcomes = self.points.values[self.root], self.points.values[self.outcome]
            top = max(outcomes, default=0.0)
            right = [v for v, outcome in zip(scores, outcomes, strict=True) if outcome == top]
            wrong = [v for v, outcome in zip(scores, outcomes, strict=True) if outcome < top]
            return min(right) - max(wrong) if right and wrong else None
        if values is None:
            return None
        return self._given(values[-1], values[-1]).lo - self._given(values[0], values[-2]).hi

    def _given(self, lo: float, hi: float) -> Range:
        assert self.outcome is not None
        facts = {self.outcome: Range(lo, hi)}
        return Analysis(self.graph, [self.root], facts, self.valid, self.analysis, self.budget)[
            self.root
        ]

    def _vetoes(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Inputs that, at one of their values, leave nothing of the outcome's effect.

        And those of which it is neither proven nor refuted by a sampled point.
        """
        if not self._effect:
            return (), ()
        exact = self.points.exact and self._place_of_outcome() is not None
        found, undecided = (self._exact_vetoes(), []) if exact else self._interval_vetoes()
        names = partial(leaf_name, self.graph)
        return tuple(map(names, found)), tuple(map(names, undecided))

    def _exact_vetoes(self) -> list[int]:
        assert self.outcome is not None
        least = _VETO_SHARE * max(self._gaps)
        if min(self._gaps) > least:
            return []
        rows = [self.points.rows[line[0]] for line in self.points.lines(self.outcome)]
        live = [row for row, gap in zip(rows, self._gaps, strict=True) if gap > least]
        return [
            i
            for k, i in enumerate(self.points.leaves)
            if i != self.outcome and {row[k] for row in rows} > {row[k] for row in live}
        ]

    def _interval_vetoes(self) -> tuple[list[int], list[int]]:
        """Inputs, lists and statistics at whose ends the outcome is proven to move nothing.

        What the outcome moves elsewhere is what it moved at a sampled point; without one, only an
        end at which it moves nothing at all counts. Second, those with an end that is not decided.
        """
        assert self.outcome is not None
        ends = [(i, end) for i in self._held() for end in self._ends(i)]
        moved, live = self._moved(ends)
        found: dict[int, None] = {}
        undecided: dict[int, None] = {}
        for i, end in ends:
            if i in found or (i, end) in live:
                continue
            change = self._change({i: Range(end, end)})
            proven = max(abs(change.lo), abs(change.hi)) <= _VETO_SHARE * moved
            (found if proven else undecided)[i] = None
        return list(found), [i for i in undecided if i not in found]

    def _held(self) -> list[int]:
        """What may veto: inputs, and statistics that do not see the outcome."""
        nodes = self.graph.nodes
        groups = [i for i in self.points.leaves if nodes[i].op in GROUP]
        blind = [i for i in groups if self.outcome not in self.graph.used([i])]
        return [i for i in self.inputs if i != self.outcome] + blind

    def _ends(self, i: int) -> tuple[float, ...]:
        grouped = self.graph.nodes[i].op in GROUP and self.analysis is not None
        bounds = self.analysis[i] if grouped and self.analysis else source_range(self.graph, i)
        return tuple(dict.fromkeys((bounds.lo, bounds.hi)))

    def _moved(self, ends: list[tuple[int, float]]) -> tuple[float, set[tuple[int, float]]]:
        """The most that the outcome moves at sampled points, and the ends where it moves a lot."""
        leaves, at = self.points.leaves, self._place_of_outcome()
        if at is None or self.outcome is None:
            return 0.0, set()
        values = self._outcome_values()
        bounds = input_range(self.graph.source(self.outcome))
        pair = (values[0], values[-1]) if values else (bounds.lo, bounds.hi)
        base = list(self.points.rows[:_VETO_ROWS])
        cases: list[tuple[int, float] | None] = [None, *(e for e in ends if e[0] in leaves)]
        rows = []
        for case in cases:
            for row in base:
                fixed = row if case is None else self._with_end(row, *case)
                rows += [(*fixed[:at], v, *fixed[at + 1 :]) for v in pair]
        roots = [self.root] if self.valid is None else [self.root, self.valid]
        found = at_rows(self.graph, roots, leaves, rows)
        scores = found[self.root]
        counted = found[self.valid] if self.valid is not None else [True] * len(scores)
        gaps = [
            abs(scores[k + 1] - scores[k]) if counted[k] and counted[k + 1] else 0.0
            for k in range(0, len(scores), 2)
        ]
        most = max(gaps, default=0.0)
        n = len(base)
        return most, {
            case
            for k, case in enumerate(cases)
            if case is not None and max(gaps[k * n : (k + 1) * n], default=0) > _VETO_SHARE * most
        }

    def _with_end(self, row: tuple[Any, ...], leaf: int, end: float) -> tuple[Any, ...]:
        k = self.points.leaves.index(leaf)
        value: Any = [end] * max(len(row[k]), 1) if self.graph.nodes[leaf].is_list else end
        return (*row[:k], value, *row[k + 1 :])

    def _cost(self) -> int:
        """Operations per rollout; each primitive counts by its cost class, once."""
        nodes = self.graph.nodes
        applied: list[Apply] = []
        stack: list[object] = [nodes[i].payload for i in self.inputs]
        while stack:
            source = stack.pop()
            if isinstance(source, Apply):
                applied.append(source)
                stack.extend(source.args)
        total = len([i for i in self.used if nodes[i].op not in LEAVES])
        for source in set(applied):
            primitive = source.primitive
            total += _COST[primitive.cost] if isinstance(primitive, Primitive) else 100
        return total
