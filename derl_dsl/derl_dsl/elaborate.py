"""From syntax tree to graph: names and types are checked here, every operation gets its node."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

from derl_grammar import nodes as n
from derl_grammar.diagnostics import Report
from derl_grammar.nodes import Place
from derl_grammar.types import Bool, Number, Text, Type
from derl_primitives.primitive import Primitive, primitive
from derl_runtime.sources import Apply, Column, Literal, Source

from derl_dsl import codes
from derl_dsl.functions import FUNCTIONS, Function
from derl_dsl.ir import Graph
from derl_dsl.scope import Scope

ARITHMETIC = {"+": "add", "-": "sub", "*": "mul", "/": "div", "%": "mod", "**": "pow"}


@primitive("(left: text, right: text) -> bool", cost="constant")
def same_text(left: list[str], right: list[str] | str) -> list[bool]:
    """Whether two texts are equal, character by character."""
    if isinstance(right, str):
        return [a == right for a in left]
    return [a == b for a, b in zip(left, right, strict=True)]


@dataclass(frozen=True, slots=True)
class Value:
    """What an expression stands for: a node of the graph, or an input (texts), or neither."""

    kind: str
    node: int | None = None
    source: Source | None = None


BROKEN = Value("broken")


def closest(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """A did-you-mean hint, when a known name is near."""
    import difflib  # 5 ms that only a mistake should cost

    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return (f"did you mean {found[0]!r}?",) if found else ()


class Elaborator:
    """Elaborates one program over one scope into one graph."""

    def __init__(self, scope: Scope, report: Report, graph: Graph) -> None:
        self.scope = scope
        self.report = report
        self.graph = graph
        self.parts: dict[str, Value] = {}
        # What each expression stands for, by the id of its syntax node; lints and hovers read it.
        self.values: dict[int, Value] = {}

    # Statements

    def program(self, program: n.Program) -> int | None:
        """Elaborates all parts and the reward; the reward's node, or None after an error."""
        for part in program.parts:
            value = self.expression(part.value)
            if self._definable(part):
                self.parts[part.name] = value
                if value.node is not None:
                    self.graph.outputs[part.name] = self._number(value, part.place)
        reward = self._as_number(
            self.expression(program.reward), program.reward.place, "the reward"
        )
        if reward is None or self.report.failed:
            return None
        self.graph.outputs["reward"] = reward
        return reward

    def _definable(self, part: n.Assignment) -> bool:
        name, place = part.name, part.name_place
        if name in self.parts:
            self.report.add(codes.TWICE, place, f"{name!r} is defined twice", "use another name")
            return False
        taken = {
            "a function": FUNCTIONS,
            "a name of the suite or a column": self.scope.names,
            "a primitive": self.scope.primitives,
        }
        for what, table in taken.items():
            if name in table:
                message = f"{name!r} is {what} already"
                self.report.add(codes.SHADOW, place, message, "use another name")
        return True

    # Expressions, operands first, without recursion

    def expression(self, root: n.Expr) -> Value:
        """The value of an expression; errors are reported, BROKEN stands for what they hide."""
        values = self.values
        for node in n.postorder(root):
            values[id(node)] = self._one(node, [values[id(c)] for c in n.children(node)])
        return values[id(root)]

    def _one(self, node: n.Expr, below: list[Value]) -> Value:
        graph, place = self.graph, node.place
        match node:
            case n.NumberLiteral():
                return Value("number", graph.const(node.value, place), Literal(node.value))
            case n.BoolLiteral():
                return Value("bool", self._truth(node.value, place), Literal(node.value))
            case n.TextLiteral():
                return Value("text", source=Literal(node.value))
            case n.Name():
                return self._name(node)
            case n.Unary(op="not"):
                return self._logic("not", below, node)
            case n.Binary(op="and" | "or"):
                return self._logic(node.op, below, node)
            case n.Unary():
                return self._unary(node, below[0])
            case n.Binary():
                return self._arithmetic(node, below)
            case n.Compare():
                return self._compare(node, below)
            case n.Conditional():
                return self._conditional(node, below)
            case n.Call():
                return self._call(node, below)

    def _truth(self, value: bool, place: Place) -> int:
        one, zero = self.graph.const(1.0, place), self.graph.const(0.0, place)
        return self.graph.add("lt", (zero, one) if value else (one, zero), place)

    def _name(self, node: n.Name) -> Value:
        name, place = node.name, node.place
        if name in self.parts:
            return self.parts[name]
        if name in self.scope.names:
            return self._input(self.scope.names[name], place)
        if name in FUNCTIONS or name in self.scope.primitives:
            table = FUNCTIONS.get(name) or self.scope.primitives[name]
            message = f"{name!r} is a function; it needs its arguments"
            self.report.add(codes.UNCALLED, place, message, f"write {table.signature}")
            return BROKEN
        hints = closest(name, [*self.scope.names, *self.parts])
        have = ", ".join([*self.scope.names, *self.parts]) or "none; give a suite or columns"
        self.report.add(
            codes.UNKNOWN_NAME, place, f"unknown name {name!r}", *hints, f"names: {have}"
        )
        return BROKEN

    def _input(self, source: Column | Apply, place: Place) -> Value:
        kind = source.type
        if isinstance(kind, Text):
            return Value("text", source=source)
        if isinstance(kind, Number | Bool):
            at = self.graph.add("input", (), place, source)
            return Value("bool" if isinstance(kind, Bool) else "number", at, source)
        return Value("list", source=source)

    # Conversions

    def _number(self, value: Value, place: Place) -> int:
        assert value.node is not None
        if value.kind == "bool":
            return self.graph.add("num", (value.node,), place)
        return value.node

    def _as_number(self, value: Value, place: Place, what: str) -> int | None:
        if value.kind in ("number", "bool"):
            return self._number(value, place)
        if value.kind != "broken":
            message = f"{what} must be a number, this is {_article(value.kind)}"
            hint = (
                ("use a primitive of the text, such as words(…)",) if value.kind == "text" else ()
            )
            self.report.add(codes.OPERAND, place, message, *hint)
        return None

    def _as_condition(self, value: Value, place: Place, what: str) -> int | None:
        if value.kind == "bool":
            return value.node
        if value.kind != "broken":
            message = f"{what} must be a condition, this is {_article(value.kind)}"
            hint = "compare it: … > 0" if value.kind == "number" else 'compare it: … == "…"'
            self.report.add(codes.CONDITION, place, message, hint)
        return None

    # Operators

    def _unary(self, node: n.Unary, operand: Value) -> Value:
        at = self._as_number(operand, node.operand.place, f"the operand of {node.op!r}")
        if at is None:
            return BROKEN
        if node.op == "+":
            return Value("number", at)
        payload = self.graph.nodes[at].payload
        if isinstance(payload, float):
            return Value("number", self.graph.const(-payload, node.place), Literal(-payload))
        return Value("number", self.graph.add("neg", (at,), node.place))

    def _arithmetic(self, node: n.Binary, below: list[Value]) -> Value:
        what = f"the operand of {node.op!r}"
        left = self._as_number(below[0], node.left.place, what)
        right = self._as_number(below[1], node.right.place, what)
        if left is None or right is None:
            return BROKEN
        if node.op == "**" and isinstance(node.right, n.NumberLiteral):
            return Value("number", self._power(left, right, node.right.value, node.place))
        return Value("number", self.graph.add(ARITHMETIC[node.op], (left, right), node.place))

    def _power(self, base: int, exponent: int, literal: float, place: Place) -> int:
        """Literal exponents 2, 3 and 4 multiply, so that their rounding is the same everywhere."""
        if literal not in (2.0, 3.0, 4.0):
            return self.graph.add("pow", (base, exponent), place)
        square = self.graph.add("mul", (base, base), place)
        other = {2.0: None, 3.0: base, 4.0: square}[literal]
        return square if other is None else self.graph.add("mul", (square, other), place)

    def _logic(self, op: str, below: list[Value], node: n.Unary | n.Binary) -> Value:
        places = [c.place for c in n.children(node)]
        found = [
            self._as_condition(v, p, f"the operand of `{op}`")
            for v, p in zip(below, places, strict=True)
        ]
        args = tuple(a for a in found if a is not None)
        if len(args) < len(found):
            return BROKEN
        return Value("bool", self.graph.add(op, args, node.place))

    def _compare(self, node: n.Compare, below: list[Value]) -> Value:
        found: list[int | None] = []
        for i, op in enumerate(node.ops):
            places = (node.operands[i].place, node.operands[i + 1].place)
            found.append(self._compare_two(op, below[i], below[i + 1], places))
        done = [f for f in found if f is not None]
        if len(done) < len(found):
            return BROKEN
        return Value("bool", reduce(lambda a, b: self.graph.add("and", (a, b), node.place), done))

    def _compare_two(
        self, op: str, left: Value, right: Value, places: tuple[Place, Place]
    ) -> int | None:
        place = (places[0][0], places[1][1])
        if left.kind == "text" and right.kind == "text" and op in ("==", "!="):
            if left.source is None or right.source is None:
                message = "texts are compared with columns, literals or primitives of them"
                self.report.add(codes.STAGED, place, message, "compare first, then choose")
                return None
            if isinstance(left.source, Literal) and isinstance(right.source, Literal):
                return self._truth((left.source == right.source) == (op == "=="), place)
            # A literal goes to the right: primitives read a column first.
            pair = (left.source, right.source)
            first, second = pair[::-1] if isinstance(left.source, Literal) else pair
            same = Apply(same_text, (first, second))
            at = self.graph.add("input", (), place, same)
            return at if op == "==" else self.graph.add("not", (at,), place)
        if {left.kind, right.kind} == {"text", "number"}:
            message = f"a text and a number cannot be compared with {op!r}"
            self.report.add(codes.COMPARED, place, message, "compare values of the same type")
            return None
        a = self._as_number(left, places[0], f"the operand of {op!r}")
        b = self._as_number(right, places[1], f"the operand of {op!r}")
        if a is None or b is None:
            return None
        if op in (">", ">="):
            a, b = b, a
        table = {"<": "lt", ">": "lt", "<=": "le", ">=": "le", "==": "eq", "!=": "ne"}
        return self.graph.add(table[op], (a, b), place)

    def _conditional(self, node: n.Conditional, below: list[Value]) -> Value:
        test, then, other = below
        condition = self._as_condition(test, node.test.place, "the test of a conditional")
        kinds = {then.kind, other.kind}
        if kinds == {"bool"}:
            left, right, kind = then.node, other.node, "bool"
        elif kinds == {"text"}:
            return Value("text") if condition is not None else BROKEN
        else:
            if "text" in kinds and "broken" not in kinds and len(kinds) > 1:
                message = f"the branches differ: {_article(then.kind)} and {_article(other.kind)}"
                self.report.add(codes.BRANCHES, node.place, message, "give both the same type")
                return BROKEN
            left = self._as_number(then, node.then.place, "a branch")
            right = self._as_number(other, node.other.place, "a branch")
            kind = "number"
        if condition is None or left is None or right is None:
            return BROKEN
        return Value(kind, self.graph.add("select", (condition, left, right), node.place))

    # Calls

    def _call(self, node: n.Call, below: list[Value]) -> Value:
        function = FUNCTIONS.get(node.name)
        primitive = self.scope.primitives.get(node.name)
        if function is None and primitive is None:
            self._unknown_function(node)
            return BROKEN
        signature = function.signature if function else primitive.signature  # type: ignore[union-attr]
        for keyword in node.keywords:
            message = f"{node.name} takes no argument named {keyword.name!r}"
            self.report.add(codes.KEYWORD, keyword.place, message, f"write {signature}")
        least = len(function.params if function else primitive.params)  # type: ignore[union-attr]
        given = len(node.args)
        if given < least or (given > least and not (function and function.variadic)):
            message = f"{node.name} takes {_count(least)}, {given} given"
            self.report.add(codes.ARITY, node.place, message, f"write {signature}")
            return BROKEN
        if node.keywords:
            return BROKEN
        if function is not None:
            return self._function(function, node, below)
        assert primitive is not None
        return self._primitive(primitive, node, below)

    def _unknown_function(self, node: n.Call) -> None:
        name = node.name
        if name in self.parts or name in self.scope.names:
            message = f"{name!r} is a value, not a function"
            hints: tuple[str, ...] = ("products are written with *",)
        else:
            message = f"unknown function {name!r}"
            hints = closest(name, [*FUNCTIONS, *self.scope.primitives])
        self.report.add(codes.UNKNOWN_FUNCTION, node.name_place, message, *hints)

    def _function(self, function: Function, node: n.Call, below: list[Value]) -> Value:
        found = [
            self._as_number(v, a.place, f"the argument of {function.name}")
            for v, a in zip(below, node.args, strict=True)
        ]
        args = [f for f in found if f is not None]
        if len(args) < len(found):
            return BROKEN
        return Value("number", function.lower(self.graph, args, node.place))

    def _primitive(self, primitive: Primitive, node: n.Call, below: list[Value]) -> Value:
        args: list[Source] = []
        for param, value, arg in zip(primitive.params, below, node.args, strict=True):
            if value.kind == "broken":
                continue
            if not _fits(value.kind, param.type):
                message = f"{param.name} of {primitive.name} must be {param.type}, "
                message += f"this is {_article(value.kind)}"
                self.report.add(codes.ARGUMENT, arg.place, message, f"write {primitive.signature}")
            elif value.source is None:
                message = f"{primitive.name} needs a column, a literal or another primitive here"
                hint = "primitives are computed before the program's own arithmetic"
                self.report.add(codes.STAGED, arg.place, message, hint)
            else:
                args.append(value.source)
        if len(args) < len(below):
            return BROKEN
        return self._input(Apply(primitive, tuple(args)), node.place)


def _fits(kind: str, wanted: Type) -> bool:
    match wanted:
        case Text():
            return kind == "text"
        case Bool():
            return kind == "bool"
        case Number():
            return kind in ("number", "bool")
        case _:
            return kind == "list"


def _article(kind: str) -> str:
    return {"bool": "a condition", "list": "a list"}.get(kind, f"a {kind}")


def _count(n_args: int) -> str:
    return f"{n_args} argument" + ("" if n_args == 1 else "s")
