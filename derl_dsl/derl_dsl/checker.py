"""check: from text to a proven graph, with everything there is to say about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from derl_dsl.elaborate.convert import input_value
from derl_dsl.elaborate.expressions import Elaborator
from derl_dsl.elaborate.header import scope_of
from derl_dsl.elaborate.scope import Scope
from derl_dsl.elaborate.values import Value
from derl_dsl.graph.ir import Graph
from derl_dsl.prove.checked import Checked
from derl_dsl.prove.prover import Prover
from derl_dsl.prove.steps import prove_steps
from derl_grammar.diagnostics import Diagnostic, Report
from derl_grammar.limits import MODEL, Limits
from derl_grammar.nodes import Program
from derl_grammar.parser import parse
from derl_grammar.spans import Source
from derl_grammar.types import Type


class OutcomeError(ValueError):
    """The outcome is no input of the program."""


@lru_cache(maxsize=64)
def _outcome_program(text: str) -> Program | None:
    """The tree of an outcome, which all programs of a scope share; None when it does not parse."""
    return parse(text, Report(Source(text)))


def outcome_node(scope: Scope, graph: Graph) -> int | None:
    """The node of the scope's outcome expression, added to the graph when it is new."""
    if scope.outcome is None:
        return None
    used = {
        scope.spelled(graph.source(i)): i
        for i, node in enumerate(graph.nodes)
        if node.op == "input"
    }
    stated = next((name for name in (scope.outcome, *scope.outcomes) if name in used), None)
    if stated is not None and stated != scope.outcome:
        return used[stated]
    report = Report(Source(scope.outcome, "outcome"))
    named = scope.names.get(scope.outcome)
    if named is not None:
        value: Value | None = input_value(graph, named, (0, len(scope.outcome)))
    else:
        program = _outcome_program(scope.outcome) or parse(scope.outcome, report)
        value = Elaborator(scope, report, graph).expression(program.reward) if program else None
    if report.failed or value is None:
        raise OutcomeError(f"outcome {scope.outcome!r}: {report.found[0].message}")
    if value.node is None or graph.nodes[value.node].op != "input" or value.many:
        raise OutcomeError(f"outcome {scope.outcome!r}: name a column or a primitive of columns")
    return value.node


def check_source(source: Source, scope: Scope, limits: Limits = MODEL) -> Checked:
    """Parse, check, prove and lint one program.

    Raises OutcomeError when the scope's outcome is no input; mistakes in the program are
    diagnostics.
    """
    return linted(prove_source(source, scope, limits))


def linted(checked: Checked) -> Checked:
    """A proven program with its lint findings; one with errors has none."""
    # Compiling a reward needs no lints: they are loaded when they are asked for.
    from derl_dsl import lint

    if checked.prover is None:
        return checked
    return replace(checked, diagnostics=lint.findings(checked))


def prove_source(source: Source, scope: Scope, limits: Limits = MODEL) -> Checked:
    """Parse, check and prove one program: all its errors, and the warnings of its proofs.

    Raises OutcomeError when the scope's outcome is no input.
    """
    report = Report(source)
    graph = Graph()
    program = parse(source.text, report, limits)
    if program is None:
        return Checked(source, scope, tuple(report.sorted()))
    elaborator = Elaborator(scope, report, graph)
    root = elaborator.program(program)
    if root is None:
        return Checked(source, scope, tuple(report.sorted()), program)
    outcome = outcome_node(scope, graph)
    prover = Prover(graph, outcome, report)
    proven = replace(prover.certificate(), steps=prove_steps(graph, report))
    return Checked(
        source, scope, tuple(report.sorted()), program, graph, outcome, proven,
        elaborator.values, elaborator.expressions, prover,
    )  # fmt: skip


def check(
    text: str,
    suite: str | None = None,
    columns: Mapping[str, str | Type] | None = None,
    outcome: str | None = None,
) -> list[Diagnostic]:
    """All findings about a reward program, in the order of the text.

    `suite` names what the program may use; `columns` types further inputs by hand
    (`{"g1": "number[0, 1]"}`) or says what the data calls one (`{"solution": "answer"}`). What is
    not given is read from the header (`# suite: math`). Raises ValueError for an unknown suite or
    type.

    >>> [d.code for d in check("g1 / (g3 - g4)", suite="derl-math")]
    ['DRL301']
    """
    return list(check_source(Source(text), scope_of(text, suite, columns, outcome)).diagnostics)
