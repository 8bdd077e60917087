"""The meaning of every operation on single numbers, and the evaluation of a graph at points.

Pure Python, so that proofs by enumeration need no NumPy; total: nothing raises, everything is
IEEE 754 float64, but that x / 0 is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from derl_dsl.graph.ir import Graph
from derl_dsl.graph.ops import SLICES

INF, NAN = math.inf, math.nan
Values = list[float]


def div(a: float, b: float) -> float:
    """a / b; NaN for b = 0, whatever a is: a division by zero spoils what is made of it."""
    return a / b if b != 0 else NAN


def mod(a: float, b: float) -> float:
    """a % b with the sign of b; NaN for b = 0."""
    try:
        return a % b
    except ZeroDivisionError:
        return NAN


def pow_(a: float, b: float) -> float:
    """a ** b; 0 ** 0 is 1; NaN for 0 to a negative, and for a negative number to a fraction."""
    if a == 0 and b < 0:
        return NAN
    odd = b % 2 == 1 if math.isfinite(b) else False
    try:
        return math.pow(a, b)
    except OverflowError:
        return -INF if a < 0 and odd else INF
    except ValueError:
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
    return (1.0 if a > 0 else 0.0) - (1.0 if a < 0 else 0.0) if a == a else NAN


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


def total(values: Values) -> float:
    """The sum from left to right, as a loop computes it."""
    found = 0.0
    for value in values:
        found += value
    return found


def mean(values: Values) -> float:
    """The mean, held between the extremes; 0 of nothing."""
    if not len(values):
        return 0.0
    return min(max(total(values) / len(values), min(values)), max(values))


def smallest(values: Values) -> float:
    """The smallest value, NaN if any is; 0 of nothing."""
    return NAN if any(v != v for v in values) else min(values, default=0.0)


def largest(values: Values) -> float:
    """The largest value, NaN if any is; 0 of nothing."""
    return NAN if any(v != v for v in values) else max(values, default=0.0)


REDUCE: dict[str, Callable[[Values], float]] = {
    "list_sum": total,
    "list_mean": mean,
    "list_min": smallest,
    "list_max": largest,
    "list_first": lambda v: v[0] if len(v) else 0.0,
    "list_last": lambda v: v[-1] if len(v) else 0.0,
    "list_count": lambda v: float(len(v)),
    "list_any": any,
    "list_all": all,
}


def cut(op: str, literals: tuple[float, ...], steps: int) -> tuple[int, int]:
    """The first step and the end of a third or part of `steps` steps."""
    if op == "third":
        k = int(literals[0])
        return (k - 1) * steps // 3, k * steps // 3
    return math.floor(steps * literals[0]), math.floor(steps * literals[1])


def _step(op: Callable[..., float], args: tuple[Any, ...]) -> Any:
    """One operation on one rollout; lists go step by step, single values with every step."""
    lists = [a for a in args if isinstance(a, list)]
    if not lists:
        return op(*args)
    steps = min(map(len, lists))
    return [op(*(a[k] if isinstance(a, list) else a for a in args)) for k in range(steps)]


def evaluate(
    graph: Graph,
    roots: Sequence[int],
    points: Mapping[int, list[Any]],
    count: int,
) -> dict[int, list[Any]]:
    """The values of all nodes below `roots` at `count` points.

    `points` gives those of the inputs, and of every other node that is not to be computed (group
    functions, which no single rollout decides).
    """
    done: dict[int, list[Any]] = dict(points)
    for i in graph.used(roots, known=done.keys()):
        if i in done:
            continue
        node = graph.nodes[i]
        args = [done[a] for a in node.args]
        if node.op == "const":
            done[i] = [node.payload] * count
        elif node.op in REDUCE:
            done[i] = list(map(REDUCE[node.op], *args))
        elif node.op in SLICES:
            assert isinstance(node.payload, tuple)
            payload = node.payload
            done[i] = [v[slice(*cut(node.op, payload, len(v)))] for v in args[0]]
        elif node.is_list:
            op = OPS[node.op]
            done[i] = [_step(op, row) for row in zip(*args, strict=True)]
        else:
            done[i] = list(map(OPS[node.op], *args))
    return done
