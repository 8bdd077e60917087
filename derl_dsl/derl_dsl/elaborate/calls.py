"""Calls: functions of the language, primitives of the suite, and their arguments."""

from __future__ import annotations

from derl_dsl.elaborate import codes
from derl_dsl.elaborate.choices import Chooser
from derl_dsl.elaborate.functions import FUNCTIONS, Function
from derl_dsl.elaborate.texts import OF_LISTS, filled
from derl_dsl.elaborate.values import BROKEN, EXTRA, HABITS, Value, closest
from derl_dsl.graph.ir import Param
from derl_grammar import nodes as n
from derl_grammar.nodes import Place
from derl_grammar.types import Bool, List, Number, Optional, Text, Type
from derl_primitives.primitive import Parameter, Primitive
from derl_runtime.sources import Apply, Column, Literal, Source


class Calls:
    """Elaborates the calls of one program."""

    def __init__(self, converter: Chooser) -> None:
        self.at = converter
        self.report = converter.report
        self.graph = converter.graph
        self.scope = converter.scope

    def call(self, node: n.Call, below: list[Value]) -> Value:
        """The value of a call."""
        hidden = node.name in self.at.parts
        function = None if hidden else FUNCTIONS.get(node.name)
        primitive = None if hidden else self.scope.primitives.get(node.name)
        if function is not None and primitive is not None:
            # count(xs) of a list, count(text, part) of a text.
            if len(node.args) == len(function.params):
                primitive = None
            else:
                function = None
        if function is not None:
            return self._function(function, node, below)
        if primitive is not None:
            return self._primitive(primitive, node, below)
        self._unknown(node)
        return BROKEN

    def _unknown(self, node: n.Call) -> None:
        name = node.name
        if name in self.at.parts or name in self.scope.names:
            message = f"{name!r} is a value, not a function"
            hides = name in FUNCTIONS or name in self.scope.primitives
            fix = "it hides the function; rename the part" if hides else "products need a *"
            hints: tuple[str, ...] = (fix,)
        else:
            message = f"unknown function {name!r}"
            told = HABITS.get(name)
            known = [*FUNCTIONS, *self.scope.primitives]
            hints = closest(name, known) if told is None else (told,)
        self.report.add(codes.UNKNOWN_FUNCTION, node.name_place, message, *hints)

    def _fits(self, node: n.Call, least: int, variadic: bool, known: tuple[str, ...],
              signature: str) -> bool:  # fmt: skip
        """Whether the number of arguments and the keywords fit; what does not is reported."""
        fine = True
        for keyword in node.keywords:
            if keyword.name not in known and len(node.args) < least:
                # One mistake, not one for each name and one for what is missing.
                message = f"{node.name} takes its arguments by their places, not by name"
                self.report.add(codes.KEYWORD, keyword.place, message, f"write {signature}")
                return False
            if keyword.name not in known:
                message = f"{node.name} takes no argument named {keyword.name!r}"
                hints = closest(keyword.name, known)
                self.report.add(codes.KEYWORD, keyword.place, message, *hints, f"write {signature}")
                fine = False
        given = len(node.args)
        if given < least or (given > least and not variadic):
            count = f"{least} argument" + ("" if least == 1 else "s")
            message = f"{node.name} takes {count}, {given} given"
            more = (EXTRA[node.name],) if given > least and node.name in EXTRA else ()
            self.report.add(codes.ARITY, node.place, message, *more, f"write {signature}")
            fine = False
        return fine

    # Functions of the language

    def _function(self, function: Function, node: n.Call, below: list[Value]) -> Value:
        reduces = function.name in ("min", "max") and len(node.args) == 1 and below[0].many
        least = 1 if reduces else len(function.params)
        if not self._fits(
            node, least, function.variadic, function.keywords, function.signature
        ) or any(v.kind == "broken" for v in below):
            return BROKEN
        if reduces or function.kind == "reduction":
            return self._reduction(function, node, below[0])
        match function.kind:
            case "slice":
                return self._slice(function, node, below)
            case "group":
                return self._group(function, node, below)
            case "special":
                return self._default(node, below) if function.name == "default" else (
                    self._param(node, below)
                )  # fmt: skip
        return self._elementwise(function, node, below)

    def _numbers(self, name: str, node: n.Call, below: list[Value]) -> list[int] | None:
        found = [
            self.at.as_number(v, a.place, f"the argument of {name}")
            for v, a in zip(below, node.args, strict=False)
        ]
        args = [f for f in found if f is not None]
        return args if len(args) == len(found) else None

    def _elementwise(self, function: Function, node: n.Call, below: list[Value]) -> Value:
        args = self._numbers(function.name, node, below)
        if args is None:
            return BROKEN
        slicings = {self.graph.slicing(a) for a in args if self.graph.nodes[a].is_list}
        if len(slicings) > 1:
            message = "these lists have different lengths: one is a part of the episode"
            self.report.add(codes.LENGTHS, node.place, message, "cut both alike")
            return BROKEN
        assert function.lower is not None
        at = function.lower(self.graph, args, node.place)
        valid = self.at.together(below, node.place)
        return Value("number", at, valid=valid, many=self.graph.nodes[at].is_list)

    def _reduction(self, function: Function, node: n.Call, value: Value) -> Value:
        name, place = function.name, node.args[0].place
        if value.kind == "text" and value.many and name in OF_LISTS:

            def make(values: list[Value], at: Place) -> Value:
                assert values[0].source is not None
                return self.at.input(Apply(OF_LISTS[name], (values[0].source,)), at)

            return self.at.over([value], node.place, make)
        if not value.many or value.node is None:
            message = f"{name} takes a list of numbers or conditions, this is {value.words}"
            self.report.add(codes.LIST, place, message, f"write {function.signature}")
            return BROKEN
        if name in ("any", "all"):
            at = self.at.as_condition(value, place, f"the argument of {name}")
            if at is None:
                return BROKEN
            return self.at.operation("bool", f"list_{name}", (at,), node.place, [value])
        at = self.at.number(value, place)
        return self.at.operation("number", f"list_{name}", (at,), node.place, [value])

    def _literals(self, node: n.Call, first: int) -> list[float] | None:
        """The arguments from `first` on, which must be written out as numbers."""
        found = []
        for arg in node.args[first:]:
            if not isinstance(arg, n.NumberLiteral):
                message = f"{node.name} needs a plain number here"
                self.report.add(codes.LITERAL_ONLY, arg.place, message, "write the number out")
                return None
            found.append(arg.value)
        return found

    def _slice(self, function: Function, node: n.Call, below: list[Value]) -> Value:
        literals = self._literals(node, 1)
        value = below[0]
        if not value.many or value.node is None:
            message = f"{function.name} takes a list, this is {value.words}"
            self.report.add(codes.LIST, node.args[0].place, message, f"write {function.signature}")
            return BROKEN
        if literals is None:
            return BROKEN
        fine = (
            literals[0] in (1, 2, 3)
            if function.name == "third"
            else 0 <= literals[0] <= literals[1] <= 1
        )
        if not fine:
            wanted = "k = 1, 2 or 3" if function.name == "third" else "0 <= start <= end <= 1"
            message = f"{function.name} needs {wanted}"
            self.report.add(codes.LITERAL_ONLY, node.place, message, f"write {function.signature}")
            return BROKEN
        at = self.graph.add(function.name, (value.node,), node.place, tuple(literals))
        return Value(value.kind, at, valid=value.valid, many=True)

    def _group(self, function: Function, node: n.Call, below: list[Value]) -> Value:
        values, where = below[: len(node.args)], below[len(node.args) :]
        place = node.place
        if any(v.many for v in below):
            message = f"{function.name} takes one value per rollout, not a list"
            self.report.add(codes.MANY, place, message, "reduce it first: mean(…), sum(…)")
            return BROKEN
        args = self._numbers(function.name, node, values[:1])
        literals = self._literals(node, 1)
        condition = self.graph.truth(True, place)
        if where:
            found = self.at.as_condition(where[0], node.keywords[0].value.place, "where")
            if found is None:
                return BROKEN
            condition = found
        if args is None or literals is None:
            return BROKEN
        if literals and not 0 <= literals[0] <= 1:
            self.report.add(codes.LITERAL_ONLY, place, "a quantile lies between 0 and 1", "0.9")
            return BROKEN
        for value in below:
            if value.valid is not None:
                condition = self.graph.add("and", (condition, value.valid), place)
        payload = tuple(literals) or None
        at = self.graph.add(function.name, (*args, condition), place, payload)
        return Value("number", at, valid=self._group_valid(function.name, below, condition, place))

    def _group_valid(
        self, name: str, below: list[Value], condition: int, place: Place
    ) -> int | None:
        """A group function of no rollout at all is not applicable; a size or a rank always is."""
        if name == "group_size" or (len(below) == 1 and below[0].valid is None):
            return None
        if name == "group_rank":
            return below[0].valid
        size = self.graph.add("group_size", (condition,), place)
        return self.graph.add("lt", (self.graph.const(0.0, place), size), place)

    def _default(self, node: n.Call, below: list[Value]) -> Value:
        value, default = below
        if value.kind == default.kind == "text" and not (value.many or default.many):
            return self.at.over(below, node.place, self._default_text)
        kind = "bool" if value.kind == default.kind == "bool" else "number"
        args = self._numbers("default", node, below)
        if args is None:
            return BROKEN
        if kind == "bool":  # a condition stays one
            args = [v.node for v in below if v.node is not None]
        always, applies, asked = value.valid is None, value.valid, default.valid
        if applies is None:
            written = [args[1], *([] if asked is None else [asked])]
            if not self.graph.inputs(written):
                return Value(kind, args[0], many=value.many)
            # What is written is read: a fault of the default's inputs is one here too.
            applies = self.graph.truth(True, node.place)
        # Where the value applies, a default that does not is not asked for.
        either = None if asked is None else self.graph.add("or", (applies, asked), node.place)
        test = either if always and either is not None else applies
        chosen = (test, args[0], args[1])
        found = self.at.operation(kind, "select", chosen, node.place, [default])
        return found._replace(valid=None if always else either)

    def _default_text(self, values: list[Value], place: Place) -> Value:
        value, default = values
        assert value.source is not None
        assert default.source is not None
        if value.valid is None and isinstance(default.source, Literal):
            return value
        of = filled(value.valid is not None and default.valid is not None)
        return self.at.input(Apply(of, (value.source, default.source)), place)

    def _param(self, node: n.Call, below: list[Value]) -> Value:
        literals = [node.args[0], *(k.value for k in node.keywords)]
        values = [v.source.value for v in below if isinstance(v.source, Literal)]
        named = {k.name: v for k, v in zip(node.keywords, values[1:], strict=False)}
        if len(values) < len(literals) or not all(isinstance(v, float) for v in values):
            message = "param needs plain numbers"
            self.report.add(codes.LITERAL_ONLY, node.place, message, "param(0.1, min=0, max=0.5)")
            return BROKEN
        value, lo, hi = (float(values[0]), float(named.get("min", values[0])),
                         float(named.get("max", values[0])))  # fmt: skip
        if not lo <= value <= hi:
            message = f"param {value:g} lies outside its range [{lo:g}, {hi:g}]"
            self.report.add(codes.LITERAL_ONLY, node.place, message, "fix min or max")
            return BROKEN
        taken = sum(p.op == "param" for p in self.graph.nodes)
        name = self.at.naming or f"param{taken + 1}"
        if any(isinstance(p.payload, Param) and p.payload.name == name for p in self.graph.nodes):
            name = f"{name}_{taken + 1}"
        return Value("number", self.graph.add("param", (), node.place, Param(name, value, lo, hi)))

    # Primitives

    def _primitive(self, primitive: Primitive, node: n.Call, below: list[Value]) -> Value:
        if not self._fits(node, len(primitive.params), False, (), primitive.signature):
            return BROKEN
        arguments = zip(primitive.params, below, node.args, strict=True)
        # All of them, so that every mistake is told.
        fits = [self._argument(primitive, *argument) for argument in arguments]
        if not all(fits):
            return BROKEN

        def make(values: list[Value], place: Place) -> Value:
            args = tuple(v.source for v in values if v.source is not None)
            if primitive.beside:
                return self._beside(primitive, list(args), node)
            return self._applied(primitive, args, place)

        return self.at.over(below, node.place, make)

    def _applied(self, primitive: Primitive, args: tuple[Source, ...], place: Place) -> Value:
        applied = Apply(primitive, args)
        returns = primitive.returns
        by_step = isinstance(returns, Number | Bool | Text) or returns == Optional(Text())
        if applied.lifted and not by_step:
            message = f"{primitive.name} gives {returns}, which a list of steps cannot hold"
            self.report.add(codes.STEPS, place, message, "take one text: last(…), first(…)")
            return BROKEN
        return self.at.input(applied, place)

    def _beside(self, primitive: Primitive, args: list[Source], node: n.Call) -> Value:
        """A primitive whose first argument names a column and is read from the one beside it."""
        column = args[0]
        companion = primitive.beside.get(column.name) if isinstance(column, Column) else None
        if companion is None:
            known = ", ".join(f"{c.name} beside {name}" for name, c in primitive.beside.items())
            message = f"{primitive.name} reads {known}; {column} has no such column beside it"
            wanted = " or ".join(f"{primitive.name}({name}, …)" for name in primitive.beside)
            wanted = wanted if len(args) > 1 else wanted.replace(", …", "")
            self.report.add(codes.ARGUMENT, node.args[0].place, message, f"write {wanted}")
            return BROKEN
        told = f"{primitive.name}({', '.join(map(str, args))})"
        read = (Column(companion.name, companion.type), *args[1:])
        return self.at.input(Apply(primitive.reading(companion), read, told), node.place)

    def _argument(self, primitive: Primitive, param: Parameter, value: Value, arg: n.Expr) -> bool:
        """Whether a parameter takes the value; what does not fit is reported."""
        if value.kind == "broken":
            return False
        if not _accepts(param.type, value):
            message = f"{param.name} of {primitive.name} must be {param.type}, "
            message += f"this is {value.words}"
            self.report.add(codes.ARGUMENT, arg.place, message, f"write {primitive.signature}")
            return False
        literal = value.source if isinstance(value.source, Literal) else None
        if param.literal is not None and literal is not None:
            problem = param.literal(str(literal.value))
            if problem:
                # What is wrong; what to write instead.
                problem, _, fix = problem.partition("; ")
                message = f"{param.name} of {primitive.name}: {problem}"
                self.report.add(codes.LITERAL_ONLY, arg.place, message, *([fix] if fix else []))
                return False
        elif param.literal is not None and not param.either:
            message = f"{param.name} of {primitive.name} must be written out"
            self.report.add(codes.LITERAL_ONLY, arg.place, message, 'write it as "…"')
            return False
        if value.source is None and value.choice is None:
            message = f"{primitive.name} needs a column, a literal or another primitive here"
            hint = "primitives are computed before the program's own arithmetic"
            self.report.add(codes.STAGED, arg.place, message, hint)
            return False
        return True


def _accepts(wanted: Type, value: Value) -> bool:
    """Whether a parameter takes the value; functions of a text work on lists of texts as well."""
    wanted = wanted.item if isinstance(wanted, Optional) else wanted
    match wanted:
        case Text():
            return value.kind == "text"
        case List(item=item):
            return value.many and _accepts(item, Value(value.kind))
        case Bool():
            return value.kind == "bool" and not value.many
        case Number():
            return value.kind in ("number", "bool") and not value.many
    return False
