"""The least value of a polynomial over a box, by its Bernstein coefficients.

Two expressions are multiplied out into sums of products of atoms (inputs, functions). Over the box
of the atoms' ranges their difference is nowhere below its least Bernstein coefficient, which is the
least value itself where every atom has degree 1. Of two atoms in a known order the larger one is
written as the smaller and what is between them.

Source: J. Garloff, The Bernstein algorithm, Interval Computations 4 (1993).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from derl_dsl.graph.ranges import Range
from derl_dsl.prove.relations import Relations

# Terms of a sum that are multiplied out, and coefficients of a polynomial.
_TERMS, _COEFFICIENTS = 48, 1024
_LARGEST = 1e100

# The atoms of a product in order, by their nodes; negative ones stand for differences.
Monomial = tuple[int, ...]
Terms = dict[Monomial, float]


def plus(one: Terms, two: Terms, factor: float = 1.0) -> Terms:
    """one + factor * two."""
    found = dict(one)
    for m, c in two.items():
        found[m] = found.get(m, 0.0) + factor * c
    return {m: c for m, c in found.items() if c}


def times(one: Terms, two: Terms) -> Terms:
    """Both multiplied out."""
    found: Terms = {}
    for m, c in one.items():
        for n, d in two.items():
            term = tuple(sorted(m + n))
            found[term] = found.get(term, 0.0) + c * d
    return {m: c for m, c in found.items() if c}


class Polynomials:
    """Reads nodes as polynomials, on the path of `relations`."""

    def __init__(self, relations: Relations) -> None:
        self.at = relations
        self.read: dict[int, Terms | None] = {}

    def least_rise(self, x: int, y: int) -> float:
        """A lower bound of y - x, up to rounding; -inf where they are no polynomials."""
        for i in self.at.graph.used([x, y]):
            self.read[i] = self._terms(i)
        one, two = self.read[x], self.read[y]
        if one is None or two is None:
            return -math.inf
        difference = plus(two, one, -1.0)
        box = {a: self.at.known[a] for m in difference for a in m}
        best = least_value(difference, box)
        if best < 0 and self.at.path.below:
            best = max(best, self._by_order(difference, box))
        return best

    def _by_order(self, terms: Terms, box: dict[int, Range]) -> float:
        """The least value with the larger of two ordered atoms as a sum."""
        for a, b, _ in sorted(self.at.path.below):
            small, large = (self._single(i) for i in (a, b))
            if small is None or large is None or large not in box or small == large:
                continue
            low, high = self.at.known[small], self.at.known[large]
            gap = -large - 1
            box = {**box, small: low, gap: Range(max(0.0, high.lo - low.hi), high.hi - low.lo)}
            found: Terms = {}
            for m, c in terms.items():
                term: Terms = {tuple(i for i in m if i != large): c}
                for _ in range(m.count(large)):
                    term = times(term, {(small,): 1.0, (gap,): 1.0})
                found = plus(found, term)
            terms = found
            del box[large]
        return least_value(terms, box)

    def _single(self, node: int) -> int | None:
        """The atom that a node is, if it is one."""
        found = self.read.get(node)
        if found is None or len(found) != 1:
            return None
        ((term, factor),) = found.items()
        return term[0] if len(term) == 1 and factor == 1 else None

    def _terms(self, i: int) -> Terms | None:
        settled = self.at.settled(i)
        if settled != i:
            return self.read.get(settled) or self._terms(settled)
        op, args, payload, _, is_list = self.at.graph.nodes[i]
        if isinstance(payload, float):
            return {(): payload} if payload else {}
        below = [self.read.get(a) for a in args]
        found = None
        if None not in below and not is_list:
            found = self._operation(op, below)  # type: ignore[arg-type]
        if found is not None and len(found) <= _TERMS:
            return found
        known = self.at.known[i]
        fine = known.finite and max(-known.lo, known.hi) < _LARGEST
        if fine and known.lo == known.hi:
            return {(): known.lo} if known.lo else {}
        return {(i,): 1.0} if fine else None

    def _operation(self, op: str, below: list[Terms]) -> Terms | None:
        match op:
            case "add":
                return plus(below[0], below[1])
            case "sub":
                return plus(below[0], below[1], -1.0)
            case "neg":
                return plus({}, below[0], -1.0)
            case "mul" if len(below[0]) * len(below[1]) <= _TERMS:
                return times(*below)
            case "div" if below[1].keys() == {()}:
                return plus({}, below[0], 1 / below[1][()])
        return None


def least_value(terms: Terms, box: Mapping[int, Range]) -> float:
    """A lower bound of a polynomial over the ranges of its atoms."""
    atoms = sorted({a for m in terms for a in m})
    degrees = [max(m.count(a) for m in terms) for a in atoms]
    if math.prod(d + 1 for d in degrees) > _COEFFICIENTS:
        return -math.inf
    found = {tuple(m.count(a) for a in atoms): c for m, c in terms.items()}
    for k, (atom, degree) in enumerate(zip(atoms, degrees, strict=True)):
        found = _along(found, k, degree, box[atom])
    return min(found.values(), default=0.0)


def _along(found: dict[Monomial, float], k: int, degree: int, box: Range) -> dict[Monomial, float]:
    """The coefficients along one atom, from powers to Bernstein polynomials over its range."""
    rows: dict[Monomial, list[float]] = {}
    for powers, c in found.items():
        row = rows.setdefault((*powers[:k], *powers[k + 1 :]), [0.0] * (degree + 1))
        row[powers[k]] = c
    result = {}
    for rest, row in rows.items():
        for j, value in enumerate(_bernstein(row, degree, box)):
            result[(*rest[:k], j, *rest[k:])] = value
    return result


def _bernstein(row: list[float], degree: int, box: Range) -> list[float]:
    lo, width = box.lo, box.hi - box.lo
    # sum(c * (lo + width * t) ** i), by powers of t.
    moved = [0.0] * (degree + 1)
    for i, c in enumerate(row):
        for j in range(i + 1):
            moved[j] += c * math.comb(i, j) * lo ** (i - j) * width**j
    return [
        sum(math.comb(j, i) / math.comb(degree, i) * moved[i] for i in range(j + 1))
        for j in range(degree + 1)
    ]
