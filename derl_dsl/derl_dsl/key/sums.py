"""Sums of products of atoms with exact coefficients: what a reward is read as."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from fractions import Fraction

from derl_grammar.records import record

_LONGEST = 160

# The atoms of a product, in order.
Monomial = tuple[str, ...]


@record
class Sum:
    """Products of atoms with coefficients; the empty one is the constant.

    `peak` is the largest number met on the way, atoms counting 1; `about` is what the sum varies by
    where more is known of it than its terms say (a clipped number).
    """

    terms: dict[Monomial, Fraction]
    peak: float
    about: float = 0.0

    @property
    def constant(self) -> Fraction | None:
        """The value of a sum without atoms."""
        if not self.terms:
            return Fraction(0)
        return self.terms.get(()) if len(self.terms) == 1 else None

    def times(self, factor: Fraction) -> Sum:
        """The sum multiplied."""
        if not factor:
            return Sum({}, 0.0)
        terms = {t: c * factor for t, c in self.terms.items()}
        size = size_of(factor)
        return Sum(terms, self.peak * size, self.about * size)

    def plus(self, other: Sum) -> Sum:
        """Both together; what cancels goes."""
        terms = dict(self.terms)
        for term, c in other.terms.items():
            terms[term] = terms.get(term, Fraction(0)) + c
        terms = {t: c for t, c in terms.items() if c}
        return Sum(terms, max(self.peak, other.peak), max(self.about, other.about))

    def by(self, other: Sum, tidy: Callable[[Monomial], Monomial]) -> Sum:
        """Both multiplied out; `tidy` puts a product in order and drops what has no effect."""
        terms: dict[Monomial, Fraction] = {}
        for m, c in self.terms.items():
            for n, d in other.terms.items():
                term = tidy(m + n)
                terms[term] = terms.get(term, Fraction(0)) + c * d
        terms = {t: c for t, c in terms.items() if c}
        about = max(self.about * size_of(other.scale()), other.about * size_of(self.scale()))
        return Sum(terms, self.peak * other.peak, about)

    def text(self) -> str:
        """The sum in one order of its terms."""
        if list(self.terms.values()) == [1] and len(min(self.terms)) == 1:
            return min(self.terms)[0]
        parts = [f"{c}*{'*'.join(t)}" for t, c in sorted(self.terms.items())]
        return "(" + " + ".join(parts) + ")"

    def first(self) -> Fraction:
        """The first coefficient, that of the constant coming last."""
        if not self.terms:
            return Fraction(1)
        return self.terms[min(self.terms, key=lambda t: (not t, t))]

    def scale(self) -> Fraction:
        """The size of the first coefficient."""
        return abs(self.first())


def size_of(value: Fraction) -> float:
    """The size of a coefficient as a float64."""
    try:
        return abs(float(value))
    except OverflowError:
        return math.inf


def constant(value: Fraction) -> Sum:
    """A number."""
    return Sum({(): value} if value else {}, size_of(value))


def one(text: str) -> Sum:
    """One atom."""
    return Sum({(text,): Fraction(1)}, 1.0)


def short(text: str) -> str:
    """The text, or a digest of a long one."""
    return text if len(text) <= _LONGEST else "#" + hashlib.sha256(text.encode()).hexdigest()
