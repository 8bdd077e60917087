"""Random programs and batches that dwell in the corners: missing values, faults, lists, groups.

Programs are finite by construction where it is easy and guarded where it is not, so that most of
them pass the checker; under a guard NaN is as common as numbers are.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

COLUMNS = {
    "a": "number[0, 1]",
    "b": "number[-2, 2]",
    "n": "number{0, 1, 2, 5}",
    "w": "number[1, 50]",
    "ok": "bool",
    "k": "bool",
    "o": "number[0, 3]?",
    "q": "number[-1, 1]?",
    "om": "bool?",
    "xs": "list[number[-1, 2]]",
    "ys": "list[number[0, 1]]",
    "cs": "list[bool]",
    "ol": "list[number[0, 1]]?",
    "oc": "list[bool]?",
}
_GROUP = ("group_mean", "group_std", "group_min", "group_max", "group_rank")


class Writer:
    """Writes the expressions of one program."""

    def __init__(self, rng: random.Random, prefix: str = "p") -> None:
        self.rng, self.prefix = rng, prefix
        self.parts: list[tuple[str, str]] = []
        self.numbers: list[str] = []
        self.lists: list[str] = []

    def program(self) -> str:
        """Parts, some of which nothing reads, and the reward."""
        for k in range(self.rng.choice((0, 0, 1, 2))):
            name = f"{self.prefix}{k}"
            if self.rng.random() < 0.3:
                self.parts.append((name, self.list(2, False)))
                self.lists.append(name)
            else:
                self.parts.append((name, self.number(3, False)))
                self.numbers.append(name)
        return "".join(f"{n} = {e}\n" for n, e in self.parts) + "reward = " + self.root()

    def root(self) -> str:
        """An expression for a reward."""
        return self.rng.choice((self.number, self.number, self.optional))(4, False)

    def leaf(self) -> str:
        """A number without a guard's need."""
        names = ["a", "b", "n", "w", "ok", "k", *self.numbers * 2]
        if self.rng.random() < 0.3:
            return self.rng.choice(("0", "1", "0.5", "2", "0.1", "3", "param(0.2, min=0, max=1)"))
        return self.rng.choice(names)

    def number(self, depth: int, wild: bool) -> str:
        """A number that always applies; `wild` ones may be NaN or infinite."""
        rng = self.rng
        if depth <= 0:
            return self.leaf()
        d = depth - 1
        forms = [
            lambda: f"({self.number(d, wild)} {rng.choice('+-*')} {self.number(d, wild)})",
            lambda: f"{rng.choice(('min', 'max'))}({self.number(d, wild)}, {self.number(d, wild)})",
            lambda: (
                f"({self.number(d, wild)} if {self.condition(d, wild)} else {self.number(d, wild)})"
            ),
            lambda: (
                f"{rng.choice(('abs', 'tanh', 'sigmoid', 'floor', 'round', 'sign', 'cos'))}"
                f"({self.number(d, wild)})"
            ),
            lambda: f"clip({self.number(d, wild)}, 0, 1)",
            lambda: f"ramp({self.number(d, wild)}, 0.2, 0.7)",
            lambda: f"({self.number(d, wild)}) ** {rng.choice((2, 3))}",
            lambda: f"(-{self.number(d, wild)})",
            lambda: f"{self.number(d, wild)} * {self.condition(d, wild)}",
            lambda: self.reduced(d, wild),
            lambda: self.reduced(d, wild),
            lambda: self.grouped(d, wild),
            lambda: f"default({self.optional(d, wild)}, {self.number(d, wild)})",
            lambda: f"default({self.optional(d, wild)}, {self.number(d, wild)})",
            lambda: f"guard({self.number(d, True)}, {self.leaf()})",
        ]
        if wild:
            x, y = self.number(d, True), self.number(d, True)
            forms += [
                lambda: f"({x}) / ({y})",
                lambda: f"({x}) % ({y})",
                lambda: f"({x}) ** ({y})",
                lambda: f"log({x})",
                lambda: f"sqrt({x})",
                lambda: f"exp(30 * {x})",
            ]
        return rng.choice(forms)()

    def optional(self, depth: int, wild: bool) -> str:
        """A number that may not apply."""
        rng, d = self.rng, depth - 1
        if depth <= 0:
            return rng.choice(("o", "q", "om"))
        return rng.choice((
            lambda: rng.choice(("o", "q")),
            lambda: f"({self.number(d, wild)} if {self.condition(d, wild)} else skip)",
            lambda: f"(skip if {self.maybe(d, wild)} else {self.optional(d, wild)})",
            lambda: f"({self.optional(d, wild)} {rng.choice('+-*')} {self.number(d, wild)})",
            lambda: f"({self.optional(d, wild)} if {self.condition(d, wild)} else "
            f"{self.number(d, wild)})",
            lambda: f"({self.number(d, wild)} if {self.maybe(d, wild)} else "
            f"{self.optional(d, wild)})",
            lambda: f"default({self.optional(d, wild)}, {self.optional(d, wild)})",
            lambda: f"default({self.optional(d, wild)}, {self.optional(d, wild)})",
            lambda: f"{rng.choice(_GROUP)}({self.number(d, wild)}, where={self.maybe(d, wild)})",
            lambda: f"{rng.choice(_GROUP)}({self.optional(d, wild)})",
            lambda: f"group_quantile({self.number(d, wild)}, 0.3, where={self.condition(d, wild)})",
            lambda: f"{self.statistic()}({self.list(d, wild, True)})",
            lambda: f"({self.maybe(d, wild)} * 2)",
        ))()  # fmt: skip

    def condition(self, depth: int, wild: bool) -> str:
        """A condition that always applies."""
        rng, d = self.rng, depth - 1
        if depth <= 0:
            return rng.choice(("ok", "k"))
        return rng.choice((
            lambda: rng.choice(("ok", "k")),
            lambda: f"({self.number(d, wild)} {rng.choice(('<', '<=', '>', '>=', '==', '!='))} "
            f"{self.number(d, wild)})",
            lambda: f"(0 < {self.number(d, wild)} <= {self.number(d, wild)})",
            lambda: f"({self.condition(d, wild)} {rng.choice(('and', 'or'))} "
            f"{self.condition(d, wild)})",
            lambda: f"(not {self.condition(d, wild)})",
            lambda: f"{rng.choice(('any', 'all'))}({self.conditions(d, wild)})",
        ))()  # fmt: skip

    def maybe(self, depth: int, wild: bool) -> str:
        """A condition that may not apply."""
        rng, d = self.rng, depth - 1
        if depth <= 0:
            return "om"
        return rng.choice((
            lambda: "om",
            lambda: f"({self.optional(d, wild)} > {self.number(d, wild)})",
            lambda: f"({self.maybe(d, wild)} {rng.choice(('and', 'or'))} "
            f"{self.condition(d, wild)})",
            lambda: f"any({rng.choice(('oc', '(ol > 0.5)', '(oc and xs > 0)'))})",
        ))()  # fmt: skip

    def statistic(self) -> str:
        """A reduction of numbers."""
        return self.rng.choice(("sum", "mean", "min", "max", "first", "last", "count"))

    def reduced(self, depth: int, wild: bool) -> str:
        """One number of a list."""
        return f"{self.statistic()}({self.list(depth, wild)})"

    def grouped(self, depth: int, wild: bool) -> str:
        """A statistic of everyone, or the size of some."""
        rng = self.rng
        if rng.random() < 0.3:
            where = rng.choice(("", f"where={self.maybe(depth, wild)}"))
            return f"group_size({where})"
        if rng.random() < 0.2:
            return f"group_quantile({self.number(depth, wild)}, {rng.choice((0, 0.25, 0.9, 1))})"
        return f"{rng.choice(_GROUP)}({self.number(depth, wild)})"

    def list(self, depth: int, wild: bool, maybe: bool = False) -> str:
        """A list of numbers; with `maybe` one that may be missing."""
        rng, d = self.rng, depth - 1
        if maybe and (depth <= 0 or rng.random() < 0.3):
            return rng.choice(("ol", "oc"))
        if depth <= 0:
            return rng.choice(("xs", "ys", "cs", *self.lists))
        forms = [
            lambda: f"({self.list(d, wild, maybe)} {rng.choice('+-*')} {self.list(d, wild)})",
            lambda: f"({self.list(d, wild, maybe)} {rng.choice('+-*')} {self.number(d, wild)})",
            lambda: (
                f"({self.list(d, wild, maybe)} if {self.condition(d, wild)} else "
                f"{self.list(d, wild)})"
            ),
            lambda: (
                f"({self.list(d, wild, maybe)} if {self.conditions(d, wild)} else "
                f"{self.number(d, wild)})"
            ),
            lambda: f"max({self.list(d, wild, maybe)}, {self.number(d, wild)})",
            lambda: f"third({self.list(0, wild, maybe)}, {rng.choice((1, 2, 3))})",
            lambda: f"part({self.list(d, wild, maybe)}, {rng.choice(('0, 0.29', '0.2, 0.6'))})",
        ]
        if maybe:
            forms.append(lambda: f"({self.list(d, wild)} if {self.maybe(d, wild)} else skip)")
            forms.append(lambda: f"default({self.list(d, wild, True)}, {self.optional(d, wild)})")
        else:
            forms.append(lambda: f"default({self.list(d, wild, True)}, {self.list(d, wild)})")
            forms.append(lambda: f"default({self.list(d, wild, True)}, {self.number(d, wild)})")
        if wild:
            forms.append(lambda: f"({self.list(d, wild, maybe)} / {self.list(d, wild)})")
        return rng.choice(forms)()

    def conditions(self, depth: int, wild: bool) -> str:
        """A list of conditions."""
        rng, d = self.rng, depth - 1
        if depth <= 0:
            return "cs"
        return rng.choice((
            lambda: "cs",
            lambda: f"({self.list(d, wild)} > {self.number(d, wild)})",
            lambda: f"(not {self.conditions(d, wild)})",
            lambda: f"({self.conditions(d, wild)} and {self.condition(d, wild)})",
        ))()  # fmt: skip


