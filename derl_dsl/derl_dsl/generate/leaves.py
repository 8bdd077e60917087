"""The leaves of typed grammars: names, literals, and primitives of columns, by type and size."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from derl_dsl.elaborate.functions import FUNCTIONS
from derl_dsl.elaborate.scope import PROGRESS, Scope
from derl_dsl.generate.rules import Grammar, Ref, Symbol, Terminal, own_size, units
from derl_grammar.records import record
from derl_grammar.types import Bool, List, Number, Optional, Text, Type
from derl_primitives.json_fields import path_problem
from derl_primitives.layout import tag_name
from derl_primitives.primitive import Parameter, Primitive
from derl_primitives.regex import non_empty, one_group_problem, regex_problem
from derl_primitives.repetition import whole_number
from derl_runtime.sources import STEPS

NUMBER = Terminal("NUMBER", r"(0|[1-9][0-9]{0,3})(\.[0-9]{1,4})?")
SMALL = Terminal("SMALL", "[1-9]e-[1-9]")
TEXT = Terminal("TEXT", r'"[A-Za-z0-9 <>/#:.,_-]{1,20}"')
_PIECE = r"([A-Za-z0-9 <>/#:,_-]|\[0-9\]\+?|\[a-z\]\+?|\[A-Z\]|\.\*?)"
PATTERN = Terminal("PATTERN", rf'"\^?{_PIECE}{{1,6}}\$?"')
ONE_GROUP = Terminal("ONE_GROUP", rf'"({_PIECE}){{0,3}}\(({_PIECE}){{1,3}}\)({_PIECE}){{0,3}}"')
PATH = Terminal("PATH", r'"[a-z][a-z_]{0,11}(\.([a-z][a-z_]{0,11}|[0-9])){0,2}"')
TAG = Terminal("TAG", r'"[a-z][a-z_]{0,11}"')
WHOLE = Terminal("WHOLE", "[1-9]|1[0-6]")

# What a literal argument may be, by the function that checks it; it accepts all of these texts.
LITERALS: dict[Callable[[str], str | None], Terminal] = {
    non_empty: TEXT,
    regex_problem: PATTERN,
    one_group_problem: ONE_GROUP,
    path_problem: PATH,
    tag_name: TAG,
    whole_number: WHOLE,
}
# For a check that is not in the table: those of these that it accepts.
_CANDIDATES = ("answer", "Step 1:", "####", "[0-9]+", "1", "2", "3", "0.5")

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_KEYWORDS = frozenset({"if", "else", "and", "or", "not", "True", "False"})
# The level of the largest leaves: 15 units.
LARGEST = 4


def kind_of(kind: Type) -> str | None:
    """The rule family of a type: number, bool, text, or those of lists: numbers, bools, texts."""
    match kind:
        case Optional(item=item):
            return kind_of(item)
        case Number():
            return "number"
        case Bool():
            return "bool"
        case Text():
            return "text"
        case List(item=Number() | Bool() | Text() as item):
            return f"{kind_of(item)}s"
    return None


@record
class Argument:
    """One argument of a call: how it is written, its nodes, and the units of the rule it names."""

    symbol: Symbol
    nodes: int = 0
    units: int = 0


@dataclass(slots=True)
class Leaves:
    """Adds rules such as `bool_2`: the leaves of a kind that take at most 2**level - 1 units.

    A call names rules of lower levels only, so that nothing recurs. `levels` lists the levels of
    each kind that have any.
    """

    grammar: Grammar
    scope: Scope
    levels: dict[str, set[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, source in self.scope.names.items():
            kind = kind_of(source.type)
            kind = f"made_{kind}" if name in STEPS else kind
            if kind is not None and writable(name):
                self.offer(kind, name, nodes=1, weight=0.5 if source is PROGRESS else 4)
        self.offer("number", NUMBER, nodes=1, weight=4)
        self.offer("number", SMALL, nodes=1, weight=0.2)
        for level in range(1, LARGEST):
            self._made(level)
            for primitive in self._reachable():
                self._calls(primitive, level)
            self._choices(level)
            self._equality("text", level)
            self._equality("texts", level)

    def _reachable(self) -> list[Primitive]:
        """The primitives that a call reaches: a function of the same arity hides one."""
        hidden = {name: len(f.params) for name, f in FUNCTIONS.items()}
        return [p for p in self.scope.primitives.values() if hidden.get(p.name) != len(p.params)]

    def offer(
        self, kind: str, *symbols: Symbol, nodes: int, weight: float = 1.0, operands: int = 0
    ) -> None:
        """One more leaf; `operands` is the size of the rules that it names, in units."""
        level = (units(own_size(symbols, nodes)) + operands).bit_length()
        if level <= LARGEST:
            self.levels.setdefault(kind, set()).add(level)
            self.grammar.add(f"{kind}_{level}", *symbols, nodes=nodes, weight=weight)

    def _calls(self, primitive: Primitive, level: int) -> None:
        """The calls of a primitive whose operands have this level."""
        kind = kind_of(primitive.returns)
        if kind is None:
            return
        if primitive.beside:
            for column in primitive.beside if level == 1 else ():
                if column in self.scope.names and writable(column):
                    first = Argument(column, 1)
                    rest = [self._argument(p, 1, False) for p in primitive.params[1:]]
                    self._call(kind, primitive.name, [first, *rest])
            return
        returns_list = isinstance(_inner(primitive.returns), List)
        arguments = [self._argument(p, level, False, returns_list) for p in primitive.params]
        of_steps = any(isinstance(_inner(p.type), List) for p in primitive.params)
        made = returns_list and not of_steps
        self._call(f"made_{kind}" if made else kind, primitive.name, arguments)
        if made:
            return
        for k, parameter in enumerate(primitive.params):
            if parameter.either:
                read = self._argument(replace(parameter, literal=None), level, False)
                self._call(kind, primitive.name, [*arguments[:k], read, *arguments[k + 1 :]])
        texts = [p for p in primitive.params if p.literal is None and kind_of(p.type) == "text"]
        missing = isinstance(primitive.returns, Optional) and kind != "text"
        if len(texts) == 1 and not missing:
            # A function of one text works on each step of a list of texts.
            arguments = [self._argument(p, level, True) for p in primitive.params]
            self._call(f"{kind}s", primitive.name, arguments)

    def _call(self, kind: str, name: str, arguments: list[Argument | None]) -> None:
        found = [a for a in arguments if a is not None]
        if len(found) < len(arguments):
            return
        symbols: list[Symbol] = [f"{name}("]
        for k, argument in enumerate(found):
            symbols += [", ", argument.symbol] if k else [argument.symbol]
        nodes = 1 + sum(a.nodes for a in found)
        operands = sum(a.units for a in found)
        self.offer(kind, *symbols, ")", nodes=nodes, operands=operands)

    def _argument(
        self, parameter: Parameter, level: int, lifted: bool, steps: bool = False
    ) -> Argument | None:
        """How an argument is written; None when nothing of the scope fits at this level.

        `steps`: only lists of the episode will do, for what is made of them has their length.
        """
        kind = kind_of(parameter.type)
        if parameter.literal is not None:
            literal = LITERALS.get(parameter.literal) or _candidates(parameter, kind)
            return None if literal is None else Argument(literal, 1)
        if kind == "number":
            return Argument(NUMBER, 1)
        family = f"{kind}s" if lifted and kind == "text" else str(kind)
        if isinstance(parameter.type, List) and not steps:
            family = f"any_{kind}"
        if family == "bool" or level not in self.levels.get(family, ()):
            return None
        return Argument(Ref(f"{family}_{level}"), units=2**level - 1)

    def _made(self, level: int) -> None:
        """Lists that functions read out of texts: no two go together step by step."""
        for kind in ("numbers", "texts"):
            lists = [kind, f"made_{kind}"] if kind == "texts" else [f"made_{kind}"]
            for family in lists:
                if level in self.levels.get(family, ()):
                    self._reductions(family, level)
            for family in (kind, f"made_{kind}"):
                if level in self.levels.get(family, ()):
                    self.levels.setdefault(f"any_{kind}", set()).add(level)
                    self.grammar.add(f"any_{kind}_{level}", Ref(f"{family}_{level}"), nodes=0)

    def _reductions(self, family: str, level: int) -> None:
        operands, inner = 2**level - 1, Ref(f"{family}_{level}")
        of_texts = {"count": "number", "first": "text", "last": "text"}
        names = ("count", "sum", "mean", "min", "max", "first", "last")
        for name in of_texts if family.endswith("texts") else names:
            kind = of_texts[name] if family.endswith("texts") else "number"
            self.offer(kind, f"{name}(", inner, ")", nodes=1, operands=operands, weight=0.3)

    def _choices(self, level: int) -> None:
        """Texts that depend on a condition, which functions of a text read; one is no input."""
        if level in self.levels.get("text", ()) and level in self.levels.get("bool", ()):
            text, operands = Ref(f"text_{level}"), 3 * (2**level - 1)
            choice: tuple[Symbol, ...] = (
                "(", text, " if ", Ref(f"bool_{level}"), " else ", text, ")"
            )  # fmt: skip
            for op in (" == ", " != "):
                written: tuple[Symbol, ...] = ("(", *choice, op, TEXT, ")")
                self.offer("unequal", *written, nodes=3, operands=operands, weight=0.3)

    def _equality(self, family: str, level: int) -> None:
        """Texts compared with literals: in brackets, so that they stand anywhere."""
        if level not in self.levels.get(family, ()):
            return
        # Equality is an input, which primitives may read; its opposite is computed from it.
        many = "s" if family == "texts" else ""
        for op, result in ((" == ", "bool"), (" != ", "unequal")):
            symbols: tuple[Symbol, ...] = ("(", Ref(f"{family}_{level}"), op, TEXT, ")")
            kind, below = f"{result}{many}", 2**level - 1
            self.offer(kind, *symbols, nodes=2, operands=below, weight=0.5)


def _inner(kind: Type) -> Type:
    return kind.item if isinstance(kind, Optional) else kind


def _candidates(parameter: Parameter, kind: str | None) -> Terminal | None:
    """For a check that no terminal is known for: those of a few literals that it accepts."""
    assert parameter.literal is not None
    found = []
    for candidate in _CANDIDATES:
        number = candidate.replace(".", "").isdigit()
        if (kind == "text" or number) and parameter.literal(candidate) is None:
            found.append(re.escape(f'"{candidate}"' if kind == "text" else candidate))
    return Terminal(f"{parameter.name.upper()}_LITERAL", "|".join(found)) if found else None


def writable(name: str) -> bool:
    """Whether a program can write the name."""
    return bool(_NAME.fullmatch(name)) and name not in _KEYWORDS
