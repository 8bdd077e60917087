"""A reward's exact values at all combinations of finitely many input values.

Numbers count as they are written, 0.1 as a tenth, so that rounding does not tell apart what
arithmetic does not: columns of integers over one denominator, exact and quick.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import lru_cache
from operator import and_, eq, le, lt, ne, or_
from typing import Any

from derl_dsl.graph import scalars
from derl_dsl.graph.ir import Graph, Param
from derl_dsl.graph.leaves import domain
from derl_dsl.graph.ops import LEAVES, OPERATIONS
from derl_dsl.prove.witness import CORNERS

# Numerators, and the positive denominator they share; conditions are 0 and 1 over 1.
Exact = tuple[list[int], int]
# Rows of a table where a value is undefined: it stands in a branch that is not taken, or else there
# is no exact table.
Rows = frozenset[int]
_NOWHERE: Rows = frozenset()
_SMALL, _LARGEST = 1 << 11, 1 << 15


class NotExact(ArithmeticError):
    """A value of unwieldy size."""


@lru_cache(4096)
def as_written(value: float) -> tuple[int, int]:
    """The number as it was written: 0.1 is a tenth, not the float next to it."""
    return Decimal(repr(value)).as_integer_ratio()


def _constant(value: float, rows: int) -> Exact:
    above, below = as_written(value)
    return [above] * rows, below


def _column(values: Sequence[float]) -> Exact:
    """An input's column: few values, many rows."""
    ratios = {v: as_written(v) for v in set(values)}
    below = math.lcm(*(d for _, d in ratios.values()))
    above = {v: n * (below // d) for v, (n, d) in ratios.items()}
    return [above[v] for v in values], below


def _together(a: Exact, b: Exact) -> tuple[list[int], list[int], int]:
    (x, d), (y, e) = a, b
    if d == e:
        return x, y, d
    below = math.lcm(d, e)
    f, g = below // d, below // e
    return ([v * f for v in x] if f > 1 else x), ([v * g for v in y] if g > 1 else y), below


def _pairwise(op: Callable[[int, int], int]) -> Callable[[Exact, Exact], Exact]:
    def run(a: Exact, b: Exact) -> Exact:
        x, y, below = _together(a, b)
        return list(map(op, x, y)), below

    return run


def _compared(op: Callable[[int, int], bool]) -> Callable[[Exact, Exact], Exact]:
    def run(a: Exact, b: Exact) -> Exact:
        x, y, _ = _together(a, b)
        return list(map(op, x, y)), 1

    return run


def _mul(a: Exact, b: Exact) -> Exact:
    return [x * y for x, y in zip(a[0], b[0], strict=True)], a[1] * b[1]


def _div(a: Exact, b: Exact) -> Exact:
    (x, d), (y, e) = a, b
    below = math.lcm(*set(y))
    return [u * e * (below // v) for u, v in zip(x, y, strict=True)], d * below


def _mod(a: Exact, b: Exact) -> Exact:
    x, y, below = _together(a, b)
    return [u % v for u, v in zip(x, y, strict=True)], below


def _select(test: Exact, a: Exact, b: Exact) -> Exact:
    x, y, below = _together(a, b)
    return [u if t else v for t, u, v in zip(test[0], x, y, strict=True)], below


def _round(a: Exact) -> Exact:
    found = []
    for x in a[0]:
        whole, rest = divmod(2 * x + a[1], 2 * a[1])
        found.append(whole - (rest == 0 and whole % 2))
    return found, 1


OPS: dict[str, Callable[..., Exact]] = {
    "neg": lambda a: ([-x for x in a[0]], a[1]),
    "add": _pairwise(lambda x, y: x + y),
    "sub": _pairwise(lambda x, y: x - y),
    "mul": _mul,
    "div": _div,
    "mod": _mod,
    "min": _pairwise(min),
    "max": _pairwise(max),
    "abs": lambda a: ([abs(x) for x in a[0]], a[1]),
    "floor": lambda a: ([x // a[1] for x in a[0]], 1),
    "round": _round,
    "sign": lambda a: ([(x > 0) - (x < 0) for x in a[0]], 1),
    "guard": lambda a, _: a,
    "lt": _compared(lt),
    "le": _compared(le),
    "eq": _compared(eq),
    "ne": _compared(ne),
    "and": _compared(and_),
    "or": _compared(or_),
    "not": lambda a: ([1 - x for x in a[0]], 1),
    "num": lambda a: a,
    "select": _select,
}
# Functions without exact values take the float64 of the float next to the exact argument.
_INEXACT = frozenset(name for name, known in OPERATIONS.items() if known.inexact)
TABULAR = OPS.keys() | _INEXACT | LEAVES


def _in_float64(op: str, args: list[Exact]) -> tuple[Exact, Rows]:
    meaning = scalars.OPS[op]
    rows = zip(*([x / d for x in above] for above, d in args), strict=True)
    values = [meaning(*row) for row in rows]
    undefined = frozenset(k for k, v in enumerate(values) if not math.isfinite(v))
    ratios = [(0, 1) if k in undefined else v.as_integer_ratio() for k, v in enumerate(values)]
    below = max((d for _, d in ratios), default=1)
    return ([n * (below // d) for n, d in ratios], below), undefined


def _operation(op: str, args: list[Exact]) -> tuple[Exact, Rows]:
    """An operation's values, and the rows where it is undefined and has some other value."""
    if op in _INEXACT:
        return _in_float64(op, args)
    undefined: Rows = _NOWHERE
    if OPERATIONS[op].divides and not all(args[1][0]):
        above, below = args[1]
        undefined = frozenset(k for k, v in enumerate(above) if not v)
        args = [args[0], ([v or 1 for v in above], below)]
    return _reduced(OPS[op](*args)), undefined


def _carried(op: str, args: list[Exact], gaps: list[Rows]) -> Rows:
    """Where an operation on undefined values is: not in a branch that is not taken."""
    if not any(gaps):
        return _NOWHERE
    if op == "select":
        test = args[0][0]
        taken = {k for k in gaps[1] if test[k]} | {k for k in gaps[2] if not test[k]}
        return gaps[0] | taken
    return gaps[0] & gaps[1] if op == "guard" else _NOWHERE.union(*gaps)


def _reduced(column: Exact) -> Exact:
    above, below = column
    if below.bit_length() <= _SMALL:
        return column
    common = math.gcd(below, *above)
    if (below // common).bit_length() > _LARGEST:
        raise NotExact
    return [x // common for x in above], below // common


def exact_values(graph: Graph, root: int, columns: dict[int, list[Any]], rows: int) -> Exact | None:
    """The values of `root` at `rows` points of the inputs; None where one has no exact value."""
    done: dict[int, Exact] = {}
    gaps: dict[int, Rows] = {}
    try:
        for i in graph.used([root]):
            op, args, payload, _, _ = graph.nodes[i]
            if op in ("input", "valid"):
                done[i] = _column(columns[i])
            elif isinstance(payload, float):
                done[i] = _constant(payload, rows)
            elif isinstance(payload, Param):
                done[i] = _constant(payload.value, rows)
            else:
                below = [done[a] for a in args]
                undefined = [gaps.get(a, _NOWHERE) for a in args]
                done[i], own = _operation(op, below)
                if op == "guard" and undefined[0]:
                    marks = [k in undefined[0] for k in range(rows)]
                    done[i] = _select((list(map(int, marks)), 1), below[1], below[0])
                gaps[i] = own | _carried(op, below, undefined)
    except (NotExact, OverflowError):
        return None
    return None if gaps.get(root) else done[root]


def corners(graph: Graph, inputs: Sequence[int]) -> list[tuple[float, ...]] | None:
    """All values of each input; None when they, or their combinations, are too many."""
    domains = []
    size = 1
    for i in inputs:
        values = (0.0, 1.0) if graph.nodes[i].op == "valid" else domain(graph.source(i))
        if values is None:
            return None
        domains.append(values)
        size *= len(values)
        if size > CORNERS:
            return None
    return domains


def grid(inputs: Sequence[int], domains: Sequence[tuple[float, ...]]) -> dict[int, list[float]]:
    """A column for each input that together hold all combinations, the last input fastest."""
    size = repeat = math.prod(map(len, domains))
    columns: dict[int, list[float]] = {}
    for i, values in zip(inputs, domains, strict=True):
        repeat //= len(values)
        cycle = [v for v in values for _ in range(repeat)]
        columns[i] = cycle * (size // len(cycle))
    return columns
