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

What people write in several ways has one form: conditions are polynomials of atoms that are 0 or 1
(`conditions`), extremes and bounds are made of one atom (`extremes`), sums over steps are linear
(`folds`). `a if ok else 0` and `ok * a` are one sum, and so are `ramp(n, 200, 100)` and
`1 - ramp(n, 100, 200)`.

Every doubt ends in a text of its own and never in a shared one: a reward trained twice costs
minutes, two different rewards taken for one cost the truth of the search.
"""

from __future__ import annotations

from fractions import Fraction

from derl_dsl.graph import ranges
from derl_dsl.graph.ir import Graph, Node, Param
from derl_dsl.graph.leaves import source_range
from derl_dsl.graph.ops import OPERATIONS
from derl_dsl.graph.ranges import Range
from derl_dsl.key.atoms import Atoms
from derl_dsl.key.conditions import choice, condition
from derl_dsl.key.exact import as_written
from derl_dsl.key.extremes import extreme
from derl_dsl.key.folds import folded, mean_of
from derl_dsl.key.sums import Sum, constant, one, short, size_of
from derl_dsl.passes import lower

# A divisor this far from 0, beside the numbers that it is made of, passes its rounding on as it is.
_NEAR = 1e-3
# exp of larger numbers blows up the rounding of its argument.
_STEEP = 10.0


def structure(graph: Graph, root: int, valid: int | None) -> str:
    """The reward up to a positive affine change, and the condition under which it applies."""
    alone = Graph(_fixed(graph.nodes), graph.places, {"reward": root})
    if valid is not None:
        alone.valids["reward"] = valid
    lowered = lower(alone, plain_ranges(alone))
    reader = _Reader(lowered, plain_ranges(lowered))
    shown = reader.root(lowered.outputs["reward"])
    valid = lowered.valids.get("reward")
    return shown if valid is None else f"{reader.at.exact[valid]} ? {shown}"


def same_value(one: Graph, two: Graph, name: str) -> bool:
    """Whether an output of both graphs is proven to have the same value in every row.

    Nothing is dropped here, no scale and no offset; it has to apply in the same rows. Parameters
    have to be the same ones. False is no proof that the values differ.
    """
    return _values(one, name) == _values(two, name)


def _values(graph: Graph, name: str) -> tuple[str, str | None]:
    """The output as a sum of atoms and the condition under which it applies, both as texts."""
    root, *valids = graph.roots_of(name)
    alone = Graph(graph.nodes, graph.places, {name: root})
    if valids:
        alone.valids[name] = valids[0]
    lowered = lower(alone, plain_ranges(alone))
    reader = _Reader(lowered, plain_ranges(lowered))
    i, valid = lowered.outputs[name], lowered.valids.get(name)
    text = reader.at.sums[i].text()
    return text, None if valid is None else reader.at.exact[valid]


def _fixed(nodes: list[Node]) -> list[Node]:
    """The nodes with the value of each parameter in its place."""
    return [
        Node("const", (), n.payload.value, False) if isinstance(n.payload, Param) else n
        for n in nodes
    ]


def plain_ranges(graph: Graph) -> dict[int, Range]:
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


class _Reader:
    """Reads every node twice: as it is (`exact`), and as a sum of atoms."""

    def __init__(self, graph: Graph, known: dict[int, Range]) -> None:
        self.graph = graph
        self.at = r = Atoms(graph, known)
        for i, node in enumerate(graph.nodes):
            leaf = node.op in ("input", "valid")
            r.exact.append(r.leaf(i) if leaf else r.text(i, [r.exact[a] for a in node.args]))
            found = self._sum(i, node)
            if node.is_bool and found is not None:
                r.exact[i] = r.marked(found.text(), i)
            r.sums.append(found if found is not None and r.fine(found) else r.atom(i))

    def root(self, i: int) -> str:
        """The outermost sum without what a group shares, its first coefficient 1 or -1."""
        found = self.at.sums[i]
        value = found.constant
        known = self.at.ranges[i]
        if value is not None and (found.peak > size_of(value) or known.lo < known.hi):
            # Only rounding varies, and GRPO would blow it up.
            return f"rounding of {self.at.exact[i]}"
        varied = {t: c for t, c in found.terms.items() if t}
        terms = {t: c for t, c in varied.items() if not self.at.shared.issuperset(t)}
        if not terms:
            return "constant"
        dropped = Sum({t: c for t, c in varied.items() if t not in terms}, 0.0)
        if dropped.terms and not self.at.parted(Sum(terms, found.peak), dropped):
            terms = varied
        alone = Sum(terms, 0.0)
        return alone.times(1 / alone.scale()).text()

    def _sum(self, i: int, node: Node) -> Sum | None:
        """The node as a sum; None for one that is an atom."""
        r, args = self.at, node.args
        if node.is_bool:
            return condition(r, i)
        match node.op:
            case "const":
                assert isinstance(node.payload, float)
                return constant(Fraction(*as_written(node.payload)))
            case "num":
                return r.sums[args[0]]
            case "neg":
                return r.sums[args[0]].times(Fraction(-1))
            case "sub" | "div" if args[0] == args[1]:
                return constant(Fraction(node.op == "div"))
            case "add" | "sub":
                sign = Fraction(1 if node.op == "add" else -1)
                return r.sums[args[0]].plus(r.sums[args[1]].times(sign))
            case "mul":
                return self._product(i, node)
            case "div":
                return self._quotient(i, node)
            case "select":
                return extreme(r, i) or choice(r, i) or self._function(i, node)
            case "min" | "max" | "abs" | "sqrt":
                return extreme(r, i) or self._function(i, node)
            case "tanh" | "sigmoid" | "cos":
                return self._mirrored(i, node)
        return folded(r, i) or self._function(i, node)

    def _product(self, i: int, node: Node) -> Sum:
        a, b = (self.at.sums[k] for k in node.args)
        found = self.at.product(a, b)
        if found is not None:
            return found
        scale = a.scale() * b.scale()
        texts = [x.times(1 / x.scale()).text() for x in (a, b)]
        return self.at.named(self.at.text(i, texts), i, self.at.ranges[i], scale)

    def _quotient(self, i: int, node: Node) -> Sum:
        """The numerator, multiplied out, times one atom for the reciprocal of the divisor."""
        r = self.at
        above, below = (r.sums[k] for k in node.args)
        found = mean_of(r, *node.args) or self._logistic(i, node)
        if found is not None:
            return found
        if below.constant:
            factor = 1 / below.constant
            divided = Sum({(): factor}, below.peak * size_of(factor) * size_of(factor))
            return above.by(divided, r.tidy)
        return self._reciprocal(node, above, below)

    def _reciprocal(self, node: Node, above: Sum, below: Sum) -> Sum:
        r = self.at
        found, text, scale = r.ranges[node.args[1]], r.exact[node.args[1]], Fraction(1)
        whole = Fraction(0)
        # Far from 0, how the divisor was rounded cannot show. (0 itself has no terms.)
        if any(below.terms) and max(found.lo, -found.hi) >= _NEAR * below.peak:
            scale = below.scale()
            text = below.times(1 / scale).text()
            # n / (n + 1) is 1 - 1 / (n + 1).
            lead = min(t for t in below.terms if t)
            whole = above.terms.get(lead, Fraction(0)) / below.terms[lead]
        text = short(f"1/{text}")
        if r.is_shared(node.args[1]):
            r.shared.add(text)
        if r.graph.nodes[node.args[1]].is_list:
            r.lists.add(text)
        inverse, size = ranges.div(Range(1.0, 1.0), found), size_of(scale)
        peak = max(1.0, abs(inverse.lo), abs(inverse.hi)) if inverse.finite else 1.0
        r.vary(text, inverse, size)
        if peak > 1:
            r.widths[text] = (inverse.hi - inverse.lo) * size
            r.sizes[text] = peak * size
        rest = above.plus(below.times(-whole))
        return constant(whole).plus(rest.by(Sum({(text,): 1 / scale}, peak), r.tidy))

    def _logistic(self, i: int, node: Node) -> Sum | None:
        """1 / (1 + exp(-x)) is sigmoid(x)."""
        nodes = self.graph.nodes
        total = nodes[node.args[1]]
        if nodes[node.args[0]].payload != 1.0 or total.op != "add":
            return None
        for a, b in (total.args, total.args[::-1]):
            if nodes[a].payload == 1.0 and nodes[b].op == "exp":
                x = self.at.sums[nodes[b].args[0]].times(Fraction(-1))
                return self._turned(i, "sigmoid", x)
        return None

    def _mirrored(self, i: int, node: Node) -> Sum | None:
        """Functions of which f(-x) follows from f(x)."""
        x = self.at.sums[node.args[0]]
        if self.at.argument(node.args[0]) != x.text():
            return self._function(i, node)
        return self._turned(i, node.op, x)

    def _turned(self, i: int, op: str, x: Sum) -> Sum:
        negative = x.first() < 0
        text = self.at.marked(f"{op}({(x.times(Fraction(-1)) if negative else x).text()})", i)
        found = one(text)
        if not negative or op == "cos":
            return found
        opposite = found.times(Fraction(-1))
        return opposite if op == "tanh" else constant(Fraction(1)).plus(opposite)

    def _function(self, i: int, node: Node) -> Sum | None:
        r = self.at
        gentle = OPERATIONS[node.op].smooth
        if node.op == "exp":
            gentle = r.ranges[node.args[0]].hi <= _STEEP
        if node.op in ("log", "sqrt"):
            gentle = r.ranges[node.args[0]].lo >= _NEAR
        if not gentle:
            return None
        nodes = self.graph.nodes
        texts = [r.exact[a] if nodes[a].is_bool else r.argument(a) for a in node.args]
        return r.named(r.text(i, texts), i, r.ranges[i], Fraction(1))
