"""explain: everything that is known of a reward, in one record."""

from __future__ import annotations

import itertools
from dataclasses import asdict
from typing import Any

from derl_dsl.elaborate.values import Value
from derl_dsl.generate.unparse import expression_text
from derl_dsl.graph.ir import Graph
from derl_dsl.graph.leaves import domain, input_range
from derl_dsl.graph.ranges import Range
from derl_dsl.key import key
from derl_dsl.prove.analyse import Analysis
from derl_dsl.prove.certificate import Certificate
from derl_dsl.prove.checked import Checked
from derl_dsl.prove.differences import Differences
from derl_dsl.prove.witness import leaf_name
from derl_grammar.records import record
from derl_primitives.measured import Measured
from derl_primitives.primitive import Primitive
from derl_runtime.sources import Apply


@record
class Part:
    """A named part or the reward: its text, its type, and the range of its values."""

    name: str
    text: str
    type: str
    lo: float | None
    hi: float | None


@record
class Influence:
    """How the reward moves when one input rises and all else stays.

    `direction` is rises (never falls), falls (never rises), none, or mixed (either, or not proven).
    """

    name: str
    type: str
    direction: str


@record
class Explanation:
    """A checked reward, explained; `measured` is how its `outcome`, a primitive, errs."""

    parts: tuple[Part, ...]
    influences: tuple[Influence, ...]
    certificate: Certificate
    key: str
    graph: str
    outcome: str | None = None
    measured: Measured | None = None

    def to_json(self) -> dict[str, Any]:
        """The record of the JSON output."""
        return {
            "parts": [asdict(p) for p in self.parts],
            "influences": [asdict(i) for i in self.influences],
            "certificate": self.certificate.to_json(),
            "outcome": self.outcome,
            "measured": None if self.measured is None else asdict(self.measured),
            "key": self.key,
            "graph": self.graph.splitlines(),
        }


def explain(checked: Checked) -> Explanation:
    """Explain a program without errors.

    Ranges are those of the interval analysis; the certificate's may be tighter, for it enumerates
    small domains.
    """
    graph, certificate, program = checked.graph, checked.certificate, checked.program
    assert graph is not None
    assert certificate is not None
    assert program is not None
    analysis = Analysis(graph, [v.node for v in checked.values.values() if v.node is not None])
    parts = []
    for name, tree in [*((p.name, p.value) for p in program.parts), ("reward", program.reward)]:
        value = checked.values[id(tree)]
        bounds = analysis[value.node] if value.node is not None else None
        if name == "reward":
            bounds = Range(certificate.lo, certificate.hi)
        lo, hi = (bounds.lo, bounds.hi) if bounds is not None else (None, None)
        parts.append(Part(name, expression_text(tree), _type(value), lo, hi))
    root = checked.reward
    influences = [
        Influence(leaf_name(graph, i), str(graph.source(i).type), _direction(checked, graph, i))
        for i in graph.inputs([root])
        if graph.nodes[i].op == "input"
    ]
    outcome = None if checked.outcome is None else graph.source(checked.outcome)
    primitive = outcome.primitive if isinstance(outcome, Apply) else None
    return Explanation(
        tuple(parts), tuple(influences), certificate, key(graph, root), graph.text(),
        None if primitive is None else primitive.name,
        primitive.measured if isinstance(primitive, Primitive) else None,
    )  # fmt: skip


def _type(value: Value) -> str:
    kind = f"list[{value.kind}]" if value.many else value.kind
    return kind + ("?" if value.valid is not None else "")


def _direction(checked: Checked, graph: Graph, node: int) -> str:
    prover = checked.prover
    if prover is not None and prover.points.exact and node in prover.points.leaves:
        steps = _exact_steps(checked, node)
    else:
        values = domain(graph.source(node))
        if values is not None and len(values) == 2 and not graph.nodes[node].is_list:
            before, after = (Range(v, v) for v in values)
        else:
            before = after = input_range(graph.source(node))
        valid = graph.valids.get("reward")
        change = Differences(graph, checked.reward, node, before, after, None, valid).result
        steps = [change.lo, change.hi]
    if all(s == 0 for s in steps):
        return "none"
    if all(s >= 0 for s in steps):
        return "rises"
    return "falls" if all(s <= 0 for s in steps) else "mixed"


def _exact_steps(checked: Checked, node: int) -> list[float]:
    """All changes of the reward when the input takes its next higher value."""
    prover = checked.prover
    assert prover is not None
    at = prover.points.leaves.index(node)
    groups: dict[tuple[Any, ...], list[tuple[float, float]]] = {}
    for row, value in zip(prover.points.rows, prover.points.values[prover.root], strict=True):
        groups.setdefault((*row[:at], *row[at + 1 :]), []).append((row[at], value))
    return [
        after - before
        for members in groups.values()
        for (_, before), (_, after) in itertools.pairwise(sorted(members))
    ]
