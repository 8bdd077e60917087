"""Values of one program as nodes of its graph: inputs, operations, numbers and conditions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from derl_dsl.elaborate import codes
from derl_dsl.elaborate.scope import Scope
from derl_dsl.elaborate.values import BROKEN, Value
from derl_dsl.graph.ir import Graph
from derl_grammar.diagnostics import Report
from derl_grammar.nodes import Place
from derl_grammar.types import List, Text
from derl_runtime.sources import Apply, Column, is_optional, plain


def input_value(graph: Graph, source: Column | Apply, place: Place) -> Value:
    """The value of a column, or of a primitive of columns, in the graph."""
    kind = plain(source)
    item = kind.item if isinstance(kind, List) else kind
    valid = graph.add("valid", (), place, source) if is_optional(source) else None
    if isinstance(item, Text):
        return Value("text", source=source, valid=valid, many=item is not kind)
    at = graph.add("input", (), place, source)
    node = graph.nodes[at]
    return Value("bool" if node.is_bool else "number", at, source, valid, node.is_list)


class Converter:
    """What operators and calls of one program share: its names so far, and nodes for values.

    `parts` holds the parts defined so far, `naming` the name of the one being defined.
    """

    def __init__(self, scope: Scope, report: Report, graph: Graph) -> None:
        self.scope = scope
        self.report = report
        self.graph = graph
        self.parts: dict[str, Value] = {}
        self.naming: str | None = None

    def input(self, source: Column | Apply, place: Place) -> Value:
        """The value of a column, or of a primitive of columns."""
        return input_value(self.graph, source, place)

    def operation(
        self, kind: str, op: str, args: tuple[int, ...], place: Place, below: Sequence[Value]
    ) -> Value:
        """A new value from `args`; lists must be of one length, optionals stay optional."""
        nodes = self.graph.nodes
        lists = [a for a in args if nodes[a].is_list]
        if len(lists) > 1 and len(set(map(self.graph.slicing, lists))) > 1:
            message = "these lists have different lengths: one is a part of the episode"
            self.report.add(codes.LENGTHS, place, message, "cut both alike, or reduce one first")
            return BROKEN
        at = self.graph.add(op, args, place)
        return Value(kind, at, None, self.together(below, place), nodes[at].is_list)

    def together(self, values: Sequence[Value], place: Place) -> int | None:
        """The condition under which all of `values` apply; None when they always do."""
        conditions = [v.valid for v in values if v.valid is not None]
        if not conditions:
            return None
        unique = dict.fromkeys(conditions)
        return reduce(lambda a, b: self.graph.add("and", (a, b), place), unique)

    def number(self, value: Value, place: Place) -> int:
        """The node of a value as a number; a condition counts 1 or 0."""
        assert value.node is not None
        if value.kind == "bool":
            return self.graph.add("num", (value.node,), place)
        return value.node

    def as_number(self, value: Value, place: Place, what: str) -> int | None:
        """The node of a value as a number, or None after reporting that it is none."""
        if value.kind == "number":
            return value.node
        if value.kind == "bool":
            return self.number(value, place)
        if value.kind != "broken":
            message = f"{what} must be a number, this is {value.words}"
            hints = {
                "text": "use a function of the text, such as words(…)",
                "skip": "write: … if condition else skip",
            }
            self.report.add(codes.OPERAND, place, message, hints[value.kind])
        return None

    def as_condition(self, value: Value, place: Place, what: str) -> int | None:
        """The node of a condition, or None after reporting that it is none."""
        if value.kind == "bool":
            return value.node
        if value.kind != "broken":
            message = f"{what} must be a condition, this is {value.words}"
            hint = 'compare it: … == "…"' if value.kind == "text" else "compare it: … > 0"
            ends = ("where it may be missing: default(…, 0)",) if value.valid is not None else ()
            self.report.add(codes.CONDITION, place, message, hint, *ends)
        return None
