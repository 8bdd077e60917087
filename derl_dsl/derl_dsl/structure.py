"""A reward's structure, as a text that is the same for all its positive affine changes.

The graph is lowered first, which joins what is bit-identical. What remains is read as sums of atoms
with exact coefficients, as far as rounding cannot show: a sum that cancels most of its digits, and
whatever stands below a jump (comparisons, ranks, remainders, guards …), keeps the form it has.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from fractions import Fraction

from derl_dsl import ranges
from derl_dsl.analyse import source_range
from derl_dsl.corners import as_written
from derl_dsl.ir import GROUP, Graph, Node, Param
from derl_dsl.passes import lower
from derl_dsl.ranges import Range
from derl_runtime.sources import Apply

_COMMUTATIVE = frozenset({"add", "mul", "min", "max", "and", "or", "eq", "ne"})
# Functions that change little when their numbers do.
_SMOOTH = frozenset({"min", "max", "abs", "select", "tanh", "sigmoid", "cos"})
# And those with f(c * x) = c * f(x) for c > 0.
_SCALING = frozenset({"list_sum", "list_mean", "list_min", "list_max", "list_first", "list_last",
                      "group_mean", "group_std", "group_min", "group_max", "group_quantile",
                      "third", "part"})  # fmt: skip
# The digits of float64 that a sum may lose before it counts as another reward.
_LOSS = 1e4
_LONGEST = 160


@dataclass(frozen=True, slots=True)
class Sum:
    """Atoms with coefficients, and a constant; `peak` is the largest number met on the way."""

    terms: dict[str, Fraction]
    constant: Fraction
    peak: float

    def times(self, factor: Fraction) -> Sum:
        """The sum multiplied."""
        if not factor:
            return Sum({}, factor, 0.0)
        terms = {t: c * factor for t, c in self.terms.items()}
        return Sum(terms, self.constant * factor, self.peak * abs(float(factor)))

    def plus(self, other: Sum) -> Sum:
        """Both together; what cancels goes."""
        terms = dict(self.terms)
        for term, c in other.terms.items():
            terms[term] = terms.get(term, Fraction(0)) + c
        terms = {t: c for t, c in terms.items() if c}
        return Sum(terms, self.constant + other.constant, max(self.peak, other.peak))

    def text(self) -> str:
        """The sum in one order of its terms."""
        if not self.constant and list(self.terms.values()) == [1]:
            return next(iter(self.terms))
        parts = [f"{c}*{t}" for t, c in sorted(self.terms.items())]
        return "(" + " + ".join([*parts, str(self.constant)]) + ")"

    def scale(self) -> Fraction:
        """The size of the first coefficient, or of the constant."""
        if self.terms:
            return abs(self.terms[min(self.terms)])
        return abs(self.constant) or Fraction(1)


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

    def __post_init__(self) -> None:
        self.exact, self.sums = [], []
        for i, node in enumerate(self.graph.nodes):
            self.exact.append(self._exact(i, node))
            found = self._sum(i, node)
            self.sums.append(found if self._fine(found) else self._atom(i))

    def root(self, i: int) -> str:
        """The outermost sum without what a group shares, its first coefficient 1 or -1."""
        found = self.sums[i]
        terms = {t: c for t, c in found.terms.items() if t not in self.shared}
        if not terms:
            return "constant"
        alone = Sum(terms, Fraction(0), 0.0)
        return alone.times(1 / alone.scale()).text()

    def _exact(self, i: int, node: Node) -> str:
        if node.op in ("input", "valid"):
            return label(self.graph, i)
        args = [self.exact[a] for a in node.args]
        return self._text(node, args)

    def _text(self, node: Node, args: list[str]) -> str:
        if node.op in _COMMUTATIVE:
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
        text = self.exact[i]
        self._vary(text, i, 1.0)
        return Sum({text: Fraction(1)}, Fraction(0), 1.0)

    def _vary(self, text: str, i: int, scale: float) -> None:
        lo, hi, _ = self.ranges[i]
        width = (hi - lo) / scale
        if width < 1:
            self.widths[text] = width

    def _fine(self, found: Sum) -> bool:
        """Whether rounding on the way is far below what the sum is about."""
        if not found.terms:
            return found.peak <= abs(float(found.constant))
        spread = max(abs(float(c)) * self.widths.get(t, 1.0) for t, c in found.terms.items())
        return found.peak <= _LOSS * spread

    def _sum(self, i: int, node: Node) -> Sum:
        args = node.args
        match node.op:
            case "const":
                assert isinstance(node.payload, float)
                return Sum({}, Fraction(*as_written(node.payload)), abs(node.payload))
            case "input" | "valid":
                return self._atom(i)
            case "num":
                return self.sums[args[0]]
            case "neg":
                return self.sums[args[0]].times(Fraction(-1))
            case "sub" | "div" if args[0] == args[1]:
                value = 0 if node.op == "sub" else 1
                return Sum({}, Fraction(value), float(value))
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
        for factor, other in ((a, b), (b, a)):
            if not factor.terms:
                return other.times(factor.constant)
        scale = a.scale() * b.scale()
        texts = [x.times(1 / x.scale()).text() for x in (a, b)]
        return self._one(i, texts, scale)

    def _quotient(self, i: int, node: Node) -> Sum:
        above, below = (self.sums[k] for k in node.args)
        if not below.terms and below.constant:
            return above.times(1 / below.constant)
        scale = above.scale()
        return self._one(i, [above.times(1 / scale).text(), self.exact[node.args[1]]], scale)

    def _function(self, i: int, node: Node) -> Sum:
        if node.op in _SCALING:
            inner = self.sums[node.args[0]]
            scale = inner.scale()
            texts = [inner.times(1 / scale).text(), *(self.exact[a] for a in node.args[1:])]
            return self._one(i, texts, scale)
        if node.op in _SMOOTH:
            texts = [
                self.exact[a] if self.graph.nodes[a].is_bool else self.sums[a].text()
                for a in node.args
            ]
            return self._one(i, texts, Fraction(1))
        return self._atom(i)

    def _one(self, i: int, texts: list[str], scale: Fraction) -> Sum:
        text = self._text(self.graph.nodes[i], texts)
        self._vary(text, i, float(scale))
        return Sum({text: scale}, Fraction(0), float(scale))
