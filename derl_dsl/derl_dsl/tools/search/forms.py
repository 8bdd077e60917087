"""The shapes of terms: what each takes, its range, its operations and its syntax tree.

Terms are numbers (N) or conditions (C); W is a feature on its own scale, which only comparisons,
ramps and ranks take. Every form keeps finite arguments finite.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from derl_dsl.elaborate.functions import FUNCTIONS
from derl_dsl.graph import ranges
from derl_dsl.graph.ir import Graph
from derl_dsl.graph.ranges import Range
from derl_grammar import nodes as n
from derl_grammar.records import record

_NOWHERE = (0, 0)
WEIGHTS = (0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.75, 0.8, 1.5, 2.0, 3.0)
LEVELS = (0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9)

Lower = Callable[[Graph, Sequence[int], Sequence[float]], int]
Span = Callable[[Sequence[Range], Sequence[float]], Range]
Show = Callable[[Sequence[n.Expr], Sequence[float]], n.Expr]
# Where a literal comes from: a weight, a level in [0, 1], or the cuts of the feature it stands by.
Kind = Literal["weight", "level", "cut"]


@record
class Form:
    """One shape of terms.

    `takes` has a letter for each argument and `literals` a kind for each number after them; `rate`
    is how often it is drawn, `code` its number in the table and `words` its own share of a size.
    """

    name: str
    takes: str
    result: str
    lower: Lower
    span: Span
    show: Show
    rate: int
    literals: tuple[Kind, ...] = ()
    code: int = -1
    words: int = 1


def _literal(value: float) -> n.Expr:
    return n.NumberLiteral(value, _NOWHERE)


def _call(name: str) -> Show:
    return lambda args, numbers: n.Call(
        name, (*args, *map(_literal, numbers)), (), _NOWHERE, _NOWHERE
    )


def _binary(op: str) -> Show:
    return lambda args, _: n.Binary(op, args[0], args[1], _NOWHERE)


def _compare(op: str) -> Show:
    def show(args: Sequence[n.Expr], numbers: Sequence[float]) -> n.Expr:
        return n.Compare((op,), (*args, *map(_literal, numbers)), _NOWHERE)

    return show


def _op(op: str) -> Lower:
    return lambda graph, args, _: graph.add(op, tuple(args), _NOWHERE)


def _span(op: str) -> Span:
    of = ranges.OPS[op]
    return lambda spans, _: of(*spans)


def _fixed(lo: float, hi: float) -> Span:
    found = Range(lo, hi)
    return lambda _, __: found


_UNIT = _fixed(0.0, 1.0)


def _ramp(graph: Graph, args: Sequence[int], numbers: Sequence[float]) -> int:
    lower = FUNCTIONS["ramp"].lower
    assert lower is not None
    return lower(graph, [*args, *(graph.const(x, _NOWHERE) for x in numbers)], _NOWHERE)


def _grouped(graph: Graph, op: str, at: int) -> int:
    return graph.add(op, (at, graph.truth(True, _NOWHERE)), _NOWHERE)


def _from_mean(graph: Graph, args: Sequence[int], _: Sequence[float]) -> int:
    mean = _grouped(graph, "group_mean", args[0])
    return graph.add("sub", (args[0], mean), _NOWHERE)


def _show_from_mean(args: Sequence[n.Expr], _: Sequence[float]) -> n.Expr:
    return n.Binary("-", args[0], _call("group_mean")(args, ()), _NOWHERE)


def _gap(graph: Graph, args: Sequence[int], _: Sequence[float]) -> int:
    return graph.add("abs", (graph.add("sub", tuple(args), _NOWHERE),), _NOWHERE)


def _show_gap(args: Sequence[n.Expr], _: Sequence[float]) -> n.Expr:
    return _call("abs")([n.Binary("-", args[0], args[1], _NOWHERE)], ())


def _flip(graph: Graph, args: Sequence[int], _: Sequence[float]) -> int:
    return graph.add("sub", (graph.const(1.0, _NOWHERE), args[0]), _NOWHERE)


def _scale(graph: Graph, args: Sequence[int], numbers: Sequence[float]) -> int:
    return graph.add("mul", (graph.const(numbers[0], _NOWHERE), args[0]), _NOWHERE)


def _above(graph: Graph, args: Sequence[int], numbers: Sequence[float]) -> int:
    return graph.add("lt", (graph.const(numbers[0], _NOWHERE), args[0]), _NOWHERE)


def _below(graph: Graph, args: Sequence[int], numbers: Sequence[float]) -> int:
    return graph.add("lt", (args[0], graph.const(numbers[0], _NOWHERE)), _NOWHERE)


def _over_mean(graph: Graph, args: Sequence[int], _: Sequence[float]) -> int:
    return graph.add("lt", (_grouped(graph, "group_mean", args[0]), args[0]), _NOWHERE)


def _show_over_mean(args: Sequence[n.Expr], _: Sequence[float]) -> n.Expr:
    return n.Compare((">",), (args[0], _call("group_mean")(args, ())), _NOWHERE)


def _chosen(spans: Sequence[Range]) -> Range:
    return ranges.hull(spans[1], spans[2])


def _square(graph: Graph, args: Sequence[int], _: Sequence[float]) -> int:
    return graph.add("mul", (args[0], args[0]), _NOWHERE)


_NUMBERS = (
    Form("level", "", "N", lambda g, _, x: g.const(x[0], _NOWHERE),
         lambda _, x: Range(x[0], x[0]), lambda _, x: _literal(x[0]), 1, ("level",)),
    Form("num", "C", "N", _op("num"), _UNIT, lambda a, _: a[0], 6),
    Form("ramp", "W", "N", _ramp, _UNIT, _call("ramp"), 10, ("cut", "cut")),
    Form("rank", "W", "N", lambda g, a, _: _grouped(g, "group_rank", a[0]), _UNIT,
         _call("group_rank"), 2),
    Form("from_mean", "N", "N", _from_mean, lambda s, _: ranges.sub(s[0], s[0]),
         _show_from_mean, 1),
    Form("flip", "N", "N", _flip, lambda s, _: ranges.sub(Range(1.0, 1.0), s[0]),
         lambda a, _: n.Binary("-", _literal(1.0), a[0], _NOWHERE), 2),
    Form("minus", "N", "N", _op("neg"), _span("neg"), lambda a, _: n.Unary("-", a[0], _NOWHERE), 1),
    Form("scale", "N", "N", _scale, lambda s, x: ranges.mul(Range(x[0], x[0]), s[0]),
         lambda a, x: n.Binary("*", _literal(x[0]), a[0], _NOWHERE), 8, ("weight",)),
    Form("square", "N", "N", _square, lambda s, _: ranges.square(s[0]),
         lambda a, _: n.Binary("**", a[0], _literal(2.0), _NOWHERE), 2),
    Form("root", "N", "N", _op("sqrt"), _span("sqrt"), _call("sqrt"), 2),
    Form("add", "NN", "N", _op("add"), _span("add"), _binary("+"), 14),
    Form("sub", "NN", "N", _op("sub"), _span("sub"), _binary("-"), 8),
    Form("mul", "NN", "N", _op("mul"), _span("mul"), _binary("*"), 8),
    Form("min", "NN", "N", _op("min"), _span("min"), _call("min"), 4),
    Form("max", "NN", "N", _op("max"), _span("max"), _call("max"), 4),
    Form("gap", "NN", "N", _gap, lambda s, _: ranges.absolute(ranges.sub(s[0], s[1])),
         _show_gap, 2),
    Form("if", "CNN", "N", _op("select"), lambda s, _: ranges.hull(s[1], s[2]),
         lambda a, _: n.Conditional(a[1], a[0], a[2], _NOWHERE), 8),
)  # fmt: skip
_CONDITIONS = (
    Form("above", "W", "C", _above, _UNIT, _compare(">"), 6, ("cut",)),
    Form("below", "W", "C", _below, _UNIT, _compare("<"), 6, ("cut",)),
    Form("beyond", "N", "C", _above, _UNIT, _compare(">"), 2, ("level",)),
    Form("less", "NN", "C", _op("lt"), _UNIT, _compare("<"), 2),
    Form("over_mean", "W", "C", _over_mean, _UNIT, _show_over_mean, 2),
    Form("not", "C", "C", _op("not"), _UNIT, lambda a, _: n.Unary("not", a[0], _NOWHERE), 2),
    Form("and", "CC", "C", _op("and"), _UNIT, _binary("and"), 3),
    Form("or", "CC", "C", _op("or"), _UNIT, _binary("or"), 3),
)
# A condition counts 1 or 0 without a word, and a level is but its number.
_SILENT = ("num", "level")
FORMS = tuple(
    replace(form, code=k, words=len(form.literals) + (form.name not in _SILENT))
    for k, form in enumerate((*_NUMBERS, *_CONDITIONS), 1)
)
BY_CODE = {form.code: form for form in FORMS}
NAMED = {form.name: form for form in FORMS}
