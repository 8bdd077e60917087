"""From syntax tree to graph: names and types are checked here, every operation gets its node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from derl_dsl.elaborate import codes
from derl_dsl.elaborate.calls import Calls
from derl_dsl.elaborate.choices import Chooser
from derl_dsl.elaborate.functions import FUNCTIONS
from derl_dsl.elaborate.scope import Scope
from derl_dsl.elaborate.texts import same_text
from derl_dsl.elaborate.values import BROKEN, SKIP, WORDS, Value, closest
from derl_dsl.graph.ir import Graph
from derl_grammar import nodes as n
from derl_grammar.diagnostics import Report
from derl_grammar.nodes import Place
from derl_primitives.text import TEXT_FUNCTIONS
from derl_runtime.sources import Apply, Literal

ARITHMETIC = {"+": "add", "-": "sub", "*": "mul", "/": "div", "%": "mod", "**": "pow"}
OPERAND = {op: f"the operand of {op!r}" for op in ARITHMETIC}
COMPARISONS = {"<": "lt", ">": "lt", "<=": "le", ">=": "le", "==": "eq", "!=": "ne"}

# What is said where nothing gives a program its inputs.
NO_NAMES = (
    "none; name a suite (`# suite: math`, --suite or suite=; `derl-dsl primitives` lists them) "
    "or columns"
)


class Elaborator(Chooser):
    """Elaborates one program over one scope into one graph."""

    def __init__(self, scope: Scope, report: Report, graph: Graph) -> None:
        super().__init__(scope, report, graph)
        # What each expression stands for, by the id of its syntax node.
        self.values: dict[int, Value] = {}
        self.expressions: list[n.Expr] = []
        self.calls = Calls(self)

    # Statements

    def program(self, program: n.Program) -> int | None:
        """Elaborates all parts and the reward; the reward's node, or None after an error."""
        for part in program.parts:
            self.naming = part.name
            value = self.expression(part.value)
            self.naming = None
            if self._definable(part):
                self.parts[part.name] = value
                if value.node is None:
                    continue
                if not value.many:
                    self._output(part.name, value, self.number(value, part.place))
                elif part.name == "steps" and value.kind in ("number", "bool"):
                    self._steps(part, value)
        place = program.reward.place
        value = self.expression(program.reward)
        reward = self.as_number(value, place, "the reward")
        if reward is not None and value.many:
            message = f"the reward must be one number per rollout, this is {value.words}"
            self.report.add(codes.MANY, place, message, "reduce it: mean(…), sum(…), last(…)")
        if reward is None or self.report.failed:
            return None
        self._output("reward", value, reward)
        return reward

    def _steps(self, part: n.Assignment, value: Value) -> None:
        """The part `steps`, when it is a list of numbers or conditions: the step rewards."""
        assert value.node is not None
        if any(isinstance(cut, tuple) for cut in self.graph.slicing(value.node)):
            message = "`steps` must have a value for each step, and this list is cut"
            hint = "pay nothing for the other steps: 0 * …; or give the list another name"
            self.report.add(codes.CUT, part.value.place, message, hint)
            return
        self.graph.steps = self.number(value, part.place)
        self.graph.steps_valid = value.valid

    def _output(self, name: str, value: Value, node: int) -> None:
        self.graph.outputs[name] = node
        if value.valid is not None:
            self.graph.valids[name] = value.valid

    def _definable(self, part: n.Assignment) -> bool:
        name, place = part.name, part.name_place
        if name in self.parts:
            self.report.add(codes.TWICE, place, f"{name!r} is defined twice", "use another name")
            return False
        # A function of the language may give its name to a part: `floor = param(…)`.
        taken = {
            "a word of the language": ("skip",),
            "a name of the suite or a column": self.scope.names,
            "a primitive": self.scope.primitives.keys() - TEXT_FUNCTIONS.keys(),
        }
        for what, table in taken.items():
            if name in table:
                message = f"{name!r} is {what} already"
                self.report.add(codes.SHADOW, place, message, "use another name")
                break
        return True

    # Expressions, operands first, without recursion

    def expression(self, root: n.Expr) -> Value:
        """The value of an expression; errors are reported, BROKEN stands for what they hide."""
        values, nodes = self.values, n.postorder(root)
        self.expressions += nodes
        for node in nodes:
            operands = n.children(node)
            below = [values[id(child)] for child in operands] if operands else []
            values[id(node)] = _BY_KIND[type(node)](self, node, below)
        return values[id(root)]

    def _number(self, node: n.NumberLiteral, _: list[Value]) -> Value:
        return Value("number", self.graph.const(node.value, node.place), Literal(node.value))

    def _truth(self, node: n.BoolLiteral, _: list[Value]) -> Value:
        return Value("bool", self.graph.truth(node.value, node.place), Literal(node.value))

    def _text(self, node: n.TextLiteral, _: list[Value]) -> Value:
        return Value("text", source=Literal(node.value))

    def _name(self, node: n.Name, _: list[Value]) -> Value:
        name, place = node.name, node.place
        part, source = self.parts.get(name), self.scope.names.get(name)
        if part is not None:
            return part
        if source is not None:
            return self.input(source, place)
        if name == "skip":
            return SKIP
        if name in FUNCTIONS or name in self.scope.primitives:
            table = FUNCTIONS.get(name) or self.scope.primitives[name]
            message = f"{name!r} is a function; it needs its arguments"
            self.report.add(codes.UNCALLED, place, message, f"write {table.signature}")
            return BROKEN
        known = [*self.scope.names, *self.parts]
        shown = [k for k in known if k != "progress"]
        have = ", ".join(shown) or NO_NAMES
        message, hints = f"unknown name {name!r}", closest(name, known)
        if name in WORDS:
            hints = (f"write {WORDS[name]}",)
        elif name == "reward":
            hints = ("what the trainer receives is given, not read: reward = …",)
        self.report.add(codes.UNKNOWN_NAME, place, message, *hints, f"names: {have}")
        return BROKEN

    # Operators

    def _unary(self, node: n.Unary, below: list[Value]) -> Value:
        if node.op == "not":
            return self._logic(node, below)
        operand = below[0]
        at = self.as_number(operand, node.operand.place, f"the operand of {node.op!r}")
        if at is None:
            return BROKEN
        if node.op == "+":
            return Value("number", at, valid=operand.valid, many=operand.many)
        payload = self.graph.nodes[at].payload
        if isinstance(payload, float):
            return Value("number", self.graph.const(-payload, node.place), Literal(-payload))
        return self.operation("number", "neg", (at,), node.place, [operand])

    def _binary(self, node: n.Binary, below: list[Value]) -> Value:
        op = ARITHMETIC.get(node.op)
        if op is None:
            return self._logic(node, below)
        left = self.as_number(below[0], node.left.place, OPERAND[node.op])
        if left is None:
            return BROKEN
        right = self.as_number(below[1], node.right.place, OPERAND[node.op])
        if right is None:
            return BROKEN
        if node.op == "**" and isinstance(node.right, n.NumberLiteral):
            power = self._power(left, right, node.right.value, node.place)
            many = self.graph.nodes[power].is_list
            return Value("number", power, valid=self.together(below, node.place), many=many)
        return self.operation("number", op, (left, right), node.place, below)

    def _power(self, base: int, exponent: int, literal: float, place: Place) -> int:
        """Literal exponents 2, 3 and 4 multiply, so that their rounding is the same everywhere."""
        if literal not in (2.0, 3.0, 4.0):
            return self.graph.add("pow", (base, exponent), place)
        square = self.graph.add("mul", (base, base), place)
        other = {2.0: None, 3.0: base, 4.0: square}[literal]
        return square if other is None else self.graph.add("mul", (square, other), place)

    def _logic(self, node: n.Unary | n.Binary, below: list[Value]) -> Value:
        args = []
        for value, operand in zip(below, n.children(node), strict=True):
            at = self.as_condition(value, operand.place, f"the operand of `{node.op}`")
            if at is None:
                # `x or 0` is one mistake, not one for each side.
                return BROKEN
            args.append(at)
        return self.operation("bool", node.op, tuple(args), node.place, below)

    def _compare(self, node: n.Compare, below: list[Value]) -> Value:
        found: list[Value] = []
        for i, op in enumerate(node.ops):
            places = (node.operands[i].place, node.operands[i + 1].place)
            found.append(self._compare_two(op, below[i], below[i + 1], places))
        result = found[0]
        for more in found[1:]:
            if result.node is None or more.node is None:
                return BROKEN
            pair = (result.node, more.node)
            result = self.operation("bool", "and", pair, node.place, [result, more])
        return result

    def _compare_two(
        self, op: str, left: Value, right: Value, places: tuple[Place, Place]
    ) -> Value:
        place = (places[0][0], places[1][1])
        if "broken" in (left.kind, right.kind):
            return BROKEN
        if left.kind == "text" and right.kind == "text" and op in ("==", "!="):
            return self._compare_texts(op, left, right, place)
        if {left.kind, right.kind} == {"text", "number"}:
            message = f"a text and a number cannot be compared with {op!r}"
            self.report.add(codes.COMPARED, place, message, "compare values of the same type")
            return BROKEN
        a = self.as_number(left, places[0], f"the operand of {op!r}")
        b = self.as_number(right, places[1], f"the operand of {op!r}")
        if a is None or b is None:
            return BROKEN
        args = (b, a) if op in (">", ">=") else (a, b)
        return self.operation("bool", COMPARISONS[op], args, place, [left, right])

    def _compare_texts(self, op: str, left: Value, right: Value, place: Place) -> Value:
        equal = self.over([left, right], place, self._same_text)
        if op == "==" or equal.node is None:
            return equal
        return self.operation("bool", "not", (equal.node,), place, [equal])

    def _same_text(self, values: list[Value], place: Place) -> Value:
        left, right = values
        assert left.source is not None
        assert right.source is not None
        if isinstance(left.source, Literal) and isinstance(right.source, Literal):
            return Value("bool", self.graph.truth(left.source == right.source, place))
        # A literal goes to the right: primitives read a column first.
        pair = (left.source, right.source)
        first, second = pair[::-1] if isinstance(left.source, Literal) else pair
        return self.input(Apply(same_text, (first, second)), place)

    def _conditional(self, node: n.Conditional, below: list[Value]) -> Value:
        test, then, other = below
        condition = self.as_condition(test, node.test.place, "the test of a conditional")
        return BROKEN if condition is None else self.choose(test, then, other, node.place)

    def _call(self, node: n.Call, below: list[Value]) -> Value:
        return self.calls.call(node, below)


_BY_KIND: dict[type, Callable[[Elaborator, Any, list[Value]], Value]] = {
    n.NumberLiteral: Elaborator._number,
    n.BoolLiteral: Elaborator._truth,
    n.TextLiteral: Elaborator._text,
    n.Name: Elaborator._name,
    n.Unary: Elaborator._unary,
    n.Binary: Elaborator._binary,
    n.Compare: Elaborator._compare,
    n.Conditional: Elaborator._conditional,
    n.Call: Elaborator._call,
}
