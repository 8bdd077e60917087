"""`derl-dsl explain`: what is proven of a reward, and why."""

from __future__ import annotations

import re
from textwrap import indent
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from derl_dsl.backends.loops import loops
from derl_dsl.checker import OutcomeError, check_source
from derl_dsl.cli.inputs import (
    AsFormat,
    Columns,
    Expression,
    Format,
    Outcome,
    Suite,
    fail,
    read_settings,
    read_sources,
    show_json,
)
from derl_dsl.passes import lower
from derl_dsl.prove.bounds import Bound
from derl_dsl.prove.checked import Checked
from derl_dsl.tools.catalogue import load_codes
from derl_dsl.tools.console import Console
from derl_dsl.tools.explain import Explanation, explain
from derl_grammar.diagnostics import CODES, render
from derl_grammar.limits import WIDE

_ARROWS = {"rises": "↑ rises", "falls": "↓ falls", "none": "no effect", "mixed": "either way"}
_MONOTONE = {True: "never falls", False: "can fall", None: "not decided"}


def explain_command(
    file: Annotated[
        str | None, typer.Argument(help="A reward file; - reads from stdin. Or a code: DRL301.")
    ] = None,
    expression: Expression = None,
    suite: Suite = None,
    column: Columns = None,
    outcome: Outcome = None,
    graph: Annotated[bool, typer.Option("--graph", help="Show the operations as well.")] = False,
    numba: Annotated[
        bool, typer.Option("--numba", help="Print the reward as Python loops for numba, to keep.")
    ] = False,
    format: AsFormat = Format.text,
) -> None:
    """Explain a reward: typed parts with ranges, influence of each input, certificate, operations.

    Of a code it says why the finding exists, with a program that has it and one that has not.

    Exits 1 when the program has errors, which are shown, and 2 when an input could not be read.
    """
    if file is not None and re.fullmatch(r"DRL\d{3}", file):
        typer.echo(_page(file))
        return
    source = read_sources([file] if file else [], expression)[0]
    try:
        settings = read_settings(source, suite, column, outcome)
        checked = check_source(source, settings.scope(), WIDE)
    except OutcomeError as error:
        fail(str(error))
    if not checked.ok:
        typer.echo(render(checked.diagnostics, checked.source), err=True)
        raise typer.Exit(1)
    if numba:
        typer.echo(_loops(checked), nl=False)
        return
    found = explain(checked)
    if format is Format.json:
        show_json("explain", found.to_json())
    else:
        _print(found, graph)


def _loops(checked: Checked) -> str:
    """The source of the numba backend: all outputs, in order, as rows of `out`."""
    assert checked.graph is not None
    lowered = lower(checked.graph)
    names = ", ".join(lowered.outputs)
    text: str = loops().source.write(lowered, list(lowered.outputs.values()))
    return f"# The rows of out: {names}\n{text}"


def _page(code: str) -> str:
    """What is known of a code: the page of grammar/CODES.md as text."""
    load_codes()
    known = CODES.get(code)
    if known is None:
        near = ", ".join(sorted(c for c in CODES if c[:4] == code[:4])) or "none"
        ends = f"{min(CODES)} to {max(CODES)}"
        fail(f"no code {code}; of {code[:4]}nn there are: {near}; all lie in {ends}")
    parts = [("instead of", known.bad), ("write", known.good)]
    shown = [f"{title}\n{indent(text, '    ')}" for title, text in parts]
    return "\n\n".join([f"{code} ({known.severity}): {known.title}", known.why, *shown])


def _print(found: Explanation, with_graph: bool) -> None:
    console = Console()

    def table(*columns: str) -> Table:
        result = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for column in columns:
            result.add_column(column, overflow="fold", header_style="bold")
        return result

    parts = table("part", "type", "range", "text")
    for part in found.parts:
        span = "" if part.lo is None else f"[{part.lo:.6g}, {part.hi:.6g}]"
        parts.add_row(*map(_plain, (part.name, part.type, span, part.text)))
    console.print(parts)
    inputs = table("input", "type", "when it rises, the reward")
    for one in found.influences:
        inputs.add_row(*map(_plain, (one.name, one.type, _ARROWS[one.direction])))
    console.print()
    console.print(inputs)
    console.print()
    for line in _certificate(found):
        console.print(_plain(line))
    if with_graph:
        console.print()
        console.print(_plain(found.graph))


def _certificate(found: Explanation) -> list[str]:
    certificate = found.certificate
    how = "by enumeration of all input values" if certificate.exact else "by intervals"
    lines = [
        f"finite       yes, in [{certificate.lo:.6g}, {certificate.hi:.6g}] ({how})",
        f"constant     {'yes' if certificate.constant else 'no'}",
        f"outcome      {_MONOTONE[certificate.outcome_monotone]} when the outcome rises",
    ]
    if certificate.margin is not None:
        between, errs = "between right and wrong", ""
        if found.measured is not None:
            between = f"between what {found.outcome} calls right and wrong"
            errs = f"it errs in {found.measured.errs} of hard cases"
        lines.append(f"margin       {certificate.margin:.6g} {between}")
        if errs:
            lines.append(f"             {errs}")
    vetoes = ", ".join(certificate.vetoes) or "none"
    if certificate.undecided_vetoes:
        vetoes += f"; not decided: {', '.join(certificate.undecided_vetoes)}"
    lines.append(f"vetoes       {vetoes}")
    if certificate.steps is not None:
        steps = certificate.steps
        same = "telescope; " if steps.telescopes else ""
        circle = f"going in circles earns at most {steps.circling:.6g} a step"
        lines.append(f"steps        in [{steps.lo:.6g}, {steps.hi:.6g}]; {same}{circle}")
    lines.append(f"cost         {certificate.cost} operations per rollout")
    if certificate.bound is not None:
        lines += _bound(certificate.bound)
    lines.append(f"key          {found.key}")
    return lines


def _plain(text: str) -> Any:
    return Text(text)


def _bound(bound: Bound) -> list[str]:
    """The most that one rollout takes."""
    most = f"{bound.seconds * 1e3:.3g} ms and {bound.memory / 1e6:.3g} MB"
    lines = [f"at most      {most} for a rollout of {bound.longest:,} characters"]
    if bound.waits:
        lines.append(f"             and {bound.waits:g} s of worker processes")
    return lines
