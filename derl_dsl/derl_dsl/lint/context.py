"""What the rules share about one program; everything is computed when the first rule asks."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from derl_dsl.graph import ranges
from derl_dsl.graph.ir import Node
from derl_dsl.graph.leaves import is_whole
from derl_dsl.graph.ops import GROUP
from derl_dsl.graph.ranges import Range
from derl_dsl.prove.analyse import Analysis
from derl_dsl.prove.witness import Witness, at_rows, leaf_name
from derl_grammar import nodes as n
from derl_grammar.diagnostics import Code, Diagnostic, Fix
from derl_grammar.nodes import Place
from derl_grammar.records import record
from derl_primitives.primitive import Primitive
from derl_runtime.sources import Apply

if TYPE_CHECKING:
    from derl_dsl.prove.certificate import Certificate
    from derl_dsl.prove.checked import Checked

# A smaller share is no effect: the 1e-6 shift of the derl-math primitives, rounding.
NOTHING = 1e-3
# Sums with more terms than this (a part used twice counts twice) are not taken apart.
_MOST_TERMS = 64
_PLAIN_SIZE = 1e4
_TRIED = 16
_HOLDING = frozenset({"min", "max", "tanh", "sigmoid", "sign"})


class Term(NamedTuple):
    """One summand of the reward: `factor * atom`.

    `range` is that of the whole summand, `width` how far it can move the reward.
    """

    place: Place
    atom: int
    factor: float
    range: Range
    width: float


@record
class Rule:
    """A lint: its code, the function that looks, and the expressions it looks at.

    Those are named by what they are written with: an operator ("/"), a function ("clip()"), "<" for
    all comparisons, "if" for a conditional. Without any it looks at the program once.
    """

    code: Code
    look: Callable[[Context, Any], None]
    at: tuple[str, ...] = ()


class Context:
    """One checked program without errors, as the rules see it.

    `target` names the trainer the reward is meant for, when one is known (such as "verl").
    """

    def __init__(self, checked: Checked, target: str | None = None) -> None:
        assert checked.program is not None
        assert checked.graph is not None
        assert checked.certificate is not None
        assert checked.prover is not None
        self.checked = checked
        self.program = checked.program
        self.graph = checked.graph
        self.certificate: Certificate = checked.certificate
        self.prover = checked.prover
        self.outcome = checked.outcome
        self.target = target
        # The values of the named parts; all expressions, operands before what uses them.
        self.parts = {part.name: part.value for part in self.program.parts}
        self.expressions = checked.expressions
        self.values = checked.values
        self.reported = {d.code for d in checked.diagnostics}
        self.found: list[Diagnostic] = []
        self._ranges: dict[int, Range | None] = {}
        self._depending: dict[int, set[int]] = {}
        nodes = self.graph.nodes
        # The graph's nodes that the reward depends on, and its inputs among them.
        self.used = self.graph.used([checked.reward])
        self.inputs = [i for i in self.used if nodes[i].op == "input"]
        self.uses_outcome = self.outcome is not None and self.outcome in self.inputs
        known = [(i, p) for i in self.inputs if (p := self.primitive(i)) is not None]
        # Inputs that measure the length of a text, each with what a word adds; those, other than
        # the outcome, that a better rollout scores higher on.
        self.lengths = {i: p.per_word for i, p in known if p.per_word}
        self.good_signs = [i for i, p in known if p.good and i != self.outcome]
        # The prover's input combinations; None where single rollouts do not decide the reward.
        self.samples: Witness | None = self.prover.points
        leaves = self.samples.leaves
        if not self.samples.rows or any(nodes[i].is_list or nodes[i].op in GROUP for i in leaves):
            self.samples = None

    # Findings

    def add(
        self, code: Code, place: Place, message: str, *hints: str, fix: Fix | None = None
    ) -> None:
        """Report a finding at the character offsets `place`."""
        span = self.checked.source.span(*place)
        self.found.append(Diagnostic(code.code, code.severity, message, span, hints, fix))
        self.reported.add(code.code)

    def replaced(self, message: str, place: Place, text: str) -> Fix:
        """The fix that replaces one stretch."""
        return Fix(message, ((*place, text),))

    def text(self, expr: n.Expr) -> str:
        """The source text of an expression."""
        return self.checked.source.text[slice(*expr.place)]

    def bracketed(self, expr: n.Expr) -> bool:
        """Whether the text of an expression holds together anywhere."""
        if isinstance(expr, n.NumberLiteral | n.BoolLiteral | n.TextLiteral | n.Name | n.Call):
            return True
        if isinstance(expr, n.Unary):
            return self.text(expr).startswith("(")
        return min(c.place[0] for c in n.children(expr)) > expr.place[0]

    def operand(self, expr: n.Expr) -> str:
        """The text of an expression, in brackets where it needs them."""
        return self.text(expr) if self.bracketed(expr) else f"({self.text(expr)})"

    def shown(self, place: Place, most: int = 40) -> str:
        """A stretch of the text on one line, shortened for a message."""
        text = " ".join(self.checked.source.text[slice(*place)].split())
        return text if len(text) <= most else text[: most - 1] + "…"

    # The program

    @cached_property
    def roots(self) -> list[n.Expr]:
        """The expression of each statement."""
        return [*(part.value for part in self.program.parts), self.program.reward]

    def depending(self, source: int) -> set[int]:
        """The nodes of the reward that depend on one of its nodes, itself included."""
        found = self._depending.get(source)
        if found is None:
            found = self._depending[source] = {source}
            for i in self.used:
                if not found.isdisjoint(self.graph.nodes[i].args):
                    found.add(i)
        return found

    def node(self, expr: n.Expr) -> int | None:
        """The graph's node of an expression; None of texts and lists of texts."""
        return self.values[id(expr)].node

    def at(self, expr: n.Expr) -> Node | None:
        """The operation of an expression."""
        node = self.values[id(expr)].node
        return None if node is None else self.graph.nodes[node]

    def applies_alike(self, one: n.Expr, two: n.Expr) -> bool:
        """Whether two expressions are not applicable for the same rollouts, if for any."""
        return self.values[id(one)].valid == self.values[id(two)].valid

    def constant(self, expr: n.Expr) -> float | None:
        """The number an expression always is because it is written so: `0.5`, `-1`, a named one."""
        node = self.values[id(expr)].node
        payload = None if node is None else self.graph.nodes[node].payload
        return payload if isinstance(payload, float) else None

    def input_name(self, node: int) -> str:
        """How the program names an input."""
        return leaf_name(self.graph, node)

    def primitive(self, node: int) -> Primitive | None:
        """The primitive of an input node, when it is one."""
        payload = self.graph.nodes[node].payload
        if isinstance(payload, Apply) and isinstance(payload.primitive, Primitive):
            return payload.primitive
        return None

    # Ranges

    def range(self, node: int | None) -> Range | None:
        """What a node can be; None for what the reward does not use."""
        if node is None:
            return None
        if node not in self._ranges:
            self._ranges[node] = self._range(node)
        return self._ranges[node]

    def fixed(self, node: int | None) -> bool:
        """Whether a node is proven to be one and the same number always."""
        if node is not None and self.prover.analysis is None and self._unasked is None:
            values = self.prover.points.values.get(node) or [math.nan]
            return values[0] == values[0] and values.count(values[0]) == len(values)
        known = self.range(node)
        return known is not None and not known.nan and known.lo == known.hi

    @cached_property
    def _unasked(self) -> Analysis | None:
        """Ranges of all rollouts, where the reward applies to some: a proof is of those alone."""
        graph = self.graph
        if "reward" not in graph.valids:
            return None
        return Analysis(graph, graph.roots_of("reward"))

    def _range(self, node: int) -> Range | None:
        analysis, values = self.prover.analysis, self.prover.points.values.get(node)
        analysis = self._unasked or analysis
        if analysis is not None:
            found: Range | None = analysis.ranges.get(node)
            return found
        if not values:
            return None
        total = sum(values)
        if total == total:
            return Range(float(min(values)), float(max(values)))
        known = [v for v in values if v == v] or [-math.inf, math.inf]
        return Range(min(known), max(known), len(known) != len(values))

    def whole(self, node: int) -> bool:
        """Whether a node is known to be a whole number, so that == means what it says."""
        return is_whole(self.graph, node)

    # The reward as a sum

    @cached_property
    def terms(self) -> list[Term]:
        """The reward's summands, constants left out; empty when there are too many."""
        found: list[Term] = []
        stack: list[tuple[n.Expr, float, Place | None]] = [(self.program.reward, 1.0, None)]
        while stack:
            expr, factor, place = stack.pop()
            below = self._summands(expr, factor)
            if below is not None:
                kept = None if len(below) > 1 else place or expr.place
                stack += [(b, f, kept) for b, f in reversed(below)]
            elif self.constant(expr) is None:
                node = self.node(expr)
                bounds = self.range(node)
                if node is not None and bounds is not None:
                    whole = bounds if factor == 1 else ranges.mul(bounds, Range(factor, factor))
                    width = whole.hi - whole.lo
                    found.append(Term(place or expr.place, node, factor, whole, width))
            if len(stack) > _MOST_TERMS or len(found) > _MOST_TERMS:
                return []
        return found

    def _summands(self, expr: n.Expr, factor: float) -> tuple[tuple[n.Expr, float], ...] | None:
        """The expressions a sum is made of, each with its factor; None of what is no sum."""
        if isinstance(expr, n.Binary):
            op, left, right = expr.op, expr.left, expr.right
            if op in ("+", "-"):
                return (left, factor), (right, factor if op == "+" else -factor)
            if op in ("*", "/"):
                scale = self.constant(right)
                if scale:
                    return ((left, factor * scale if op == "*" else factor / scale),)
                scale = self.constant(left) if op == "*" else None
                return ((right, factor * scale),) if scale else None
        elif isinstance(expr, n.Name) and expr.name in self.parts:
            return ((self.parts[expr.name], factor),)
        elif isinstance(expr, n.Unary) and expr.op in ("+", "-"):
            return ((expr.operand, factor if expr.op == "+" else -factor),)
        return None

    # Sampled inputs

    def rises(self, node: int, source: int) -> list[tuple[int, float, float]]:
        """(row, before, after) of a node when one input alone rises, over the samples.

        Over all combinations when the samples are exact; otherwise from the smallest to the
        largest plain value of the input at each plain row.
        """
        samples = self.samples
        if samples is None or source not in samples.leaves:
            return []
        if samples.exact:
            values = samples.values[node]
            return [(a, values[a], values[b]) for a, b in samples.steps(source)]
        at = samples.leaves.index(source)
        lo, hi = self._plain_ends(source)
        kept = [(k, row) for k, row in enumerate(samples.rows) if plain(row)][:_TRIED]
        rows = [(*row[:at], end, *row[at + 1 :]) for _, row in kept for end in (lo, hi)]
        found = self.evaluate(node, rows)
        return [(k, found[2 * j], found[2 * j + 1]) for j, (k, _) in enumerate(kept)]

    @cached_property
    def outcome_moves(self) -> list[tuple[int, float]]:
        """(row, change of the reward) when the outcome alone rises, over the samples."""
        if self.outcome is None:
            return []
        rises = self.rises(self.checked.reward, self.outcome)
        return [(row, after - before) for row, before, after in rises]

    @property
    def outcome_idle(self) -> bool:
        """Whether the outcome is proven to change nothing, though the reward names it."""
        exact = self.samples is not None and self.samples.exact
        return exact and not any(change for _, change in self.outcome_moves)

    def _plain_ends(self, source: int) -> tuple[float, float]:
        bounds = self.range(source)
        assert bounds is not None
        return max(bounds.lo, -_PLAIN_SIZE), min(bounds.hi, _PLAIN_SIZE)

    def evaluate(self, node: int, rows: list[tuple[float, ...]]) -> list[float]:
        """The values of a node at further input combinations."""
        assert self.samples is not None
        found = at_rows(self.graph, [self.checked.reward], self.samples.leaves, rows)
        return found[node]

    def held(self, node: int, most: float = 1e2) -> bool:
        """Whether all that a node does to the reward goes through what holds it within `most`."""
        reached = {node}
        for i in self.used:
            if i == node or reached.isdisjoint(self.graph.nodes[i].args):
                continue
            bounds = self.range(i)
            tight = bounds is not None and -most <= bounds.lo and bounds.hi <= most
            if not (self.graph.nodes[i].op in _HOLDING and tight):
                reached.add(i)
        return self.checked.reward not in reached

    def holding(self, *sources: int) -> Place:
        """The place of the first summand that depends on all of these inputs, or the reward."""
        behind = [self.depending(source) for source in sources]
        for term in self.terms:
            if all(term.atom in nodes for nodes in behind):
                return term.place
        return self.program.reward.place

    @cached_property
    def _named_leaves(self) -> list[tuple[int, str]]:
        return [(i, self.input_name(i)) for i in self.prover.points.leaves]

    def example(self, row: tuple[float, ...], but: int | None = None) -> str:
        """An input combination as text, one input left out if asked for."""
        named = zip(self._named_leaves, row, strict=True)
        return ", ".join(
            [f"{name} = {_shown_value(v)}" for (leaf, name), v in named if leaf != but]
        )


def plain(row: tuple[Any, ...]) -> bool:
    """Whether a sampled row has only sizes that occur, no ends of open ranges."""
    steps = (x for v in row for x in (v if isinstance(v, list) else (v,)))
    return all(math.isfinite(x) and abs(x) <= _PLAIN_SIZE for x in steps)


def _shown_value(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(f"{x:.6g}" for x in value) + "]"
    return f"{value:.6g}"
