"""What formulas are worth: exact where they are rational, else at points, never by guessing.

Two formulas are equal when their exact values are, or when they agree at several points of the
plane to ten digits. A rounded decimal is no irrational number: a rational value of many digits
equals no root.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Mapping
from fractions import Fraction

from derl_primitives.verdict.formula import Node, symbols

LARGEST_BITS = 4096
LARGEST_FACTORIAL = 300
CLOSE = 1e-10
SIMPLE = 10**6
"""A rational number with larger parts equals no irrational one: it was rounded from it."""

POINTS = (0.7390851, 1.3247179, 2.6651441, 3.3598856, 0.2078795)
NEGATIVE = (-0.5671432, -1.7632228)
Number = complex


class Undefined(Exception):
    """A formula has no value there, or none that can be computed within the bounds."""


def exact(node: Node) -> Fraction | None:
    """The value of a formula that is rational and small enough, else None."""
    try:
        return _exact(node)
    except (Undefined, ZeroDivisionError, OverflowError):
        return None


def _exact(node: Node) -> Fraction:
    kind = node[0]
    if kind == "num":
        return _bounded(node[1])
    if kind == "neg":
        return -_exact(node[1])
    if kind == "add":
        return _bounded(_exact(node[1]) + _exact(node[2]))
    if kind == "mul":
        return _bounded(_exact(node[1]) * _exact(node[2]))
    if kind == "div":
        return _bounded(_exact(node[1]) / _exact(node[2]))
    if kind == "pow":
        return _power(_exact(node[1]), _exact(node[2]))
    if kind == "fact":
        top = _exact(node[1])
        if top.denominator != 1 or not 0 <= top <= LARGEST_FACTORIAL:
            raise Undefined
        return Fraction(math.factorial(int(top)))
    if kind == "call":
        return _call(node[1], *map(_exact, node[2:]))
    raise Undefined


def _bounded(value: Fraction) -> Fraction:
    if value.numerator.bit_length() + value.denominator.bit_length() > LARGEST_BITS:
        raise Undefined
    return value


def _power(base: Fraction, top: Fraction) -> Fraction:
    if top.denominator != 1:
        root = _root(base, top.denominator)
        return _power(root, Fraction(top.numerator))
    if (
        abs(top) > LARGEST_BITS
        or (base.numerator.bit_length() + base.denominator.bit_length()) * abs(top)
        > 4 * LARGEST_BITS
    ):
        raise Undefined
    return base ** int(top)


def _root(value: Fraction, degree: int) -> Fraction:
    """The exact root; raises Undefined where it is irrational."""
    if degree < 1 or degree > 64 or (value < 0 and degree % 2 == 0):
        raise Undefined
    sign = -1 if value < 0 else 1
    top, bottom = _whole_root(abs(value.numerator), degree), _whole_root(value.denominator, degree)
    return Fraction(sign * top, bottom)


def _whole_root(value: int, degree: int) -> int:
    if degree == 2:
        found = math.isqrt(value)
    elif value.bit_length() > 900:
        raise Undefined
    else:
        found = round(value ** (1 / degree))
    if found**degree != value:
        raise Undefined
    return found


def _call(name: str, *args: Fraction) -> Fraction:
    first = args[0]
    if name == "sqrt":
        return _root(first, 2)
    if name == "cbrt":
        return _root(first, 3)
    if name == "root" and args[1].denominator == 1:
        return _root(first, int(args[1]))
    if name == "abs":
        return abs(first)
    if name == "floor":
        return Fraction(math.floor(first))
    if name == "ceil":
        return Fraction(math.ceil(first))
    if name in ("max", "min"):
        return max(args) if name == "max" else min(args)
    if name in ("gcd", "lcm", "binom") and all(a.denominator == 1 for a in args):
        a, b = int(first), int(args[1])
        if name == "binom" and not 0 <= b <= a <= 2000:
            raise Undefined
        return Fraction({"gcd": math.gcd, "lcm": math.lcm, "binom": math.comb}[name](a, b))
    if name == "logb" or name in ("log", "lg"):
        return _logarithm(first, args[1] if name == "logb" else Fraction(10))
    raise Undefined


def _logarithm(value: Fraction, base: Fraction) -> Fraction:
    if value <= 0 or base <= 0 or base == 1:
        raise Undefined
    guess = Fraction(math.log(value) / math.log(base)).limit_denominator(60)
    if _power(base, Fraction(guess.numerator)) == _power(value, Fraction(guess.denominator)):
        return guess
    raise Undefined


def at(node: Node, point: Mapping[str, Number]) -> Number:
    """The value of a formula at a point; raises Undefined where it has none."""
    try:
        found = _at(node, point)
    except (ZeroDivisionError, OverflowError, ValueError):
        raise Undefined from None
    if not cmath.isfinite(found):
        raise Undefined
    return found


def _at(node: Node, point: Mapping[str, Number]) -> Number:
    kind = node[0]
    if kind == "num":
        return complex(float(node[1]))
    if kind == "sym":
        return point[node[1]]
    if kind == "const":
        if node[1] == "inf":
            raise Undefined
        return {"pi": cmath.pi, "e": cmath.e, "i": 1j}[node[1]]
    parts = [_at(part, point) for part in node[1:] if isinstance(part, tuple)]
    if kind == "neg":
        return 0 - parts[0]  # keeps +0 as the imaginary part: on a cut, roots depend on it
    if kind == "add":
        return parts[0] + parts[1]
    if kind == "mul":
        return parts[0] * parts[1]
    if kind == "div":
        return parts[0] / parts[1]
    if kind == "pow":
        return parts[0] ** parts[1]
    if kind == "fact":
        return complex(math.gamma(_real(parts[0]) + 1))
    return complex(_function(node[1], parts))


def _real(value: Number) -> float:
    if abs(value.imag) > 1e-12 * (1 + abs(value)):
        raise Undefined
    return value.real


def _function(name: str, args: list[Number]) -> Number | float:
    x = args[0]
    if name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "exp", "sqrt"):
        return getattr(cmath, name)(x)  # type: ignore[no-any-return]
    if name in ("arcsin", "arccos", "arctan"):
        return getattr(cmath, "a" + name[3:])(x)  # type: ignore[no-any-return]
    if name in ("cot", "sec", "csc"):
        return 1 / {"cot": cmath.tan, "sec": cmath.cos, "csc": cmath.sin}[name](x)
    if name == "ln":
        return cmath.log(x)
    if name in ("log", "lg"):
        return cmath.log10(x)
    if name == "logb":
        return cmath.log(x) / cmath.log(args[1])
    if name == "abs":
        return abs(x)
    if name == "cbrt" or name == "root":
        degree = 3 if name == "cbrt" else round(_real(args[1]))
        if x.imag == 0 and x.real < 0 and degree % 2:
            return complex(-((-x.real) ** (1 / degree)))
        return complex(x ** (1 / degree))
    if name == "conj":
        return x.conjugate()
    if name in ("floor", "ceil"):
        return getattr(math, name)(_real(x))  # type: ignore[no-any-return]
    if name in ("max", "min"):
        return (max if name == "max" else min)(map(_real, args))
    raise Undefined


def close(a: Number, b: Number) -> bool:
    """Whether two values agree to ten digits."""
    return (
        abs(a - b) <= CLOSE * max(1.0, abs(a), abs(b))
        if abs(a) > 1e-6
        else abs(a - b) <= CLOSE * abs(a) + 1e-16
    )


def equal(a: Node, b: Node) -> bool | None:
    """Whether two formulas are equal for all values; None where neither has a value."""
    if a == b:
        return True
    left, right = exact(a), exact(b)
    if left is not None and right is not None:
        return left == right
    names = symbols(a) | symbols(b)
    if not names:
        return _equal_constants(a, b, left, right)
    return _equal_functions(a, b, names)


def _equal_constants(
    a: Node, b: Node, left: Fraction | None, right: Fraction | None
) -> bool | None:
    if a == ("const", "inf") or b == ("const", "inf"):
        return False
    rational = left if left is not None else right
    if rational is not None and max(abs(rational.numerator), rational.denominator) > SIMPLE:
        return False
    try:
        x, y = at(a, {}), at(b, {})
    except Undefined:
        return None
    return abs(x - y) <= CLOSE * max(abs(x), abs(y)) or max(abs(x), abs(y)) < 1e-13


def points(names: frozenset[str]) -> list[dict[str, Number]]:
    """Where formulas in these variables are compared: positive points first."""
    ordered = sorted(names)
    found = []
    for shift, values in enumerate(
        (POINTS, POINTS, POINTS, POINTS, NEGATIVE + POINTS, NEGATIVE[::-1] + POINTS)
    ):
        found.append(
            {
                n: values[(k * 2 + shift * (shift < 4)) % len(values)] * (1 + 0.0371 * k + 0)
                for k, n in enumerate(ordered)
            }
        )
    return found  # type: ignore[return-value]


def _equal_functions(a: Node, b: Node, names: frozenset[str]) -> bool | None:
    seen = 0
    for place in points(names):
        try:
            x, y = at(a, place), at(b, place)
        except Undefined:
            continue
        if abs(x - y) > 1e-9 * max(abs(x), abs(y), 1e-9):
            # Branches of roots and logarithms differ where one side has no real value.
            if seen >= 4 and (abs(x.imag) > 1e-12 or abs(y.imag) > 1e-12):
                continue
            return False
        seen += 1
    return True if seen >= 2 else None


def proportional(a: Node, b: Node) -> int | None:
    """The sign of c where a = c * b for all values and a constant c; 0 when there is none."""
    names = symbols(a) | symbols(b)
    if not names:
        return 0
    ratio: Number | None = None
    for place in points(names):
        try:
            x, y = at(a, place), at(b, place)
        except Undefined:
            continue
        if abs(x) < 1e-12 or abs(y) < 1e-12:
            if abs(x) < 1e-12 and abs(y) < 1e-12:
                continue
            return 0
        if ratio is None:
            ratio = x / y
        elif abs(x / y - ratio) > 1e-8 * abs(ratio):
            return 0
    if ratio is None:
        return None
    return (1 if ratio.real > 0 else -1) if abs(ratio.imag) < 1e-9 * abs(ratio) else 0
