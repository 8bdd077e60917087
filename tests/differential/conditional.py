"""Random programs in which a condition decides whether an operation is defined.

Random programs of the grammar seldom hold a quotient that its condition saves; these are made of
nothing else: numerators, divisors and conditions over few names, so that they often fit together.
"""

from __future__ import annotations

import random

_LEAVES = ("a", "b", "p", "k", "n", "ok", "well", "level", "gap", "hits", "loss", "0.5", "1", "2",
           "words(completion)", "progress")  # fmt: skip
_GROUPS = ("group_max({})", "group_min({})", "group_mean({})", "group_std({})", "group_rank({})",
           "group_mean({}, where=ok)", "group_quantile({}, 0.5)", "group_size()",
           "group_size(where=ok)")  # fmt: skip
_LISTS = ("xs", "ys", "ks", "fl", "gl")
_REDUCED = ("sum({})", "mean({})", "max({})", "min({})", "count({})", "first({})", "last({})")
_UNARY = ("abs({})", "sqrt(abs({}))", "sqrt({})", "exp(-abs({}))", "floor({})", "sign({})",
          "max({}, 0)", "min({}, 1)", "-{}", "log({})", "log(1 + {})", "exp({})", "round({})",
          "{} ** 2", "{} ** 0.5", "tanh({})", "clip({}, 0, 1)")  # fmt: skip
_BINARY = ("{} + {}", "{} - {}", "{} * {}", "max({}, {})", "min({}, {})", "({}) / ({})")
_COMPARED = ("{} > {}", "{} >= {}", "{} < {}", "{} != {}", "{} == {}", "{} > 0", "{} != 0",
             "{} >= 0.1", "abs({}) > 0.5", "0 < {}", "{} > 0.001")  # fmt: skip
_FINITE = ("a", "b", "p", "0.5", "1", "0.1", "level / 3", "ramp(n, 100, 500)", "k / 5", "mean(xs)",
           "max(xs)", "min(ys)", "well", "progress", "group_mean(b)", "group_rank(a)", "ok",
           "a * ok", "group_mean(ok)", "group_rank(ok)", "any(fl)", "default(o, 0)")  # fmt: skip


