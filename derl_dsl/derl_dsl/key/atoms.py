"""What a reward's structure is read from: the nodes read so far, and what is known of atoms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from derl_dsl.graph.ir import Graph, Node
from derl_dsl.graph.leaves import domain, steps_of
from derl_dsl.graph.ops import GROUP, OPERATIONS
from derl_dsl.graph.ranges import Range
from derl_dsl.graph.shared import BATCH
from derl_dsl.key.sums import Monomial, Sum, one, short, size_of
from derl_runtime.sources import Apply

# Products are multiplied out up to so many terms.
TERMS = 32
# The digits of float64 that a sum may lose before it counts as another reward.
LOSS = 1e4


def label(graph: Graph, i: int) -> str:
    """What an input reads, whatever name a suite gives it; told apart from whether it applies."""
    source = graph.source(i)
    shown = str(source)
    if isinstance(source, Apply) and source.name is not None:
        shown = f"{source.primitive.name}({', '.join(map(str, source.args))})"
    return f"{shown}?" if graph.nodes[i].op == "valid" else shown


@dataclass(slots=True)
class Atoms:
    """The nodes read so far, each as it is (`exact`) and as a sum of atoms (`sums`).

    `shared` are atoms with one value for the whole group, `truths` those that are 0 or 1, `lists`
    those with one value a step; `widths` and `sizes` say how far atoms vary that vary little,
    `spans` and `bounds` how far all vary and how large they get.
    `filled` maps what is 0 of an empty list to the condition that the list has steps.
    """

    graph: Graph
    ranges: dict[int, Range]
    exact: list[str] = field(default_factory=list)
    sums: list[Sum] = field(default_factory=list)
    shared: set[str] = field(default_factory=set)
    truths: set[str] = field(default_factory=set)
    lists: set[str] = field(default_factory=set)
    widths: dict[str, float] = field(default_factory=dict)
    sizes: dict[str, float] = field(default_factory=dict)
    spans: dict[str, float] = field(default_factory=dict)
    bounds: dict[str, float] = field(default_factory=dict)
    filled: dict[str, str] = field(default_factory=dict)

    def text(self, i: int, args: Sequence[str]) -> str:
        """The node as an operation on texts."""
        node = self.graph.nodes[i]
        shown = sorted(args) if OPERATIONS[node.op].commutes else args
        literal = "" if node.payload is None else f"{node.payload} "
        return self.marked(f"{node.op}({literal}{', '.join(shown)})", i)

    def marked(self, text: str, i: int) -> str:
        """A text that stands for node i or a number made of it, short, with what is known of it."""
        text, node = short(text), self.graph.nodes[i]
        grouped = node.op in GROUP and node.op != "group_rank"
        if grouped or (node.args and all(self.is_shared(a) for a in node.args)):
            self.shared.add(text)
        if node.is_list:
            self.lists.add(text)
        return text

    def is_shared(self, i: int) -> bool:
        """Whether all rollouts of a group have one value of this node."""
        return self.graph.nodes[i].op == "const" or self.exact[i] in self.shared

    def atom(self, i: int) -> Sum:
        """The node as it is."""
        text, node = self.exact[i], self.graph.nodes[i]
        self.vary(text, self.ranges[i], 1.0)
        if node.is_bool or (node.op == "input" and domain(self.graph.source(i)) == (0.0, 1.0)):
            self.truths.add(text)
        return one(text)

    def truth(self, text: str, i: int) -> Sum:
        """A condition under a text of its own."""
        text = self.marked(text, i)
        self.truths.add(text)
        return one(text)

    def named(self, text: str, i: int, found: Range, scale: Fraction) -> Sum:
        """`scale` times an atom, whose product has this range."""
        text = self.marked(text, i)
        self.vary(text, found, size_of(1 / scale))
        return one(text).times(scale)

    def leaf(self, i: int) -> str:
        """The text of an input."""
        text, node = label(self.graph, i), self.graph.nodes[i]
        if node.is_list:
            self.lists.add(text)
        if text == BATCH:
            self.shared.add(text)
        return text

    def vary(self, text: str, found: Range, factor: float) -> None:
        """Notes how far an atom varies and how large it gets, where that is below 1."""
        lo, hi = found.lo * factor, found.hi * factor
        self.spans[text], self.bounds[text] = hi - lo, max(-lo, hi)
        if hi - lo < 1:
            self.widths[text] = hi - lo
        if max(-lo, hi) < 1:
            self.sizes[text] = max(-lo, hi)

    def tidy(self, term: Monomial) -> Monomial:
        """A product in one order: a condition is its own square, and implied by what it guards."""
        guarded = {self.filled[t] for t in term if t in self.filled}
        found: list[str] = []
        for t in sorted(term):
            if t in guarded or (t in self.truths and found and found[-1] == t):
                continue
            found.append(t)
        return tuple(found)

    def product(self, a: Sum, b: Sum) -> Sum | None:
        """Both multiplied out; None where that has too many terms."""
        return a.by(b, self.tidy) if len(a.terms) * len(b.terms) <= TERMS else None

    def width(self, term: Monomial) -> float:
        """How far a product varies, its widest factor and the size of the others."""
        sizes = [self.sizes.get(t, 1.0) for t in term]
        return max(
            (
                self.widths.get(t, 1.0) * math.prod(sizes[:k] + sizes[k + 1 :])
                for k, t in enumerate(term)
            ),
            default=0.0,
        )

    def fine(self, found: Sum) -> bool:
        """Whether rounding on the way is far below what the sum is about."""
        if found.constant is not None:
            # It matters beside what it is added to, or multiplied by.
            return True
        spread = max(size_of(c) * self.width(t) for t, c in found.terms.items())
        return found.peak <= LOSS * max(spread, found.about)

    def parted(self, kept: Sum, dropped: Sum) -> bool:
        """Whether what is dropped is not so large that its rounding shows in what is kept."""
        size, bounds = size_of, self.bounds
        large = max(
            size(c) * math.prod(bounds.get(t, 1.0) for t in term)
            for term, c in dropped.terms.items()
        )
        spread = max(
            size(c) * self.spans.get(t, 1.0) * math.prod(bounds.get(u, 1.0) for u in rest)
            for term, c in kept.terms.items()
            for t, *rest in (term, term[::-1])
        )
        return self.fine(kept) and large <= LOSS * spread

    def argument(self, i: int) -> str:
        """A number as a sum, unless it is a constant that is what cancellation left."""
        found = self.sums[i]
        constant = found.constant
        lost = constant is not None and found.peak > LOSS * size_of(constant)
        return self.exact[i] if lost else found.text()

    def node(self, i: int) -> Node:
        """The node itself."""
        return self.graph.nodes[i]

    def base(self, i: int) -> int:
        """The plainest list with the same number of steps."""
        return steps_of(self.graph, i)