def program(rng: random.Random) -> str:
    """A program."""
    return Writer(rng).program()


def joined(rng: random.Random, count: int, taken: Callable[[str], bool]) -> str:
    """Many programs as parts of one, each `taken` alone, so that one compilation serves all."""
    lines: list[str] = []
    for k in range(count):
        text = Writer(rng, f"p{k}_").program()
        while not taken(text):
            text = Writer(rng, f"p{k}_").program()
        *parts, reward = text.splitlines()
        lines += [*parts, f"r{k} = {reward.removeprefix('reward = ')}"]
    return "\n".join([*lines, "reward = a + b"])


def _one(rng: random.Random, kind: str) -> Any:
    """A value of a type without lists, its corners more often than not."""
    item = kind.removesuffix("?")
    if item == "bool":
        return rng.random() < 0.5
    if "{" in item:
        return rng.choice([float(v) for v in item[7:-1].split(",")])
    lo, hi = (float(v) for v in item[7:-1].split(","))
    some = rng.uniform(lo, hi)
    return rng.choice((lo, hi, some, some, round(some)))


def batch(rng: random.Random, rows: int, faulty: bool) -> dict[str, list[Any]]:
    """Columns of all types; `faulty` ones have holes and values of no declared type."""
    lengths = [rng.choice((0, 1, 2, 3, 7)) for _ in range(rows)]
    found: dict[str, list[Any]] = {}
    for name, kind in COLUMNS.items():
        many = kind.startswith("list[")
        item = kind.removesuffix("?")[5:-1] if many else kind
        cells: list[Any] = []
        for r in range(rows):
            steps = lengths[r] + (faulty and rng.random() < 0.04)
            cell = [_one(rng, item) for _ in range(steps)] if many else _one(rng, item)
            if kind.endswith("?") and rng.random() < 0.3:
                cell = None
            if faulty and rng.random() < 0.05:
                wrong = rng.choice((None, 1e6, float("inf"), -77.0))
                cell = [*cell[:-1], 1e6] if many and cell and wrong is not None else (
                    None if many else wrong)  # fmt: skip
            cells.append(cell)
        found[name] = cells
    return found