class Conditional:
    """Draws programs over the names of tests/language/natural.py."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def program(self) -> str:
        """One program: an operation under a condition that may save it."""
        pool = [self.number(2) for _ in range(3)]
        below = self.combined(pool)
        above = self.rng.choice([self.combined(pool), "1", "ok", below])
        operation = self.rng.choice(
            [f"({above}) / ({below})"] * 5
            + [f"sqrt({below})", f"log({below})", f"exp({below})", f"({below}) ** -1"]
        )
        test = self.condition([*pool, below], 2)
        kept = self.rng.choice(["0", "1", above, "-1"])
        if self.rng.random() < 0.3:
            return f"reward = ({kept}) if not ({test}) else {operation}"
        return f"reward = {operation} if {test} else ({kept})"

    def stepwise(self) -> str:
        """The same for every step of a list."""
        pool = [self.rng.choice(("xs", "ys", "ks", "a", "fl", "max(xs)", "mean(ks)", "0.5"))
                for _ in range(2)] + ["xs"]  # fmt: skip
        below = self.combined(pool)
        above = self.combined(pool)
        test = self.condition([*pool, below], 1)
        outer = self.rng.choice(("sum", "mean", "max"))
        return f"reward = {outer}(xs * 0 + (({above}) / ({below}) if {test} else 0))"

    def number(self, depth: int) -> str:
        """A number of one rollout."""
        rng, draw = self.rng, self.rng.random()
        if depth == 0 or draw < 0.35:
            return rng.choice(_LEAVES)
        if draw < 0.5:
            return rng.choice(_GROUPS).format(self.number(depth - 1))
        if draw < 0.65:
            return rng.choice(_REDUCED).format(rng.choice(_LISTS))
        if draw < 0.78:
            return rng.choice(_UNARY).format(f"({self.number(depth - 1)})")
        one, two = (f"({self.number(depth - 1)})" for _ in range(2))
        return rng.choice(_BINARY).format(one, two)

    def combined(self, pool: list[str]) -> str:
        """Something made of the numbers at hand."""
        rng = self.rng
        one, two = (f"({rng.choice(pool)})" for _ in range(2))
        if rng.random() < 0.25:
            return one
        if rng.random() < 0.2:
            return rng.choice(_UNARY).format(one)
        return rng.choice(_BINARY[:5]).format(one, two)

    def condition(self, pool: list[str], depth: int) -> str:
        """A condition on the numbers at hand."""
        rng = self.rng
        if depth and rng.random() < 0.3:
            one, two = self.condition(pool, depth - 1), self.condition(pool, depth - 1)
            return rng.choice(("({}) and ({})", "({}) or ({})", "not ({})")).format(one, two)
        text = rng.choice(_COMPARED)
        return text.format(*(f"({rng.choice(pool)})" for _ in range(text.count("{}"))))

    def chosen(self) -> str:
        """A choice by the outcome between two expressions that are made of the same."""
        rng = self.rng
        parts = [rng.choice(_FINITE) for _ in range(3)]
        one, two = (self._made(parts, 2) for _ in range(2))
        test = rng.choice(["ok"] * 4 + ["ok and well", "ok or well", "ok and n > 100"])
        shape = rng.choice(("{0} if {2} else {1}", "ok * ({0}) + (1 - ok) * ({1})",
                            "({0}) * (1 if {2} else 0.5) + ({1})", "({1}) + ({0} if {2} else 0)",
                            "{0} if {2} else 0.5 * ({0})"))  # fmt: skip
        return "reward = " + shape.format(one, two, test)

    def _made(self, parts: list[str], depth: int) -> str:
        rng = self.rng
        if depth == 0 or rng.random() < 0.25:
            return rng.choice(parts)
        one, two = (self._made(parts, depth - 1) for _ in range(2))
        shape = rng.choice(("{} + {}", "{} - {}", "({}) * ({})", "max({}, {})", "min({}, {})",
                            "({} if well else {})", "({} + {}) / 2", "({} if n > 100 else {})",
                            "sqrt(abs({}))", "0.5 * ({})", "1 - ({})", "({}) ** 2", "tanh({})",
                            "({}) / (1 + abs({}))", "exp({})", "abs({})"))  # fmt: skip
        return shape.format(*(one, two)[: shape.count("{}")])


_CLOSE = ("a", "b", "ok", "well", "n / 4000", "mean(xs)", "sum(fl) / 10", "k", "gap", "max(xs)",
          "0.5", "1", "group_mean(b)", "progress", "any(fl)", "all(fl)", "group_rank(a)",
          "count(fl) / 10")  # fmt: skip
_SHAPES = ("{} + {}", "{} - {}", "{} * {}", "max({}, {})", "min({}, {})", "{0} if {2} else {1}",
           "abs({})", "-{}", "1 - {}", "clip({}, 0, 1)", "min({}, 0.5)", "max({}, 0)", "0.5 * {}",
           "2 * {}", "ok * {}", "{} if ok else 0", "min({}, max({}, a))", "{} / (1 + a)",
           "clip({}, 0.2, 0.8)", "max({0}, -{0})", "group_rank({})", "tanh({})", "sigmoid({})",
           "mean(xs * {})", "mean(fl * {})", "sum(xs if fl else {}) / 10")  # fmt: skip
_TESTS = ("ok", "well", "n > 500", "n <= 500", "n < 500", "n >= 500", "a > b", "a >= b", "b < a",
          "any(fl)", "sum(fl) > 0", "sum(fl) >= 1", "sum(fl) == count(fl)", "all(fl)", "gap > 0",
          "gap >= 1", "gap != 0", "a > 0.5", "progress > 0.5", "count(xs) > 0", "sum(fl) < 2",
          "sum(fl) <= 1", "k == 0")  # fmt: skip


class Close:
    """Draws small programs of which many are one reward, or nearly."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def number(self, depth: int) -> str:
        """One number."""
        rng = self.rng
        if depth == 0 or rng.random() < 0.25:
            return rng.choice(_CLOSE)
        one, two = (f"({self.number(depth - 1)})" for _ in range(2))
        return rng.choice(_SHAPES).format(one, two, self.test(1))

    def test(self, depth: int) -> str:
        """One condition."""
        rng = self.rng
        if depth and rng.random() < 0.4:
            one, two = self.test(depth - 1), self.test(depth - 1)
            return rng.choice(("({} and {})", "({} or {})", "(not {})")).format(one, two)
        return rng.choice(_TESTS)
