"""Numbers out of texts: one number, all numbers, the value of an arithmetic expression."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import islice
from typing import TYPE_CHECKING

from derl_primitives.answers import number_of
from derl_primitives.arrays import LONGEST_READ, MOST_PARTS, bools, floats, per_row
from derl_primitives.patterns import pattern
from derl_primitives.primitive import primitive

if TYPE_CHECKING:
    from derl_primitives.arrays import Bools, Floats

Texts = Sequence[str] | str

LARGEST = 10**15
"""Numbers beyond it are none to these functions, so that what is made of them stays finite."""

LONGEST_ARITHMETIC = 1024
"""Characters of an expression; its exact value has about as many digits."""

_LONGEST_NUMBER = 300
_NUMBERS = pattern(
    r"(?:(?<![\w)\]}])[-\u2212])?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3}(?![0-9]))?"
)
_TOKEN = pattern(
    r"\s*(?:([0-9]+(?:\.[0-9]*)?|\.[0-9]+)|(.))",
)
_SIGNS = {"\u2212": "-", "\u00d7": "*", "\u00f7": "/"}
_BINDS = {"+": 1, "-": 1, "*": 2, "/": 2}
_OPS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}


@primitive(
    "(text: text) -> number[-1e15, 1e15]?", cost="scan", source="the numbers of `numeric_equal`"
)
def number(text: Texts) -> Floats:
    """The number that the whole text is; not applicable when it is none, or beyond ±1e15.

    Thousands commas, fractions, currency and percent signs and a unit after the number are read as
    `numeric_equal` reads them.

    >>> number(["$1,250.50", " 3/4 ", "about 4", "12 apples"]).tolist()
    [1250.5, 0.75, nan, 12.0]
    """
    (text,) = per_row(text)
    return floats(map(_number, text), len(text))


def _number(text: str) -> float:
    value = number_of(text)
    return math.nan if value is None or not held(value) else float(value)


def held(value: Decimal | Fraction | float) -> bool:
    """Whether a number lies where the functions' numbers lie: proofs need a bound."""
    return -LARGEST <= value <= LARGEST


@primitive(
    "(text: text) -> list[number[-1e15, 1e15]]",
    cost="scan",
    source="decimal numbers in running text",
)
def numbers(text: Texts) -> list[list[float]]:
    """All decimal numbers of the text, in order; of more than 4,096 the first ones.

    A comma separates numbers: `1,234` is two of them. A minus counts unless something is taken
    from. Numbers beyond ±1e15 are left out; of a text the first 65,536 characters count.

    >>> numbers(["[10, 20.5, -3e2]", "7-4", "none"])
    [[10.0, 20.5, -300.0], [7.0, 4.0], []]
    """
    (text,) = per_row(text)
    return [list(islice(_floats_in(t[:LONGEST_READ]), MOST_PARTS)) for t in text]


def _floats_in(text: str) -> Iterator[float]:
    for match in _NUMBERS().finditer(text):
        digits = match.group()
        if len(digits) <= _LONGEST_NUMBER:
            value = float(digits.replace("\u2212", "-"))
            if held(value):
                yield value


@primitive("(text: text) -> number[-1e15, 1e15]?", cost="parse", source="countdown of TinyZero")
def arithmetic(text: Texts) -> Floats:
    """The value of the whole text as arithmetic; not applicable when it is none.

    Decimal numbers, brackets, + - * / (also × ÷ −) and signs, computed exactly and then rounded
    once; at most 1,024 characters, nothing divided by zero, nothing beyond ±1e15.

    >>> arithmetic(["(44 - 19) * 2", "1/3*3", "2 ** 3", "1/0", "-(2)"]).tolist()
    [50.0, 1.0, nan, nan, -2.0]
    """
    (text,) = per_row(text)
    return floats(
        (math.nan if (v := evaluated(t)[0]) is None else float(v) for t in text), len(text)
    )


@primitive("(text: text) -> list[number[0, 1e15]]", cost="parse", source="countdown of TinyZero")
def arithmetic_numbers(text: Texts) -> list[list[float]]:
    """The numbers that an arithmetic expression uses, in order, without signs.

    None when the text is no expression of `arithmetic`.

    >>> arithmetic_numbers(["(44 - 19) * 2", "44 and 19"])
    [[44.0, 19.0, 2.0], []]
    """
    (text,) = per_row(text)
    found = [evaluated(t) for t in text]
    return [[] if value is None else [float(u) for u in used] for value, used in found]


def evaluated(text: str) -> tuple[Fraction | None, list[Fraction]]:
    """The exact value of an expression and the numbers it uses; None when it is no expression."""
    if len(text) > LONGEST_ARITHMETIC:
        return None, []
    reader = _Reader()
    value = reader.read(text.strip())
    if value is None or not all(map(held, [value, *reader.used])):
        return None, []
    return value, reader.used


class _Reader:
    """Operators wait on a stack until one that binds less follows: nesting costs no recursion."""

    def __init__(self) -> None:
        self.values: list[Fraction] = []
        self.waiting: list[str] = []
        self.used: list[Fraction] = []
        self.operand = True  # whether an operand comes next

    def read(self, text: str) -> Fraction | None:
        """The value of a whole expression, or None."""
        for match in _TOKEN().finditer(text):
            digits, sign = match.groups()
            fine = self._sign(_SIGNS.get(sign, sign)) if digits is None else self._number(digits)
            if not fine:
                return None
        if self.operand or not self._apply(0) or self.waiting:
            return None
        return self.values[0]

    def _number(self, digits: str) -> bool:
        fits, self.operand = self.operand, False
        self.values.append(Fraction(digits))
        self.used.append(self.values[-1])
        return fits

    def _sign(self, sign: str) -> bool:
        """Whether an operator or a bracket fits here; it takes its place."""
        if self.operand:
            self.waiting.append(sign if sign == "(" else f"sign{sign}")
            return sign in ("(", "+", "-")
        if sign == ")":
            return self._apply(0) and bool(self.waiting) and self.waiting.pop() == "("
        if sign not in _BINDS or not self._apply(_BINDS[sign]):
            return False
        self.waiting.append(sign)
        self.operand = True
        return True

    def _apply(self, binds: int) -> bool:
        """Apply what waits and binds as much, up to a bracket; False on a division by zero."""
        values, waiting = self.values, self.waiting
        while waiting and waiting[-1] != "(" and _BINDS.get(waiting[-1], 3) >= binds:
            op, last = waiting.pop(), values.pop()
            if op.startswith("sign"):
                values.append(-last if op == "sign-" else last)
            elif op == "/" and last == 0:
                return False
            else:
                values.append(_OPS[op](values.pop(), last))
        return True


@primitive(
    "(left: list[number], right: list[number]) -> bool",
    cost="scan",
    source="equal multisets of numbers",
    good=True,
)
def same_numbers(left: Sequence[Sequence[float]], right: Sequence[Sequence[float]]) -> Bools:
    """Whether two lists hold the same numbers, each equally often, in any order.

    >>> same_numbers([[19, 44, 2], [2, 2]], [[2, 19, 44], [2]]).tolist()
    [True, False]
    """
    pairs = zip(left, right, strict=True)
    return bools((sorted(map(float, a)) == sorted(map(float, b)) for a, b in pairs), len(left))
