"""Proofs about the step rewards of a program: finite, bounded, and what going in circles earns.

A difference of potentials sums to the same over every way between two states, so it keeps the best
policy what it was (Ng, Harada, Russell 1999; here without discount). What pays a step for what it
is, and again when the same steps come round, pays for going in circles.
"""

from __future__ import annotations

from typing import NamedTuple

from derl_dsl.graph import ranges
from derl_dsl.graph.ir import Graph
from derl_dsl.graph.ranges import Range
from derl_dsl.prove.analyse import Analysis
from derl_dsl.prove.culprits import Culprits
from derl_dsl.prove.witness import Witness
from derl_grammar.diagnostics import Report
from derl_grammar.records import record
from derl_primitives.primitive import Primitive
from derl_runtime.sources import Apply

# Sums with more terms than this are taken as one.
_MOST_TERMS = 64


@record
class StepProof:
    """Proven facts of the step rewards of a program.

    `lo`, `hi`: every step's value lies in [lo, hi]; `finite` says that it is never NaN or infinite.
    `telescopes`: the values are differences of potentials, so that a round trip earns exactly 0.
    `circling`: the most that a step can earn which has been taken before in the same way, where
    what telescopes cancels; 0 and below means that going in circles never pays.
    """

    finite: bool
    lo: float
    hi: float
    telescopes: bool
    circling: float


class Summand(NamedTuple):
    """A summand `factor * node` of the step rewards, and the most it pays on a round trip."""

    node: int
    factor: float
    circling: float


def prove_steps(graph: Graph, report: Report) -> StepProof | None:
    """Prove what can be proven of `graph.steps`; None without step rewards.

    Reports the operation that may make a step infinite or no number.
    """
    root = graph.steps
    if root is None:
        return None
    analysis = Analysis(graph, [root], given=graph.steps_valid)
    bounds = analysis[root]
    if not bounds.finite:
        unknown = Witness([], [], {}, False, None)
        Culprits(graph, root, unknown, analysis, report).report_all()
        return StepProof(False, bounds.lo, bounds.hi, False, bounds.hi)
    found = summands(graph)
    telescopes = all(_circling_kind(graph, s.node) == "cancels" for s in found)
    # Adding zero makes one zero of two.
    total = sum(s.circling for s in found) + 0.0
    return StepProof(True, bounds.lo, bounds.hi, telescopes, min(total, max(bounds.hi, 0.0)))


def summands(graph: Graph) -> list[Summand]:
    """The summands of the step rewards, each with the most it pays on a round trip."""
    assert graph.steps is not None
    once = {
        i: ranges.Range(0.0, 0.0)
        for i in graph.inputs([graph.steps])
        if _circling_kind(graph, i) == "once"
    }
    again = Analysis(graph, [graph.steps], once, graph.steps_valid)
    return [
        Summand(node, factor, _most(graph, node, factor, again[node]))
        for node, factor in _terms(graph, graph.steps)
    ]


def _most(graph: Graph, node: int, factor: float, bounds: Range) -> float:
    if _circling_kind(graph, node) == "cancels":
        return 0.0
    return max(factor * bounds.lo, factor * bounds.hi)


def _terms(graph: Graph, root: int) -> list[tuple[int, float]]:
    """The summands with their constant factors."""
    found: list[tuple[int, float]] = []
    stack = [(root, 1.0)]
    while stack:
        node, factor = stack.pop()
        op, args = graph.nodes[node][:2]
        if op in ("add", "sub") and len(found) + len(stack) < _MOST_TERMS:
            stack += [(args[1], factor if op == "add" else -factor), (args[0], factor)]
        elif op == "neg":
            stack.append((args[0], -factor))
        elif op in ("mul", "div") and (scaled := _scaled(graph, op, args)) is not None:
            stack.append((scaled[0], factor * scaled[1]))
        else:
            found.append((node, factor))
    return found


def _scaled(graph: Graph, op: str, args: tuple[int, ...]) -> tuple[int, float] | None:
    """The operand and the number of a product or quotient with a number."""
    left, right = (graph.nodes[a].payload for a in args)
    if isinstance(right, float) and right:
        return args[0], right if op == "mul" else 1 / right
    return (args[1], left) if isinstance(left, float) and op == "mul" else None


def _circling_kind(graph: Graph, node: int) -> str:
    """What a round trip earns of a node: see `Primitive.circling`; empty when nothing is known."""
    at = graph.nodes[node]
    if at.op == "input":
        source = graph.source(node)
        known = isinstance(source, Apply) and isinstance(source.primitive, Primitive)
        return source.primitive.circling if known else ""  # type: ignore[union-attr]
    if at.op in ("mul", "div"):
        # What is one value for the whole episode scales the sum of the others.
        lists = [a for a in at.args if graph.nodes[a].is_list]
        if len(lists) == 1 and not (at.op == "div" and lists[0] == at.args[1]):
            kind = _circling_kind(graph, lists[0])
            return kind if kind == "cancels" else ""
    return ""
