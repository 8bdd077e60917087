"""From a scope to its typed grammar.

Rules come in levels: what a rule of level k writes takes at most 2**k - 1 units (see
`rules.units`), and its operands are of lower levels. So everything keeps the size limits, and the
grammar is finite. Within a level the rules follow the precedence of the operators.
"""

from __future__ import annotations

from dataclasses import dataclass

from derl_dsl.elaborate.functions import FUNCTIONS
from derl_dsl.elaborate.scope import Scope
from derl_dsl.generate.leaves import NUMBER, Leaves
from derl_dsl.generate.rules import Grammar, Ref, Symbol, Terminal, own_size, units
from derl_grammar.records import record

# An expression has at most 63 units: three times the longest of the paper's formulas.
LEVELS = 6
PARTS = 3

ADD = Terminal("ADD", " ?[+-] ?")
MUL = Terminal("MUL", " ?[*/%] ?")
POWER = Terminal("POW", r" ?\*\* ?")
COMPARE = Terminal("COMPARE", " ?(<=|>=|==|!=|<|>) ?")
IF, ELSE, AND, OR, NOT = " if ", " else ", " and ", " or ", "not "
_EXPONENT = Terminal("EXPONENT", r"[2-4]|-?[12](\.5)?|0\.5")
_THIRD = Terminal("THIRD", "[123]")
_PART = Terminal("PART", r"0, (0\.[1-9]|1)|0\.[1-9], 1|0\.[1-4], 0\.[5-9]")
_SHARE = Terminal("SHARE", r"0|0\.[0-9]{1,2}|1")
_PARAM = Terminal("PARAM", r"0\.[0-9]{1,2}, min=(0|-1), max=(1|2|5|10)|[12], min=[01], max=[2-9]")


@record
class Operand:
    """A place in a template that a rule of a lower level fills: `sum`, `or`, `steps`."""

    rule: str


Template = tuple[Symbol | Operand, ...]


