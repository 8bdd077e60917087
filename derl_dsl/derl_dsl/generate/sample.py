"""Random programs: well typed over the names of a scope, drawn from the grammar's productions."""

from __future__ import annotations

import random
from collections.abc import Callable

from derl_dsl.elaborate.functions import FUNCTIONS
from derl_dsl.elaborate.scope import PROGRESS, Scope
from derl_dsl.generate.leaves import kind_of
from derl_dsl.generate.unparse import program_text
from derl_grammar import nodes as n
from derl_grammar.records import record
from derl_grammar.types import Type

_NOWHERE = (0, 0)
_NUMBERS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 1.0, 1.2, 1.5, 2.0, 3.0)
_CORNERS = (0.0, 1e-6, 10.0, 100.0)
_WORDS = ("####", "\\boxed", "Step 1:", "the answer is", "42")


@record
class Profile:
    """How programs are drawn: the most terms, the most parts, and the weight of each production.

    Productions of numbers: name, number, sum, product, quotient, conditional, function, power,
    negative, remainder; where the scope allows it reduction (of a list), group, optional, param.
    """

    terms: int
    parts: int
    weights: dict[str, float]
    corners: float = 0.0


FORMULAS = Profile(
    terms=8,
    parts=0,
    weights={"sum": 6, "product": 4, "quotient": 1, "conditional": 0.3, "negative": 0.2},
)
EVERYTHING = Profile(
    terms=14,
    parts=3,
    weights={
        "sum": 4,
        "product": 3,
        "quotient": 2,
        "conditional": 3,
        "function": 6,
        "power": 1,
        "negative": 1,
        "remainder": 1,
        "reduction": 3,
        "group": 2,
        "optional": 1,
        "param": 0.5,
    },
    corners=0.2,
)


