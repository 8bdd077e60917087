"""The meaning of every operation on single numbers, and the evaluation of a graph at points.

Pure Python, so that proofs by enumeration need no NumPy; total: nothing raises, everything is
IEEE 754 float64 (x / 0 is infinite, log of a negative number is NaN).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from derl_dsl.ir import Graph

INF, NAN = math.inf, math.nan
Values = list[float]


def div(a: float, b: float) -> float:
    """a / b."""
    try:
        return a / b
    except ZeroDivisionError:
        return NAN if a == 0 or a != a else math.copysign(INF, a) * math.copysign(1.0, b)


def mod(a: float, b: float) -> float:
    """a % b with the sign of b; NaN for b = 0."""
    try:
        return a % b
    except ZeroDivisionError:
        return NAN


def pow_(a: float, b: float) -> float:
    """a ** b; 0 ** 0 is 1; NaN for a negative number to a fraction."""
    odd = b % 2 == 1 if math.isfinite(b) else False
    try:
        return math.pow(a, b)
    except OverflowError:
        return -INF if a < 0 and odd else INF
    except ValueError:
        if a == 0:
            return math.copysign(INF, a) if odd else INF
        return NAN


def minimum(a: float, b: float) -> float:
    """min(a, b); NaN if either is."""
    return a if a < b or a != a else b


def maximum(a: float, b: float) -> float:
    """max(a, b); NaN if either is."""
    return a if a > b or a != a else b


def exp(a: float) -> float:
    """e ** a."""
    try:
        return math.exp(a)
    except OverflowError:
        return INF


def log(a: float) -> float:
    """The natural logarithm; -inf at 0, NaN below."""
    if a > 0 or a != a:
        return math.log(a)
    return -INF if a == 0 else NAN


def sqrt(a: float) -> float:
    """The square root; NaN below 0."""
    return math.sqrt(a) if not a < 0 else NAN


def sigmoid(a: float) -> float:
    """1 / (1 + exp(-a)), without overflow."""
    if a >= 0:
        return 1.0 / (1.0 + math.exp(-a))
    grown = math.exp(a) if a == a else NAN
    return grown / (1.0 + grown)


def cos(a: float) -> float:
    """The cosine; NaN at infinity."""
    return math.cos(a) if not math.isinf(a) else NAN


def floor(a: float) -> float:
    """The largest whole number not above a."""
    return math.copysign(float(math.floor(a)), a) if math.isfinite(a) else a


def round_(a: float) -> float:
    """The nearest whole number, halves to even."""
    return math.copysign(float(round(a)), a) if math.isfinite(a) else a


def sign(a: float) -> float:
    """-1, 0 or 1; NaN of NaN."""
    return float((a > 0) - (a < 0)) if a == a else NAN


def guard(a: float, default: float) -> float:
    """a where it is finite, else the default."""
    return a if math.isfinite(a) else default


OPS: dict[str, Callable[..., float]] = {
    "neg": lambda a: -a,
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": div,
    "mod": mod,
    "pow": pow_,
    "min": minimum,
    "max": maximum,
    "abs": abs,
    "exp": exp,
    "log": log,
    "sqrt": sqrt,
    "tanh": math.tanh,
    "sigmoid": sigmoid,
    "cos": cos,
    "floor": floor,
    "round": round_,
    "sign": sign,
    "guard": guard,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "and": lambda a, b: a and b,
    "or": lambda a, b: a or b,
    "not": lambda a: not a,
    "num": float,
    "select": lambda test, a, b: a if test else b,
}


def evaluate(
    graph: Graph, roots: Sequence[int], points: Mapping[int, Values], count: int
) -> dict[int, Values]:
    """The values of all nodes below `roots` at `count` points, given those of the inputs."""
    done: dict[int, Values] = dict(points)
    for i in graph.used(roots):
        node = graph.nodes[i]
        if node.op == "const":
            assert isinstance(node.payload, float)
            done[i] = [node.payload] * count
        elif node.op != "input":
            done[i] = list(map(OPS[node.op], *(done[a] for a in node.args)))
    return done
