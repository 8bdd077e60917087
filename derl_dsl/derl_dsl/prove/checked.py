"""A program after all checks: what the front half of the compiler hands on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

from derl_dsl.elaborate.scope import Scope
from derl_dsl.elaborate.values import Value
from derl_dsl.graph.ir import Graph
from derl_dsl.prove.certificate import Certificate
from derl_dsl.prove.prover import Prover
from derl_grammar.diagnostics import Diagnostic
from derl_grammar.nodes import Expr, Program
from derl_grammar.records import record
from derl_grammar.spans import Source


@record
class Checked:
    """A program after all checks; `graph` and `certificate` are None when names or types failed.

    `outcome` is the graph's node of the outcome, when one is known; `values` what each expression
    stands for, by the id of its syntax node, and `expressions` the nodes, operands first; `prover`
    knows the ranges of the graph's nodes.
    """

    source: Source
    scope: Scope
    diagnostics: tuple[Diagnostic, ...]
    program: Program | None = None
    graph: Graph | None = None
    outcome: int | None = None
    certificate: Certificate | None = None
    values: Mapping[int, Value] = field(default_factory=dict, repr=False, compare=False)
    expressions: Sequence[Expr] = field(default=(), repr=False, compare=False)
    prover: Prover | None = field(default=None, repr=False, compare=False)

    @property
    def ok(self) -> bool:
        """Whether no error was found."""
        return all(d.severity != "error" for d in self.diagnostics)

    @property
    def reward(self) -> int:
        """The graph's node of the reward."""
        assert self.graph is not None
        return self.graph.outputs["reward"]
