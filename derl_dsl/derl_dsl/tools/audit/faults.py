"""Does a data file have what a program needs? The codes of faults (7xx) and `check --data`.

Examples are a program whose comment declares its columns, then rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from derl_dsl.prove.checked import Checked
from derl_grammar.diagnostics import Code, Diagnostic, define
from derl_grammar.visible import visible
from derl_runtime.batch import Batch
from derl_runtime.faults import Fault
from derl_runtime.reading import ColumnError
from derl_runtime.seen import infer_type
from derl_runtime.sources import Apply, Column

MISSING_COLUMN = define(
    "DRL701",
    "missing column",
    stage="data",
    why="The program reads a column that the data does not have: no row can be scored.",
    bad='# n: number[0, 9]\n0.1 * n\n{"m": 1}',
    good='# n: number[0, 9]\n0.1 * n\n{"n": 1}',
    suite=None,
)
WRONG_TYPE = define(
    "DRL702",
    "column of another type",
    stage="data",
    why="A column holds something else than was declared: no row can be scored.",
    bad='# n: number[0, 9]\n0.1 * n\n{"n": "1"}',
    good='# n: number[0, 9]\n0.1 * n\n{"n": 1}',
    suite=None,
)
MISSING_VALUE = define(
    "DRL703",
    "missing value",
    stage="data",
    why="A row without a value scores nothing and is left out of training.",
    bad='# n: number[0, 9]\n0.1 * n\n{"n": 1}\n{"n": null}',
    good='# n: number[0, 9]\n0.1 * n\n{"n": 1}\n{"n": 0}',
    suite=None,
)
OUT_OF_RANGE = define(
    "DRL704",
    "value outside its declared range",
    stage="data",
    why="Proofs hold inside the declared range, so a row with a value outside it scores nothing.",
    bad='# n: number[0, 9]\n0.1 * n\n{"n": 1}\n{"n": 12}',
    good='# n: number[0, 12]\n0.1 * n\n{"n": 1}\n{"n": 12}',
    suite=None,
)
NOT_FINITE = define(
    "DRL705",
    "value that is not finite",
    stage="data",
    why="One infinite reward turns every advantage of its group into NaN; such rows score nothing.",
    bad='# n: number[0, 9]\n0.1 * n\n{"n": 1}\n{"n": Infinity}',
    good='# n: number[0, 9]\n0.1 * n\n{"n": 1}\n{"n": 9}',
    suite=None,
)
FAILED = define(
    "DRL706",
    "primitive failed",
    stage="data",
    why="A primitive raised an exception, or returned something else than one value a row.",
    bad='def points(n):\n    return [{1: 0.5}[x] for x in n]\n{"n": 0}',
    good='def points(n):\n    return [{1: 0.5}.get(x, 0) for x in n]\n{"n": 0}',
    suite=None,
)

_OF_CLASS: dict[str, Code] = {
    "missing": MISSING_VALUE,
    "out_of_range": OUT_OF_RANGE,
    "nonfinite": NOT_FINITE,
}
Data = Mapping[str, Sequence[Any]]


def check_data(checked: Checked, data: Data) -> Checked:
    """The program with what the rows of `data` lack added to its diagnostics.

    A program with errors is only told which unknown names are columns of the data.
    """
    if checked.graph is None or not checked.ok:
        found = tuple(_with_column(d, checked.source.text, data) for d in checked.diagnostics)
        return replace(checked, diagnostics=found)
    new = dict.fromkeys(_findings(checked, data))
    ordered = sorted([*checked.diagnostics, *new], key=lambda d: (d.span.start, d.span.end, d.code))
    return replace(checked, diagnostics=tuple(ordered))


def _with_column(found: Diagnostic, text: str, data: Data) -> Diagnostic:
    name = text[found.span.start : found.span.end]
    kind = infer_type(data[name]) if found.code == "DRL101" and name in data else None
    if kind is None:
        return found
    hint = f"the data has it: declare it with --column '{name}:{kind}'"
    return replace(found, hints=(*found.hints, hint))


def _findings(checked: Checked, data: Data) -> Iterator[Diagnostic]:
    graph = checked.graph
    assert graph is not None
    batch = Batch(data)
    told: set[str] = set()
    for i in graph.inputs(graph.roots()):
        source = graph.source(i)
        span = checked.source.span(*graph.places[i])
        absent = [c for c in _columns(source, data) if c.name not in data]
        for column in absent:
            if column.name not in told:
                told.add(column.name)
                message = f"the data has no column {column.name!r} ({column.type})"
                have = visible(", ".join(map(str, data)))
                hint = f"its columns: {have}"
                yield Diagnostic("DRL701", MISSING_COLUMN.severity, message, span, (hint,))
        if absent:
            continue
        before = len(batch.faults)
        try:
            batch.values(source)
        except ColumnError as error:
            message = visible(str(error))
            if message not in told:
                told.add(message)
                yield Diagnostic("DRL702", WRONG_TYPE.severity, message, span, _NEXT)
        for fault in batch.faults[before:]:
            code = _OF_CLASS.get(fault.kind, FAILED)
            hints = _hints(code, fault, data)
            yield Diagnostic(code.code, code.severity, _message(fault, batch.rows), span, hints)


_NEXT = ("fix the column, or declare its real type with --column",)


def _columns(source: Column | Apply, data: Data) -> Iterator[Column]:
    """The data columns behind an input; a bound name that the data has is read as it is."""
    if isinstance(source, Column):
        yield source
    elif source.name is None or source.name not in data:
        for arg in source.args:
            if isinstance(arg, Column | Apply):
                yield from _columns(arg, data)


def _message(fault: Fault, rows: int) -> str:
    listed = ", ".join(map(str, fault.rows)) + (", …" if fault.count > len(fault.rows) else "")
    what = f"{fault.name}: {fault.message}"
    return visible(f"{what} in {fault.count:,} of {rows:,} rows (row {listed}, from 0)")


def _hints(code: Code, fault: Fault, data: Data) -> tuple[str, ...]:
    name = fault.name
    kind = infer_type(data[name]) if name in data else None
    if code is OUT_OF_RANGE and kind is not None:
        return (f"the data spans {kind}: declare that, or fix the rows",)
    if code is MISSING_VALUE:
        return (f"fix the rows, or declare {name} as optional (?) and give it a default",)
    return ()