def _shared(room: int, count: int) -> list[int] | None:
    """The levels of `count` operands in so many units: alike, then the first ones higher."""
    if room < count:
        return None
    levels = [(room // count + 1).bit_length() - 1] * count if count else []
    left = room - sum(2**level - 1 for level in levels)
    for k in range(count):
        # From 2**n - 1 to 2**(n + 1) - 1 is 2**n more.
        while 2 ** levels[k] <= left:
            left -= 2 ** levels[k]
            levels[k] += 1
    return levels


@dataclass(slots=True)
class Builder:
    """Adds the rules of one family: expressions that may use the parts named so far.

    `prefix` keeps families apart; `part_names` are the parts, which are numbers.
    """

    grammar: Grammar
    leaves: Leaves
    levels: int
    prefix: str = ""
    part_names: tuple[str, ...] = ()

    def build(self) -> None:
        """All rules of all levels."""
        for level in range(1, self.levels + 1):
            self._numbers(level)
            self._conditions(level)
            self._steps(level)

    def name(self, rule: str, level: int) -> str:
        """The name of a rule at a level."""
        return f"{self.prefix}{rule}_at_{level}"

    def template(self, rule: str, level: int, *parts: Symbol | Operand, nodes: int = 1,
                 weight: float = 1.0) -> None:  # fmt: skip
        """Adds a production whose operands have the highest levels that fit."""
        # The brackets that may go around it are counted with it.
        fixed = ("(", *(p for p in parts if not isinstance(p, Operand)), ")")
        count = sum(isinstance(p, Operand) for p in parts)
        levels = _shared(2**level - 1 - units(own_size(fixed, nodes)), count)
        if levels is None:
            return
        below = iter(levels)
        symbols = [
            Ref(self.name(p.rule, next(below))) if isinstance(p, Operand) else p for p in parts
        ]
        self.grammar.add(self.name(rule, level), *symbols, nodes=nodes, weight=weight)

    def same(self, rule: str, level: int, *others: str) -> None:
        """A rule may be written as another of the same level, which binds more tightly."""
        for other in others:
            self.grammar.add(self.name(rule, level), Ref(self.name(other, level)))

    def leaf(self, rule: str, level: int, kind: str) -> None:
        """The leaves of a kind that fit a level."""
        for size in sorted(self.leaves.levels.get(kind, ())):
            if size <= level:
                self.grammar.add(self.name(rule, level), Ref(f"{kind}_{size}"), weight=4)

    def chain(self, rule: str, level: int, operand: str, between: Symbol, longest: int = 8) -> None:
        """Two, four or eight operands: as many as fit, each of the same level."""
        count = 2
        while count <= longest:
            least = count // 2 + 1
            for n in range(least, count + 1):
                parts: list[Symbol | Operand] = [Operand(operand)]
                for _ in range(n - 1):
                    parts += [between, Operand(operand)]
                self.template(rule, level, *parts, nodes=n - 1, weight=1 / (count // 2))
            count *= 2

    def _numbers(self, k: int) -> None:
        self.same("number", k, "sum", "choice")
        self.template("choice", k, Operand("sum"), IF, Operand("or"), ELSE, Operand("number"))
        if "skip" not in self.leaves.scope.names:
            skip = (ELSE, "skip")
            self.template(
                "choice", k, Operand("sum"), IF, Operand("or"), *skip, nodes=2, weight=0.2
            )
        self.same("sum", k, "product", "addition")
        self.chain("addition", k, "product", ADD)
        self.same("product", k, "factor", "multiplication")
        self.chain("multiplication", k, "factor", MUL, longest=4)
        self.same("factor", k, "atom", "negative")
        self.template("negative", k, "-", Operand("atom"), weight=0.3)
        self.template("negative", k, Operand("atom"), POWER, _EXPONENT, nodes=3, weight=0.3)
        self.leaf("atom", k, "number")
        self.same("atom", k, "test")
        for part in self.part_names:
            self.template("atom", k, part, weight=2)
        self.grammar.add(self.name("atom", k), "(", Ref(self.name("bracketed", k)), ")", weight=3)
        self.same("bracketed", k, "addition", "multiplication", "negative", "choice")
        self._functions(k)

    def _functions(self, k: int) -> None:
        one, two = Operand("number"), (Operand("number"), ", ", Operand("number"))
        for function in FUNCTIONS.values():
            name, count = function.name, len(function.params)
            if function.kind == "elementwise":
                if function.name in ("clip", "ramp"):
                    self.template("atom", k, f"{name}(", one, ", ", NUMBER, ", ", NUMBER, ")",
                                  nodes=3, weight=0.3)  # fmt: skip
                operands: list[Symbol | Operand] = [one]
                for _ in range(count - 1):
                    operands += [", ", one]
                self.template("atom", k, f"{name}(", *operands, ")", weight=0.3)
                if function.variadic:
                    self.template("atom", k, f"{name}(", *operands, ", ", one, ")", weight=0.1)
            elif function.kind == "group":
                self._group(k, name, count)
        self.template("atom", k, "default(", *two, ")", weight=0.3)
        self.template("atom", k, "param(", _PARAM, ")", nodes=4, weight=0.3)

    def _group(self, k: int, name: str, count: int) -> None:
        first: Template = (f"{name}(", Operand("number"))[: count + 1]
        literal: Template = (", ", _SHARE) if count == 2 else ()
        self.template("atom", k, *first, *literal, ")", nodes=count or 1, weight=0.2)
        where = (", where=" if count else "where=", Operand("condition"), ")")
        self.template("atom", k, *first, *literal, *where, nodes=count or 1, weight=0.2)

    def _conditions(self, k: int) -> None:
        self.same("condition", k, "or")
        self.template("condition", k, Operand("or"), IF, Operand("or"), ELSE, Operand("condition"),
                      weight=0.2)  # fmt: skip
        self.same("or", k, "and", "either")
        self.chain("either", k, "and", OR, longest=4)
        self.same("and", k, "inverse", "both")
        self.chain("both", k, "inverse", AND, longest=4)
        self.same("inverse", k, "comparison", "test")
        self.template("inverse", k, NOT, Operand("test"), weight=0.5)
        self.template("comparison", k, Operand("sum"), COMPARE, Operand("sum"))
        ends = (Operand("sum"), COMPARE, Operand("sum"), COMPARE, Operand("sum"))
        self.template("comparison", k, *ends, weight=0.1)
        self.leaf("test", k, "bool")
        self.leaf("test", k, "unequal")
        self.grammar.add(self.name("test", k), "(", Ref(self.name("logic", k)), ")")
        self.same("logic", k, "comparison", "either", "both")
        for name in ("any", "all"):
            self.template("test", k, f"{name}(", Operand("checks"), ")", weight=2)

    def _steps(self, k: int) -> None:
        """Lists of numbers (`steps`) and of conditions (`checks`), one per rollout."""
        if self.leaves.levels.keys().isdisjoint({"numbers", "bools", "texts"}):
            return
        step, check, atom = Operand("step"), Operand("check"), Operand("atom")
        self.leaf("step", k, "numbers")
        self.same("step", k, "check")
        self.grammar.add(self.name("step", k), "(", Ref(self.name("stepwise", k)), ")")
        for op in (ADD, MUL):
            for pair in ((step, step), (step, atom), (atom, step)):
                self.template("stepwise", k, pair[0], op, pair[1])
        self.template("stepwise", k, step, IF, Operand("checks"), ELSE, step)
        self.template("stepwise", k, step, IF, Operand("checks"), ELSE, atom)
        for name in ("abs", "sqrt", "tanh", "sign"):
            self.template("step", k, f"{name}(", Operand("steps"), ")", weight=0.2)
        self.same("steps", k, "step", "stepwise")
        self.leaf("check", k, "bools")
        self.leaf("check", k, "unequals")
        self.grammar.add(self.name("check", k), "(", Ref(self.name("compared", k)), ")")
        self.template("compared", k, step, COMPARE, NUMBER, nodes=2)
        self.template("compared", k, step, COMPARE, step)
        for word in (AND, OR):
            self.template("compared", k, check, word, check)
        self.template("compared", k, NOT, check)
        self.same("checks", k, "check", "compared")
        self._reductions(k)

    def _reductions(self, k: int) -> None:
        for rule, inner in (("cut", "steps"), ("cut_checks", "checks")):
            self.template(rule, k, "third(", Operand(inner), ", ", _THIRD, ")", nodes=2)
            self.template(rule, k, "part(", Operand(inner), ", ", _PART, ")", nodes=3)
        for name in ("sum", "mean", "min", "max", "first", "last", "count"):
            self.template("atom", k, f"{name}(", Operand("steps"), ")", weight=0.5)
            self.template("atom", k, f"{name}(", Operand("cut"), ")", weight=0.5)
        for name in ("any", "all"):
            self.template("test", k, f"{name}(", Operand("cut_checks"), ")")


def typed_grammar(scope: Scope, programs: bool = False, levels: int = LEVELS) -> Grammar:
    """The grammar of rewards over the names and types of `scope`.

    Whatever it generates parses, has no error of names or types, and keeps the default limits; it
    may still divide by zero or be constant. `programs` adds up to three named parts before the
    reward; `levels` bounds an expression to 2**levels - 1 nodes. Not in it: spaces and brackets
    beyond the usual, escapes in texts, lists of different cuts.
    """
    if not 3 <= levels <= 6:
        raise ValueError(f"levels {levels}: 3 to 6 keep the limits")
    grammar = Grammar()
    leaves = Leaves(grammar, scope)
    names = [f"part{k}" for k in range(1, 10) if f"part{k}" not in scope.names][:PARTS]
    for count in range(PARTS + 1 if programs else 1):
        family = Builder(grammar, leaves, levels, f"p{count}_" if count else "",
                         tuple(names[:count]))  # fmt: skip
        family.build()
        expression = Ref(family.name("number", levels))
        rest = f"rest_{count}" if count else "start"
        if not count:
            grammar.add(rest, expression)
        if programs:
            grammar.add(rest, "reward = ", expression)
        if programs and count < PARTS:
            grammar.add(rest, f"{names[count]} = ", expression, "\n", Ref(f"rest_{count + 1}"))
    return grammar.pruned()
