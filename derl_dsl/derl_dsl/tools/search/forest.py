"""Terms, each made once, with range and size; ways to a graph and to syntax."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import NamedTuple

from derl_dsl.graph.ir import Graph
from derl_dsl.graph.ranges import Range
from derl_dsl.tools.search.forms import BY_CODE, NAMED, Form
from derl_dsl.tools.search.vocabulary import Feature
from derl_grammar import nodes as n
from derl_grammar.types import Bool, Number
from derl_runtime.sources import Column

_NOWHERE = (0, 0)
# Larger numbers are no terms of a reward that is made of shares.
_LARGEST = 16.0

# A term that can travel: the code of its form and its arguments; of a feature, minus its number.
Tree = tuple[int, tuple["Tree", ...], tuple[float, ...]]


class Term(NamedTuple):
    """A term of a forest: `form` is None for a feature, whose number is `feature`.

    `args` are terms; `size` counts names, numbers and operations; `code` is the same for equal
    terms in every process.
    """

    form: Form | None
    feature: int
    args: tuple[int, ...]
    numbers: tuple[float, ...]
    kind: str
    span: Range
    size: int
    code: int


# What Term does, in half the time.
_term = partial(tuple.__new__, Term)


def column(number: int, feature: Feature) -> Column:
    """The input that stands for a feature while programs are screened."""
    kind = Bool() if feature.condition else Number(feature.lo, feature.hi)
    return Column(f"feature{number}", kind)


def feature_size(feature: Feature) -> int:
    """Names, numbers and operations of a feature; a primitive of columns counts as one name."""
    return _size(feature.expr)


def _size(expr: n.Expr) -> int:
    if isinstance(expr, n.Call) and any(isinstance(a, n.TextLiteral) for a in expr.args):
        return 1
    if isinstance(expr, n.Call) and all(isinstance(a, n.Name) for a in expr.args):
        return 1
    return 1 + sum(_size(child) for child in n.children(expr))


class Forest:
    """All terms that one task has made."""

    def __init__(
        self, features: Sequence[Feature], largest: int, graph: Graph | None = None
    ) -> None:
        self.features = features
        self.largest = largest
        self.columns = [column(k, feature) for k, feature in enumerate(features)]
        self.terms: list[Term] = []
        self.graph = Graph() if graph is None else graph
        self._nodes: dict[int, int] = {}
        self._trees: dict[int, Tree] = {}
        self._index: dict[tuple[int, tuple[int, ...], tuple[float, ...]], int | None] = {}
        for number, feature in enumerate(features):
            kind = "C" if feature.condition else "N" if feature.unit else "W"
            span = Range(feature.lo, feature.hi)
            size, code = feature_size(feature), hash((-1 - number,))
            self.terms.append(Term(None, number, (), (), kind, span, size, code))

    def make(
        self, form: Form, args: tuple[int, ...], numbers: tuple[float, ...] = ()
    ) -> int | None:
        """The term of a form, or None where it is too large, constant or may not be finite."""
        key = (form.code, args, numbers)
        if key in self._index:
            return self._index[key]
        found = self._shorter(form, args)
        found = self._index[key] = self._make(form, args, numbers) if found is None else found
        return found

    def _shorter(self, form: Form, args: tuple[int, ...]) -> int | None:
        """A shorter term with the same values, where two minuses or negations meet."""
        if form.name not in ("minus", "flip", "not"):
            return None
        at = self.terms[args[0]]
        if at.form is None:
            return None
        if at.form is form:
            return at.args[0]
        if form.name == "minus" and at.form.name == "sub":
            return self.make(at.form, at.args[::-1])
        return None

    def turned(self, term: int) -> int | None:
        """A term that orders rollouts the other way round."""
        at = self.terms[term]
        if at.form is not None and at.form.name in ("minus", "flip"):
            return at.args[0]
        return self.make(NAMED["minus"], (term,))

    def _make(self, form: Form, args: tuple[int, ...], numbers: tuple[float, ...]) -> int | None:
        terms = self.terms
        size = form.words
        spans, codes = [], []
        for a in args:
            _, _, _, _, _, span, words, code = terms[a]
            size += words
            spans.append(span)
            codes.append(code)
        if size > self.largest or (len(args) > 1 and args[-1] == args[-2]):
            return None
        span = form.span(spans, numbers)
        lo, hi, nan = span
        if nan or lo < -_LARGEST or hi > _LARGEST or (lo == hi and args):
            return None
        made = (
            form,
            -1,
            args,
            numbers,
            form.result,
            span,
            size,
            hash((form.code, *numbers, *codes)),
        )
        terms.append(_term(made))
        return len(terms) - 1

    def lower(self, roots: Iterable[int]) -> tuple[Graph, list[int]]:
        """The graph of all terms that were lowered so far, each once, and the nodes of `roots`."""
        return self.graph, [self._node(root) for root in roots]

    def _node(self, at: int) -> int:
        nodes = self._nodes
        found = nodes.get(at)
        if found is None:
            form, feature, args, numbers, _, _, _, _ = self.terms[at]
            if form is None:
                found = self.graph.add("input", (), _NOWHERE, self.columns[feature])
            else:
                below = [nodes[a] if a in nodes else self._node(a) for a in args]
                found = form.lower(self.graph, below, numbers)
            nodes[at] = found
        return found

    def tree(self, term: int) -> Tree:
        """A term as a tree that another forest can plant."""
        found = self._trees.get(term)
        if found is None:
            at = self.terms[term]
            code = -1 - at.feature if at.form is None else at.form.code
            found = self._trees[term] = (code, tuple([self.tree(a) for a in at.args]), at.numbers)
        return found

    def plant(self, tree: Tree) -> int:
        """The term of a tree that was made by a forest of the same features."""
        code, args, numbers = tree
        if code < 0:
            return -1 - code
        found = self.make(BY_CODE[code], tuple(self.plant(a) for a in args), numbers)
        assert found is not None
        return found

    def expression(self, term: int) -> n.Expr:
        """The syntax tree of a term."""
        at = self.terms[term]
        if at.form is None:
            return self.features[at.feature].expr
        return at.form.show([self.expression(a) for a in at.args], at.numbers)
