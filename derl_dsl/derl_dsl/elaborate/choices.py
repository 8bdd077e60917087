"""`a if c else b`: numbers and conditions are selected, of texts everything made of them is.

Primitives are computed before the program's arithmetic, so a text that depends on a condition is no
column that they could read. What reads it is computed of both texts instead, and then selected:
`f(a if c else b)` is `f(a) if c else f(b)`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from derl_dsl.elaborate import codes
from derl_dsl.elaborate.convert import Converter
from derl_dsl.elaborate.values import BROKEN, SKIP, Choice, Value
from derl_grammar.nodes import Place

_MOST_CASES = 16


class Chooser(Converter):
    """Choices between values, and what is made of choices."""

    def over(
        self, values: list[Value], place: Place, make: Callable[[list[Value], Place], Value]
    ) -> Value:
        """What is made of the values; where a text is a choice, the choice between both results."""
        cases = math.prod(v.cases for v in values)
        if cases > _MOST_CASES:
            message = f"{cases} texts to choose from, {_MOST_CASES} are allowed"
            self.report.add(codes.CASES, place, message, "choose between the results instead")
            return BROKEN
        at = next((k for k, v in enumerate(values) if v.choice is not None), None)
        if at is None:
            skips = any(v.kind == "skip" for v in values)
            return SKIP if skips else make(values, place)
        choice = values[at].choice
        assert choice is not None
        then, other = (
            self.over([*values[:at], text, *values[at + 1 :]], place, make)
            for text in (choice.then, choice.other)
        )
        if "number" in (then.kind, other.kind) and (then.many or other.many):
            message = "the lists of two texts have different lengths"
            self.report.add(codes.LENGTHS, place, message, "choose between what is made of them")
            return BROKEN
        return self.choose(choice.test, then, other, place)

    def choose(self, test: Value, then: Value, other: Value, place: Place) -> Value:
        """`then if test else other`, `test` being a condition."""
        kinds, condition = {then.kind, other.kind}, test.node
        assert condition is not None
        if "broken" in kinds:
            return BROKEN
        if kinds == {"text"} or (kinds == {"text", "skip"} and not test.many):
            return self._chosen_text(test, then, other, place)
        if "skip" in kinds:
            return self._skipping(condition, test, then, other, place)
        if "text" in kinds:
            message = f"the branches differ: {then.words} and {other.words}"
            self.report.add(codes.BRANCHES, place, message, "give both the same type")
            return BROKEN
        kind = "bool" if kinds == {"bool"} else "number"
        left = then.node if kind == "bool" else self.number(then, place)
        right = other.node if kind == "bool" else self.number(other, place)
        assert left is not None
        assert right is not None
        below = [test, then, other]
        result = self.operation(kind, "select", (condition, left, right), place, below)
        if result.node is None or (then.valid is None and other.valid is None) or test.many:
            return result
        valid = self._either(condition, then, other, place)
        valid = valid if test.valid is None else self.graph.add("and", (test.valid, valid), (0, 0))
        return Value(kind, result.node, valid=valid, many=result.many)

    def _chosen_text(self, test: Value, then: Value, other: Value, place: Place) -> Value:
        texts = [v for v in (then, other) if v.kind == "text"]
        many = texts[0].many
        if test.many or any(v.many != many for v in texts):
            message = f"a text is chosen for whole rollouts: {test.words}, {then.words}, " + (
                other.words
            )
            self.report.add(codes.BRANCHES, place, message, "choose between what is made of them")
            return BROKEN
        return Value("text", many=many, choice=Choice(test, then, other))

    def _either(self, condition: int, then: Value, other: Value, place: Place) -> int:
        """Whether the branch that is taken applies."""
        always = self.graph.truth(True, place)
        left = always if then.valid is None else then.valid
        right = always if other.valid is None else other.valid
        return self.graph.add("select", (condition, left, right), place)

    def _skipping(
        self, condition: int, test: Value, then: Value, other: Value, place: Place
    ) -> Value:
        """`x if c else skip`: x, which applies where c holds."""
        kept = other if then.kind == "skip" else then
        if kept.kind == "skip" or test.many:
            message = "skip stands against a number or a condition, for whole rollouts"
            self.report.add(codes.BRANCHES, place, message, "write: … if condition else skip")
            return BROKEN
        graph = self.graph
        if then.kind == "skip":
            condition = graph.add("not", (condition,), place)
        valid = self.together([test, kept, Value("bool", valid=condition)], place)
        return Value(kept.kind, kept.node, valid=valid, many=kept.many)
