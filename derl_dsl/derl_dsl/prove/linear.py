"""Sums of multiples as linear forms: what is left of `2 * b - b` once equal terms have met.

A form is the coefficients of its atoms, a constant, and how far the float64 value may lie from it:
each operation adds half a unit in the last place of its own result, and so does each coefficient.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from derl_dsl.graph.ir import Graph
from derl_dsl.graph.ranges import ANY, Range
from derl_dsl.prove.least import TINY

# Half a unit in the last place, and a little more.
_ROUND = 1.2e-16
_DEPTH, _TERMS, _LARGEST = 6, 12, 1e100


class Form(NamedTuple):
    """Coefficients by atom, a constant, and the largest error of both together."""

    terms: dict[int, float]
    constant: float
    error: float


class Linear:
    """Reads nodes as linear forms, `known` being their ranges and `settled` what they are."""

    def __init__(
        self, graph: Graph, known: Mapping[int, Range], settled: Callable[[int], int]
    ) -> None:
        self.graph, self.known, self.settled = graph, known, settled

    def bounds(self, node: int) -> Range:
        """What the form of a node can be; anything where there is none."""
        form = self._form(node, _DEPTH)
        if form is None or self._weight(form) > _LARGEST:
            return ANY
        lo = hi = form.constant
        for atom, factor in form.terms.items():
            ends = (factor * self.known[atom].lo, factor * self.known[atom].hi)
            lo, hi = lo + min(ends), hi + max(ends)
        room = form.error + 2 * (len(form.terms) + 1) * _ROUND * self._weight(form) + TINY
        return Range(lo - room, hi + room)

    def _weight(self, form: Form) -> float:
        return abs(form.constant) + sum(abs(c) * self._size(a) for a, c in form.terms.items())

    def _size(self, node: int) -> float:
        return max(abs(self.known[node].lo), abs(self.known[node].hi))

    def _form(self, node: int, depth: int) -> Form | None:
        node = self.settled(node)
        op, args, payload, _, _ = self.graph.nodes[node]
        if isinstance(payload, float):
            return Form({}, payload, 0.0)
        if not self.known[node].finite or self._size(node) > _LARGEST:
            return None
        found = self._operation(op, args, depth - 1) if depth else None
        if found is None or len(found.terms) > _TERMS:
            return Form({node: 1.0}, 0.0, 0.0)
        rounding = _ROUND * (self._size(node) + 2 * self._weight(found)) + TINY
        return found._replace(error=found.error + rounding)

    def _operation(self, op: str, args: tuple[int, ...], depth: int) -> Form | None:
        match op:
            case "neg":
                return self._scaled(self._form(args[0], depth), -1.0)
            case "add" | "sub":
                one, two = (self._form(a, depth) for a in args)
                return self._sum(one, two if op == "add" else self._scaled(two, -1.0))
            case "mul" | "div":
                for factor, other in (args[::-1], args)[: 2 if op == "mul" else 1]:
                    value = self.graph.nodes[factor].payload
                    if isinstance(value, float) and 1e-100 < abs(value) < _LARGEST:
                        form = self._form(other, depth)
                        return self._scaled(form, value, divided=op == "div")
        return None

    def _scaled(self, form: Form | None, by: float, divided: bool = False) -> Form | None:
        if form is None:
            return None
        values = [c / by if divided else c * by for c in (*form.terms.values(), form.constant)]
        error = form.error / abs(by) if divided else form.error * abs(by)
        return Form(dict(zip(form.terms, values, strict=False)), values[-1], error * (1 + 1e-15))

    def _sum(self, one: Form | None, two: Form | None) -> Form | None:
        if one is None or two is None:
            return None
        # What is lost where two coefficients meet is a share of both.
        lost = _ROUND * (self._weight(one) + self._weight(two))
        terms = dict(one.terms)
        for atom, factor in two.terms.items():
            terms[atom] = terms.get(atom, 0.0) + factor
        terms = {atom: factor for atom, factor in terms.items() if factor}
        return Form(terms, one.constant + two.constant, one.error + two.error + lost)
