"""The features that programs are made of: what the names of a scope say about the rollouts."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derl_dsl.elaborate.expressions import Elaborator
from derl_dsl.elaborate.functions import FUNCTIONS
from derl_dsl.elaborate.scope import PROGRESS, Scope
from derl_dsl.elaborate.values import Value
from derl_dsl.generate.unparse import expression_text
from derl_dsl.graph.ir import Graph
from derl_dsl.graph.needs import Needs
from derl_dsl.prove.analyse import Analysis
from derl_dsl.score.binding import group_offsets, read_inputs
from derl_dsl.score.kernels import Kernels
from derl_dsl.score.outputs import compute
from derl_grammar import nodes as n
from derl_grammar.diagnostics import Report
from derl_grammar.records import record
from derl_grammar.spans import Source
from derl_grammar.types import List, Number, Text, Type
from derl_primitives.primitive import Primitive
from derl_runtime.batch import Batch
from derl_runtime.reading import rows_in
from derl_runtime.seen import infer_type
from derl_runtime.sources import Apply, Column, plain

Array = NDArray[np.float64]
Data = Mapping[str, Sequence[Any]]

_NOWHERE = (0, 0)
# What completions are asked for where a primitive wants an argument written out.
_WRITTEN: dict[str, tuple[str | float, ...]] = {
    "contains": ("\\boxed", "####"),
    "count": ("\n", "=", "?"),
    "count_matches": ("[0-9]+",),
    "has_block": ("think", "answer"),
    "repetition": (3.0,),
}
_WRITTEN_COLUMN = "completion"
_AT_ONCE = 4096  # rows
# A feature that lacks a value in more rows than this is left out; else those rows are.
_MISSING = 0.05
_CUTS = 12
_RATIOS = 8  # at most so many features are set against one another


@record
class Feature:
    """A number or condition of each rollout.

    `lo` and `hi` are proven bounds; `cuts` numbers between its values on the data, rounded, rising.
    """

    expr: n.Expr
    text: str
    condition: bool
    lo: float
    hi: float
    cuts: tuple[float, ...]

    @property
    def unit(self) -> bool:
        """Whether it goes into sums as it is; others are first scaled between two cuts."""
        return not self.condition and self.lo >= -1.5 and self.hi <= 1.5


def _number(value: float) -> n.NumberLiteral:
    return n.NumberLiteral(value, _NOWHERE)


def call(name: str, *args: n.Expr) -> n.Expr:
    """The syntax tree of a call."""
    return n.Call(name, args, (), _NOWHERE, _NOWHERE)


def measured(scope: Scope, data: Data, without: Sequence[str]) -> list[tuple[Feature, Array]]:
    """All features of a scope with their (B,) values, NaN where one has none.

    Columns that the data lacks, and those named in `without`, are not asked for. Left out too are
    features that miss values in many rows, or have the values of an earlier one.
    """
    names = {
        name: source
        for name, source in scope.names.items()
        if source is not PROGRESS and name not in without and _present(source, data)
    }
    able = Scope(names, scope.primitives, None, scope.suite)
    found = _evaluated(able, data, list(_expressions(able, data)))
    wide = [(f, v) for f, v in found if not f.unit and not f.condition and f.lo >= 0][:_RATIOS]
    ratios = [
        n.Binary("/", a.expr, call("max", b.expr, _number(1.0)), _NOWHERE)
        for (a, _), (b, values) in itertools.permutations(wide, 2)
        if np.nanmedian(values) > 1
    ]
    return _distinct([*found, *_evaluated(able, data, ratios)])


def _present(source: Column | Apply, data: Data) -> bool:
    if isinstance(source, Column) or source.name in data:
        return source.name in data
    return all(_present(a, data) for a in source.args if isinstance(a, Column | Apply))


def _expressions(scope: Scope, data: Data) -> Iterator[n.Expr]:
    """Names, primitives of columns, and what is made of lists, as expressions to elaborate."""
    for name, source in scope.names.items():
        kind = plain(source)
        at = n.Name(name, _NOWHERE)
        if not isinstance(kind, List):
            yield at
        elif not isinstance(kind.item, Text):
            yield from _of_list(at)
    for primitive in scope.primitives.values():
        if primitive.cost == "process":
            continue
        for args in _arguments(primitive, scope, data):
            one = call(primitive.name, *args)
            yield one
            yield from _of_list(one)


def _of_list(steps: n.Expr) -> Iterator[n.Expr]:
    """Numbers made of a list; those that do not fit its type fail to elaborate and fall out."""
    for name in ("mean", "sum", "min", "max", "first", "last", "count"):
        yield call(name, steps)
    for k in (1.0, 2.0, 3.0):
        yield call("mean", call("third", steps, _number(k)))


def _arguments(primitive: Primitive, scope: Scope, data: Data) -> Iterator[tuple[n.Expr, ...]]:
    """The arguments a primitive is tried with: columns of the right type, in declared order."""
    if primitive.beside and not any(c.name in data for c in primitive.beside.values()):
        return
    columns: list[str] = []
    written: tuple[str | float, ...] = ()
    for param in primitive.params:
        if param.literal is not None:
            written = _WRITTEN.get(primitive.name, ())
            if not written or param is not primitive.params[-1]:
                return
            columns = [c for c in columns if c == _WRITTEN_COLUMN]
            continue
        fits = [
            name for name, s in scope.names.items()
            if type(plain(s)) is type(param.type) and name not in columns
        ]  # fmt: skip
        fits = [name for name in fits if not primitive.beside or name in primitive.beside]
        if not fits:
            return
        # A parameter named as a column is that column.
        columns.append(param.name if param.name in fits else fits[0])
    names = tuple(n.Name(c, _NOWHERE) for c in columns)
    if written and names:
        for value in written:
            literal = n.TextLiteral(value, _NOWHERE) if isinstance(value, str) else _number(value)
            yield (*names, literal)
    elif not written:
        yield names


def _evaluated(
    scope: Scope, data: Data, expressions: Sequence[n.Expr]
) -> list[tuple[Feature, Array]]:
    """Those of the expressions that are numbers or conditions, bounded, with their values."""
    graph = Graph()
    known: dict[str, tuple[n.Expr, Value]] = {}
    for expr in expressions:
        report = Report(Source(""))
        value = Elaborator(scope, report, graph).expression(expr)
        if value.valid is not None and not value.many:
            expr = call("default", expr, _number(0.0))
            value = Elaborator(scope, report, graph).expression(expr)
        fine = value.kind in ("number", "bool") and not value.many and not report.failed
        if fine and value.node is not None and Analysis(graph, [value.node])[value.node].finite:
            text = expression_text(expr)
            known[text] = (expr, value)
            graph.outputs[text] = value.node
    needs, kernels = Needs.of(graph), Kernels(graph, "reference", "float64")
    parts: dict[str, list[Array]] = {text: [] for text in known}
    # The reference keeps every value of every node: it takes some rows at a time.
    for start in range(0, rows_in(data), _AT_ONCE):
        batch = Batch({name: values[start : start + _AT_ONCE] for name, values in data.items()})
        reading = read_inputs(needs, batch, group_offsets(batch.rows, None))
        for text, part in compute(kernels, reading, known, None).values.items():
            parts[text].append(part)
    found = []
    for text, (expr, value) in known.items():
        values = np.concatenate(parts.pop(text))
        assert value.node is not None
        span = Analysis(graph, [value.node])[value.node]
        condition = value.kind == "bool"
        cuts = () if condition else _cuts(values)
        found.append((Feature(expr, text, condition, span.lo, span.hi, cuts), values))
    return found


def _distinct(found: list[tuple[Feature, Array]]) -> list[tuple[Feature, Array]]:
    kept: dict[bytes, tuple[Feature, Array]] = {}
    for feature, values in found:
        if np.isnan(values).mean() <= _MISSING:
            kept.setdefault(blake2b(values.tobytes()).digest(), (feature, values))
    return list(kept.values())


def _cuts(values: Array) -> tuple[float, ...]:
    """Quantiles of the values, rounded to two digits (more where values lie closer)."""
    present = values[~np.isnan(values)]
    if not len(present):
        return ()
    inner = np.quantile(present, np.linspace(0.03, 0.97, _CUTS))
    tries = [{float(f"{q:.{digits}g}") for q in inner} for digits in (2, 3, 6)]
    wanted = min(len(tries[-1]), _CUTS // 2)
    return tuple(sorted(next(t for t in tries if len(t) >= wanted)))


def infer_declared(data: Data, taken: Scope, without: Sequence[str]) -> dict[str, Type]:
    """Types of the number, condition and list columns of the data that a scope does not know."""
    found: dict[str, Type] = {}
    for name, values in data.items():
        known = name in taken.names or name in taken.primitives or name in FUNCTIONS
        if known or name in without or not name.isidentifier():
            continue
        kind = infer_type(values)
        item = kind.item if isinstance(kind, List) else kind
        if isinstance(item, Number):
            # Rounded outwards: what is written with few digits still holds every value.
            item = Number(_rounded(item.lo, math.floor), _rounded(item.hi, math.ceil))
        if item is not None and not isinstance(item, Text):
            found[name] = List(item) if isinstance(kind, List) else item
    return found


def _rounded(value: float, towards: Callable[[float], int]) -> float:
    """The value with two digits: 0.983 becomes 0.99 or 0.98, 1234 becomes 1300 or 1200."""
    if value == 0 or math.isinf(value):
        return value
    step = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    return float(f"{towards(value / step) * step:.6g}")