class Sampler:
    """Draws programs over one scope."""

    def __init__(self, scope: Scope, rng: random.Random, profile: Profile = FORMULAS) -> None:
        self.rng = rng
        self.profile = profile
        kinds = ("number", "bool", "text", "numbers", "bools")
        self.leaves: dict[str, list[Callable[[], n.Expr]]] = {kind: [] for kind in kinds}
        self.number_parts: list[str] = []
        for name, source in scope.names.items():
            if source is PROGRESS and not profile.weights.get("param"):
                continue
            self._offer(source.type, lambda name=name: n.Name(name, _NOWHERE))  # type: ignore[misc]
        for primitive in scope.primitives.values():
            if any(p.literal is not None for p in primitive.params):
                continue
            wanted = [_family(p.type) for p in primitive.params]
            columns = [
                [k for k, s in scope.names.items() if _family(s.type) == kind] for kind in wanted
            ]
            if primitive.beside:
                columns[0] = [k for k in columns[0] if k in primitive.beside]
            if all(columns):
                names = (primitive.name, tuple(columns))
                self._offer(primitive.returns, lambda names=names: self._call(*names))  # type: ignore[misc]

    def _offer(self, kind: Type, leaf: Callable[[], n.Expr]) -> None:
        self.leaves.setdefault(_family(kind), []).append(leaf)

    def _call(self, name: str, columns: tuple[list[str], ...]) -> n.Expr:
        # A column each, in the declared order where the signature repeats a type.
        taken: list[str] = []
        for choices in columns:
            free = [c for c in choices if c not in taken] or choices
            taken.append(free[0])
        args = tuple(n.Name(c, _NOWHERE) for c in taken)
        return n.Call(name, args, (), _NOWHERE, _NOWHERE)

    def program(self) -> n.Program:
        """One program."""
        rng, parts = self.rng, []
        self.number_parts = []
        for k in range(rng.randint(0, self.profile.parts)):
            terms = rng.randint(1, max(2, self.profile.terms // 3))
            part = n.Assignment(f"part{k + 1}", self.number(terms), _NOWHERE, _NOWHERE)
            parts.append(part)
            self.number_parts.append(part.name)
        reward = self.number(rng.randint(2, self.profile.terms))
        return n.Program(tuple(parts), reward, _NOWHERE)

    def number(self, terms: int) -> n.Expr:
        """A number of about `terms` names and literals."""
        if terms <= 1:
            return self._leaf()
        kinds = list(self.profile.weights)
        kind = self.rng.choices(kinds, [self.profile.weights[k] for k in kinds])[0]
        return self._production(kind, terms)

    def _production(self, kind: str, terms: int) -> n.Expr:
        rng = self.rng
        first = rng.randint(1, terms - 1)
        rest = terms - first
        match kind:
            case "sum":
                return self._binary(rng.choice("++-"), first, rest)
            case "product":
                if rng.random() < 0.6:
                    return n.Binary("*", self._literal(), self.number(terms - 1), _NOWHERE)
                return self._binary("*", first, rest)
            case "quotient":
                if rng.random() < 0.5:
                    return n.Binary("/", self.number(terms - 1), self._literal(), _NOWHERE)
                return self._binary("/", first, rest)
            case "remainder":
                return self._binary("%", first, rest)
            case "power":
                exponent = n.NumberLiteral(rng.choice((0.5, 2.0, 3.0, -1.0, 1.5)), _NOWHERE)
                right = exponent if rng.random() < 0.8 else self.number(rest)
                return n.Binary("**", self.number(first), right, _NOWHERE)
            case "negative":
                return n.Unary("-", self.number(terms - 1), _NOWHERE)
            case "conditional":
                third = max(1, terms // 3)
                branches = (self.number(third), self.number(third))
                return n.Conditional(branches[0], self.condition(third), branches[1], _NOWHERE)
            case "reduction" if self.leaves["numbers"] or self.leaves["bools"]:
                return self._reduction(terms)
            case "group":
                return self._group(terms)
            case "optional":
                return self._optional(terms)
            case "param":
                value = self._literal().value
                low = abs(value - rng.choice((0.0, 0.5)))
                ends = (("min", low), ("max", abs(value + 0.5)))
                limits = tuple(
                    n.Keyword(k, n.NumberLiteral(v, _NOWHERE), _NOWHERE) for k, v in ends
                )
                return _call("param", (n.NumberLiteral(max(value, low), _NOWHERE),), limits)
            case _:
                return self._function(terms)

    def _reduction(self, terms: int) -> n.Expr:
        rng = self.rng
        if self.leaves["bools"] and rng.random() < 0.3:
            steps = rng.choice(self.leaves["bools"])()
            return _call(rng.choice(("sum", "mean", "any", "all", "count")), (steps,))
        steps = self._steps(terms)
        if rng.random() < 0.3:
            k = n.NumberLiteral(float(rng.randint(1, 3)), _NOWHERE)
            steps = _call("third", (steps, k))
        elif rng.random() < 0.3:
            ends = sorted(rng.choice((0.0, 0.2, 0.5, 0.6, 1.0)) for _ in range(2))
            steps = _call("part", (steps, *(n.NumberLiteral(e, _NOWHERE) for e in ends)))
        name = rng.choice(("sum", "mean", "min", "max", "first", "last", "count"))
        return _call(name, (steps,))

    def _steps(self, terms: int) -> n.Expr:
        rng = self.rng
        leaves = self.leaves["numbers"] or self.leaves["bools"]
        steps = rng.choice(leaves)()
        if terms > 2 and rng.random() < 0.5:
            other = rng.choice(leaves)() if rng.random() < 0.4 else self.number(terms - 2)
            return n.Binary(rng.choice("+-*"), steps, other, _NOWHERE)
        return steps

    def _group(self, terms: int) -> n.Expr:
        rng = self.rng
        name = rng.choice([f.name for f in FUNCTIONS.values() if f.kind == "group"])
        args = () if name == "group_size" else (self.number(max(1, terms // 2)),)
        if name == "group_quantile":
            args = (*args, n.NumberLiteral(rng.choice((0.0, 0.25, 0.9, 1.0)), _NOWHERE))
        if rng.random() < 0.6:
            return _call(name, args)
        where = n.Keyword("where", self.condition(1), _NOWHERE)
        call = _call(name, args, (where,))
        return call if rng.random() < 0.3 else _call("default", (call, self._literal()))

    def _optional(self, terms: int) -> n.Expr:
        half = max(1, terms // 2)
        skip = n.Name("skip", _NOWHERE)
        value = n.Conditional(self.number(half), self.condition(half), skip, _NOWHERE)
        return value if self.rng.random() < 0.3 else _call("default", (value, self._literal()))

    def _binary(self, op: str, first: int, rest: int) -> n.Expr:
        return n.Binary(op, self.number(first), self.number(rest), _NOWHERE)

    def _function(self, terms: int) -> n.Expr:
        choices = [f for f in FUNCTIONS.values() if f.kind == "elementwise"]
        function = self.rng.choice(choices)
        count = len(function.params) + (self.rng.randint(0, 1) if function.variadic else 0)
        if function.name in ("clip", "ramp"):
            bounds = sorted((self._literal().value, self._literal().value))
            ends = tuple(n.NumberLiteral(b, _NOWHERE) for b in bounds)
            return n.Call(function.name, (self.number(terms - 1), *ends), (), _NOWHERE, _NOWHERE)
        args = tuple(self.number(max(1, (terms - 1) // count)) for _ in range(count))
        return n.Call(function.name, args, (), _NOWHERE, _NOWHERE)

    def condition(self, terms: int) -> n.Expr:
        """A condition of about `terms` names and literals."""
        rng = self.rng
        if terms > 2 and rng.random() < 0.3:
            half = terms // 2
            op = rng.choice(("and", "or"))
            return n.Binary(op, self.condition(half), self.condition(terms - half), _NOWHERE)
        if rng.random() < 0.15:
            return n.Unary("not", self.condition(terms), _NOWHERE)
        if self.leaves["bool"] and rng.random() < 0.3:
            return rng.choice(self.leaves["bool"])()
        if self.leaves["text"] and rng.random() < 0.1:
            text = n.TextLiteral(rng.choice(_WORDS), _NOWHERE)
            return n.Compare((rng.choice(("==", "!=")),), (self._text(), text), _NOWHERE)
        op = rng.choices(("<", "<=", ">", ">=", "==", "!="), (3, 3, 3, 3, 1, 1))[0]
        left, right = self.number(max(1, terms - 1)), self._literal()
        return n.Compare((op,), (left, right), _NOWHERE)

    def _text(self) -> n.Expr:
        return self.rng.choice(self.leaves["text"])()

    def _leaf(self) -> n.Expr:
        rng = self.rng
        named = [*self.leaves["number"], *self.leaves["bool"]]
        if self.number_parts and rng.random() < 0.3:
            return n.Name(rng.choice(self.number_parts), _NOWHERE)
        if named and rng.random() < 0.75:
            return rng.choice(named)()
        return self._literal()

    def _literal(self) -> n.NumberLiteral:
        pool = _CORNERS if self.rng.random() < self.profile.corners else _NUMBERS
        return n.NumberLiteral(self.rng.choice(pool), _NOWHERE)


def _call(name: str, args: tuple[n.Expr, ...], keywords: tuple[n.Keyword, ...] = ()) -> n.Call:
    return n.Call(name, args, keywords, _NOWHERE, _NOWHERE)


def _family(kind: Type) -> str:
    return kind_of(kind) or str(kind)


def sample_program(scope: Scope, rng: random.Random, profile: Profile = FORMULAS) -> str:
    """The text of one random program that parses and type-checks over `scope`.

    `profile` is FORMULAS (arithmetic over the names, as in the paper) or EVERYTHING (all of the
    language). What is drawn may still divide by zero or be constant: check it.
    """
    return program_text(Sampler(scope, rng, profile).program())
