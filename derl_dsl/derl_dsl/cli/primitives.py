"""`derl-dsl primitives`: what a reward can measure."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from derl_dsl.cli.inputs import fail, read_settings
from derl_dsl.elaborate.custom import REGISTRY
from derl_dsl.elaborate.values import closest
from derl_dsl.tools.console import Console
from derl_grammar.spans import Source
from derl_primitives.primitive import Primitive
from derl_primitives.suites import SUITES
from derl_primitives.text import TEXT_FUNCTIONS


def _tables() -> dict[str, dict[str, Primitive]]:
    """The primitives by suite; the text functions, which every program has, come first."""
    tables = {"every program": dict(TEXT_FUNCTIONS)}
    for suite in SUITES.values():
        bound = {name: b.primitive for name, b in suite.bindings.items()}
        tables[suite.name] = {**suite.primitives, **bound}
    if REGISTRY:
        tables["custom"] = {name: entry.primitive for name, entry in REGISTRY.items()}
    return tables


def primitives_command(
    name: Annotated[str | None, typer.Argument(help="Show one primitive, or one suite.")] = None,
) -> None:
    """List the primitives of all suites; with a name, document one primitive or one suite."""
    read_settings(Source("", "<project>"))  # a project's own are listed too
    tables = _tables()
    found = {s: t[name] for s, t in tables.items() if name in t} if name else {}
    if found:
        for suite, primitive in found.items():
            _document(suite, primitive)
    elif name is None or name in tables:
        _list({name: tables[name]} if name else tables)
    else:
        known = {*tables, *(p for t in tables.values() for p in t)}
        fail(f"unknown primitive or suite {name!r}; " + ", ".join(closest(name, known)))


def _list(tables: dict[str, dict[str, Primitive]]) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("suite", "primitive", "what it says"):
        table.add_column(column, header_style="bold", overflow="fold")
    for suite, primitives in tables.items():
        shown = suite
        for name, primitive in primitives.items():
            first = primitive.doc.split("\n\n")[0].replace("\n", " ").split(" >>> ")[0]
            signature = primitive.signature.replace(f"{primitive.name}(", f"{name}(", 1)
            table.add_row(Text(shown, "bold"), Text(signature), Text(first))
            shown = ""
    Console().print(table)


def _document(suite: str, primitive: Primitive) -> None:
    typer.echo(
        f"{primitive.signature}\n  suite {suite}, cost {primitive.cost}, {primitive.source}\n"
    )
    if primitive.measured is not None:
        typer.echo(f"Of hard cases it {primitive.measured} (95% intervals).\n")
    typer.echo(primitive.doc + "\n")
