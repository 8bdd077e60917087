"""A reward's structure, as a text that is the same for all its positive affine changes.

GRPO takes the group's mean off and divides by its deviation, so `a * R + b` with a > 0 trains as R
does. Rewards over few input values are compared by their values (`key/exact.py`); the others by
the text made here. Two rewards with one text train alike; two with different texts may do so too.

The graph is lowered first, which joins what is bit-identical. Then every node is read twice:

    exact   the node as it stands, arguments that commute in one order
    sums    the node as a sum of products of atoms with exact coefficients

An atom is the text of whatever arithmetic does not open: an input, `exp(…)`, a comparison. `0.5 *
(a + b) - a / 2` is the sum {b: 1/2}. Coefficients are fractions of the numbers as they are
written, a tenth being 1/10 and not the float next to it. At the root, what all rollouts of a group
share goes (constants, group statistics), and the rest is divided by the size of its first
coefficient: that text is the key. `scale` is never negative, so a reward and its opposite keep
apart.

Opening a sum is right only where rounding cannot show. float64 loses the digits that cancel:
`(1e16 + a) - 1e16` is no `a`. So a sum carries the largest number met on the way (`peak`), and is
kept if that is at most 10,000 times what it varies by (`_fine`); otherwise the node stays an atom.
Below a jump (comparison, rank, floor, remainder, guard) a last bit decides, so nothing there is
opened at all: such a node's text is its exact one. Smooth functions take their arguments opened;
functions that scale (sums, means, deviations) give their factor away.

Every doubt ends in a text of its own and never in a shared one: a reward trained twice costs
minutes, two different rewards taken for one cost the truth of the search.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from fractions import Fraction

from derl_dsl.graph import ranges
from derl_dsl.graph.ir import Graph, Node, Param
from derl_dsl.graph.leaves import domain, source_range
from derl_dsl.graph.ops import GROUP, OPERATIONS
from derl_dsl.graph.ranges import Range
from derl_dsl.key.exact import as_written
from derl_dsl.passes import lower
from derl_runtime.sources import Apply

# The digits of float64 that a sum may lose before it counts as another reward.
_LOSS = 1e4
# Products are multiplied out up to so many terms.
_TERMS = 32
# A divisor this far from 0, beside the numbers that it is made of, passes its rounding on as it is.
_NEAR = 1e-3
_LONGEST = 160


# The atoms of a product, in order.
Monomial = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sum:
    """Products of atoms with coefficients; the empty one is the constant.

    `peak` is the largest number met on the way, atoms counting 1.
    """

    terms: dict[Monomial, Fraction]
    peak: float

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
        return Sum(terms, self.peak * _size(factor))

    def plus(self, other: Sum) -> Sum:
        """Both together; what cancels goes."""
        terms = dict(self.terms)
        for term, c in other.terms.items():
            terms[term] = terms.get(term, Fraction(0)) + c
        terms = {t: c for t, c in terms.items() if c}
        return Sum(terms, max(self.peak, other.peak))

    def by(self, other: Sum, truths: set[str]) -> Sum:
        """Both multiplied out; an atom of `truths` is 0 or 1, its own square."""
        terms: dict[Monomial, Fraction] = {}
        for m, c in self.terms.items():
            for n, d in other.terms.items():
                drop = truths.intersection(m, n)
                term = tuple(sorted([*m, *(t for t in n if t not in drop)]))
                terms[term] = terms.get(term, Fraction(0)) + c * d
        terms = {t: c for t, c in terms.items() if c}
        return Sum(terms, self.peak * other.peak)

    def text(self) -> str:
        """The sum in one order of its terms."""
        if list(self.terms.values()) == [1] and len(min(self.terms)) == 1:
            return min(self.terms)[0]
        parts = [f"{c}*{'*'.join(t)}" for t, c in sorted(self.terms.items())]
        return "(" + " + ".join(parts) + ")"

    def scale(self) -> Fraction:
        """The size of the first coefficient, that of the constant coming last."""
        if not self.terms:
            return Fraction(1)
        return abs(self.terms[min(self.terms, key=lambda t: (not t, t))])


def _size(value: Fraction) -> float:
    try:
        return abs(float(value))
    except OverflowError:
        return math.inf


def _constant(value: Fraction) -> Sum:
    return Sum({(): value} if value else {}, _size(value))


def _one(text: str) -> Sum:
    return Sum({(text,): Fraction(1)}, 1.0)


def label(graph: Graph, i: int) -> str:
    """What an input reads, whatever name a suite gives it; told apart from whether it applies."""
    source = graph.source(i)
    shown = str(source)
    if isinstance(source, Apply) and source.name is not None:
        shown = f"{source.primitive.name}({', '.join(map(str, source.args))})"
    return f"{shown}?" if graph.nodes[i].op == "valid" else shown


def structure(graph: Graph, root: int, valid: int | None) -> str:
    """The reward up to a positive affine change, and the condition under which it applies."""
    alone = Graph(_fixed(graph.nodes), graph.places, {"reward": root})
    if valid is not None:
        alone.valids["reward"] = valid
    lowered = lower(alone, _ranges(alone))
    reader = _Reader(lowered, _ranges(lowered))
    shown = reader.root(lowered.outputs["reward"])
    valid = lowered.valids.get("reward")
    return shown if valid is None else f"{reader.exact[valid]} ? {shown}"


def _fixed(nodes: list[Node]) -> list[Node]:
    """The nodes with the value of each parameter in its place."""
    return [
        Node("const", (), n.payload.value, False) if isinstance(n.payload, Param) else n
        for n in nodes
    ]


def _ranges(graph: Graph) -> dict[int, Range]:
    """The range of every node, whatever the conditions it stands under."""
    found: dict[int, Range] = {}
    for i in graph.used(graph.roots()):
        op, args, _, _, _ = graph.nodes[i]
        if not args:
            found[i] = source_range(graph, i)
        elif op == "select":
            found[i] = ranges.hull(found[args[1]], found[args[2]])
        else:
            found[i] = ranges.OPS[op](*[found[a] for a in args])
    return found


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else "#" + hashlib.sha256(text.encode()).hexdigest()


@dataclass(slots=True)
class _Reader:
    """Reads every node twice: as it is (`exact`), and as a sum of atoms."""

    graph: Graph
    ranges: dict[int, Range]
    exact: list[str] = field(init=False)
    sums: list[Sum] = field(init=False)
    # Atoms with one value for the whole group, and how far those that vary little do.
    shared: set[str] = field(default_factory=set)
    widths: dict[str, float] = field(default_factory=dict)
    sizes: dict[str, float] = field(default_factory=dict)
    # Atoms that are 0 or 1.
    truths: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.exact, self.sums = [], []
        for i, node in enumerate(self.graph.nodes):
            self.exact.append(self._exact(i, node))
            found = self._sum(i, node)
            self.sums.append(found if self._fine(found) else self._atom(i))

    def root(self, i: int) -> str:
        """The outermost sum without what a group shares, its first coefficient 1 or -1."""
        found = self.sums[i]
        constant = found.constant
        if constant is not None and found.peak > _size(constant):
            # Only rounding varies, and GRPO would blow it up.
            return f"rounding of {self.exact[i]}"
        terms = {t: c for t, c in found.terms.items() if not self.shared.issuperset(t)}
        if not terms:
            return "constant"
        alone = Sum(terms, 0.0)
        return alone.times(1 / alone.scale()).text()

    def _exact(self, i: int, node: Node) -> str:
        if node.op in ("input", "valid"):
            return label(self.graph, i)
        args = [self.exact[a] for a in node.args]
        return self._text(node, args)

    def _text(self, node: Node, args: list[str]) -> str:
        if OPERATIONS[node.op].commutes:
            args.sort()
        literal = "" if node.payload is None else f"{node.payload} "
        text = _short(f"{node.op}({literal}{', '.join(args)})")
        grouped = node.op in GROUP and node.op != "group_rank"
        if grouped or (node.args and all(self._shared(a) for a in node.args)):
            self.shared.add(text)
        return text

    def _shared(self, i: int) -> bool:
        return self.graph.nodes[i].op == "const" or self.exact[i] in self.shared

    def _atom(self, i: int) -> Sum:
        text, node = self.exact[i], self.graph.nodes[i]
        self._vary(text, self.ranges[i], 1.0)
        if node.is_bool or (node.op == "input" and domain(self.graph.source(i)) == (0.0, 1.0)):
            self.truths.add(text)
        return _one(text)

    def _vary(self, text: str, found: Range, factor: float) -> None:
        lo, hi = found.lo * factor, found.hi * factor
        if hi - lo < 1:
            self.widths[text] = hi - lo
        if max(-lo, hi) < 1:
            self.sizes[text] = max(-lo, hi)

    def _width(self, term: Monomial) -> float:
        """How far a product varies, its widest factor and the size of the others."""
        sizes = [self.sizes.get(t, 1.0) for t in term]
        return max(
            (
                self.widths.get(t, 1.0) * math.prod(sizes[:k] + sizes[k + 1 :])
                for k, t in enumerate(term)
            ),
            default=0.0,
        )

    def _fine(self, found: Sum) -> bool:
        """Whether rounding on the way is far below what the sum is about."""
        if found.constant is not None:
            # It matters beside what it is added to, or multiplied by.
            return True
        spread = max(_size(c) * self._width(t) for t, c in found.terms.items())
        return found.peak <= _LOSS * spread

    def _sum(self, i: int, node: Node) -> Sum:
        args = node.args
        match node.op:
            case "const":
                assert isinstance(node.payload, float)
                return _constant(Fraction(*as_written(node.payload)))
            case "input" | "valid":
                return self._atom(i)
            case "num":
                return self.sums[args[0]]
            case "neg":
                return self.sums[args[0]].times(Fraction(-1))
            case "sub" | "div" if args[0] == args[1]:
                return _constant(Fraction(node.op == "div"))
            case "add" | "sub":
                sign = Fraction(1 if node.op == "add" else -1)
                return self.sums[args[0]].plus(self.sums[args[1]].times(sign))
            case "mul":
                return self._product(i, node)
            case "div":
                return self._quotient(i, node)
        return self._function(i, node)

    def _product(self, i: int, node: Node) -> Sum:
        a, b = (self.sums[k] for k in node.args)
        if len(a.terms) * len(b.terms) <= _TERMS:
            return a.by(b, self.truths)
        scale = a.scale() * b.scale()
        return self._named(i, [x.times(1 / x.scale()).text() for x in (a, b)], scale)

    def _quotient(self, i: int, node: Node) -> Sum:
        """The numerator, multiplied out, times one atom for the reciprocal of the divisor."""
        above, below = (self.sums[k] for k in node.args)
        if below.constant:
            factor = 1 / below.constant
            return above.by(
                Sum({(): factor}, below.peak * _size(factor) * _size(factor)), self.truths
            )
        found, text, scale = self.ranges[node.args[1]], self.exact[node.args[1]], Fraction(1)
        # Far from 0, how the divisor was rounded cannot show.
        if max(found.lo, -found.hi) >= _NEAR * below.peak:
            scale = below.scale()
            text = below.times(1 / scale).text()
        text = _short(f"1/{text}")
        if self._shared(node.args[1]):
            self.shared.add(text)
        one = Range(1.0, 1.0)
        inverse, size = ranges.div(one, found), _size(scale)
        peak = max(1.0, abs(inverse.lo), abs(inverse.hi)) if inverse.finite else 1.0
        self._vary(text, inverse, size)
        if peak > 1:
            self.widths[text] = (inverse.hi - inverse.lo) * size
            self.sizes[text] = peak * size
        reciprocal = Sum({(text,): 1 / scale}, peak)
        return above.by(reciprocal, self.truths)

    def _argument(self, i: int) -> str:
        """A number as a sum, unless it is a constant that is what cancellation left."""
        found = self.sums[i]
        constant = found.constant
        lost = constant is not None and found.peak > _LOSS * _size(constant)
        return self.exact[i] if lost else found.text()

    def _function(self, i: int, node: Node) -> Sum:
        if OPERATIONS[node.op].scaling:
            inner = self.sums[node.args[0]]
            scale = inner.scale()
            texts = [inner.times(1 / scale).text(), *(self.exact[a] for a in node.args[1:])]
            return self._named(i, texts, scale)
        if OPERATIONS[node.op].smooth:
            texts = [
                self.exact[a] if self.graph.nodes[a].is_bool else self._argument(a)
                for a in node.args
            ]
            return self._named(i, texts, Fraction(1))
        return self._atom(i)

    def _named(self, i: int, texts: list[str], scale: Fraction) -> Sum:
        """One atom, and the factor that was taken out of it."""
        text = self._text(self.graph.nodes[i], texts)
        self._vary(text, self.ranges[i], _size(1 / scale))
        return _one(text).times(scale)
