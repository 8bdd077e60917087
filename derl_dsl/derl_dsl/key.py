"""Equivalence keys: equal keys mean rewards that group-normalised GRPO cannot tell apart.

GRPO subtracts the group's mean and divides by its standard deviation, so `a * R + b` with a > 0
trains exactly as R does. Over finite input domains the key is the exact table of the reward's
values, shifted and scaled to [0, 1]; otherwise it is the reward's structure with its outermost
positive affine change taken off.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from fractions import Fraction

from derl_dsl import points
from derl_dsl.analyse import domain
from derl_dsl.ir import Graph, Param
from derl_dsl.witness import CORNERS

_COMMUTATIVE = frozenset({"add", "mul", "min", "max", "and", "or", "eq", "ne"})
_RATIONAL = frozenset({"const", "input", "param", "neg", "add", "sub", "mul", "div", "num",
                       "select", "min", "max", "abs", "lt", "le", "eq", "ne", "and", "or",
                       "not"})  # fmt: skip
_REAL = frozenset({"mod", "pow", "exp", "log", "sqrt", "tanh", "sigmoid", "cos", "floor", "round",
                   "sign", "guard"})  # fmt: skip
# Exact and float64 values may differ by rounding, not by more than this share of their spread.
_AGREE = 1e-9

Linear = tuple[dict[str, Fraction], Fraction]


def key(graph: Graph, root: int) -> str:
    """The key of a reward: equal for rewards that differ by `a * R + b`, a > 0, at most.

    Different keys do not prove different rewards.
    """
    valid = next((v for n, v in graph.valids.items() if graph.outputs[n] == root), None)
    roots = [root] if valid is None else [root, valid]
    tabular = all(graph.nodes[i].op in _RATIONAL | _REAL for i in graph.used(roots))
    table = _table(graph, root) if tabular and valid is None else None
    text = f"table {table}" if table is not None else f"form {_structure(graph, root, valid)}"
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _exact(value: float) -> Fraction:
    """The number as it was written: 0.1 is a tenth, not the float next to it."""
    return Fraction(repr(value))


def _table(graph: Graph, root: int) -> str | None:
    """The inputs that matter, and the reward's values over all their combinations on [0, 1]."""
    inputs = graph.inputs([root])
    domains = []
    size = 1
    for i in inputs:
        values = domain(graph.source(i))
        if values is None:
            return None
        domains.append(values)
        size *= len(values)
        if size > CORNERS:
            return None
    if size == 1:
        return None
    columns = _grid(inputs, domains, size)
    for i in graph.used([root]):
        # A parameter counts with the value it has: what trains is this reward.
        payload = graph.nodes[i].payload
        if isinstance(payload, Param):
            columns[i] = [payload.value] * size
    floats = points.evaluate(graph, [root], columns, size)[root]
    exact = _exact_values(graph, root, columns, size)
    if exact is None or not _close(exact, floats):
        exact = [_exact(v) for v in floats]
    lo, hi = min(exact), max(exact)
    if lo == hi:
        return "constant"
    scaled = [(v - lo) / (hi - lo) for v in exact]
    names = [str(graph.nodes[i].payload) for i in inputs]
    return _without_idle(names, [len(d) for d in domains], scaled)


def _grid(
    inputs: Sequence[int], domains: Sequence[tuple[float, ...]], size: int
) -> dict[int, list[float]]:
    columns: dict[int, list[float]] = {}
    repeat = size
    for i, values in zip(inputs, domains, strict=True):
        repeat //= len(values)
        cycle = [v for v in values for _ in range(repeat)]
        columns[i] = cycle * (size // len(cycle))
    return columns


def _close(exact: list[Fraction], floats: list[float]) -> bool:
    spread = max(floats) - min(floats)
    return all(abs(float(e) - f) <= _AGREE * spread for e, f in zip(exact, floats, strict=True))


def _exact_values(
    graph: Graph, root: int, columns: dict[int, list[float]], size: int
) -> list[Fraction] | None:
    """The reward in rational arithmetic, or None where an operation has no rational value."""
    done: dict[int, list[Fraction]] = {}
    for i in graph.used([root]):
        node = graph.nodes[i]
        if node.op not in _RATIONAL:
            return None
        if node.op == "const":
            assert isinstance(node.payload, float)
            done[i] = [_exact(node.payload)] * size
        elif isinstance(node.payload, Param):
            done[i] = [_exact(node.payload.value)] * size
        elif node.op == "input":
            done[i] = [_exact(v) for v in columns[i]]
        elif node.op == "div":
            above, below = (done[a] for a in node.args)
            if not all(below):
                return None
            done[i] = [a / b for a, b in zip(above, below, strict=True)]
        elif node.op == "num":
            done[i] = [Fraction(v) for v in done[node.args[0]]]
        else:
            op = points.OPS[node.op]
            done[i] = [
                Fraction(op(*row)) for row in zip(*(done[a] for a in node.args), strict=True)
            ]
    return done[root]


def _without_idle(names: list[str], sizes: list[int], values: list[Fraction]) -> str:
    """The table in the order of the input names, inputs without effect left out."""
    while True:
        for k, name in enumerate(names):
            inner = 1
            for s in sizes[k + 1 :]:
                inner *= s
            block = inner * sizes[k]
            slices = [
                [
                    v
                    for start in range(0, len(values), block)
                    for v in values[start + j * inner : start + (j + 1) * inner]
                ]
                for j in range(sizes[k])
            ]
            if all(s == slices[0] for s in slices[1:]):
                names = [n for n in names if n != name]
                sizes = sizes[:k] + sizes[k + 1 :]
                values = slices[0]
                break
        else:
            break
    order = sorted(range(len(names)), key=lambda k: names[k])
    strides = [1] * len(sizes)
    for k in range(len(sizes) - 2, -1, -1):
        strides[k] = strides[k + 1] * sizes[k + 1]
    offsets = [0]
    for k in order:
        offsets = [o + j * strides[k] for o in offsets for j in range(sizes[k])]
    shown = " ".join(str(values[o]) for o in offsets)
    return f"{[names[k] for k in order]} {[sizes[k] for k in order]} {shown}"


# Structure


def _structure(graph: Graph, root: int, valid: int | None = None) -> str:
    """A canonical text of the reward modulo a positive affine change, and of when it applies."""
    forms: dict[int, Linear] = {}
    for i in graph.used([root] if valid is None else [root, valid]):
        forms[i] = _linear(graph, i, forms)
    if valid is not None:
        return f"{_join(*forms[valid])} ? {_structure(graph, root)}"
    terms, _ = forms[root]
    if not terms:
        return "constant"
    scale = abs(terms[min(terms)])
    return _join({t: c / scale for t, c in terms.items()}, Fraction(0))


def _join(terms: dict[str, Fraction], constant: Fraction) -> str:
    if not constant and list(terms.values()) == [1]:
        return next(iter(terms))
    parts = [f"{c}*{t}" for t, c in sorted(terms.items())]
    return "(" + " + ".join([*parts, *([str(constant)] if constant or not parts else [])]) + ")"


def _linear(graph: Graph, i: int, forms: dict[int, Linear]) -> Linear:
    """A node as a linear combination of atoms (hashed texts of what is not linear)."""
    node = graph.nodes[i]
    args = [forms[a] for a in node.args]
    match node.op:
        case "const":
            assert isinstance(node.payload, float)
            return {}, _exact(node.payload)
        case "param":
            assert isinstance(node.payload, Param)
            return {}, _exact(node.payload.value)
        case "add":
            return _combine(args[0], args[1], Fraction(1))
        case "sub":
            return _combine(args[0], args[1], Fraction(-1))
        case "neg":
            return _combine(({}, Fraction(0)), args[0], Fraction(-1))
        case "num":
            return args[0]
        case "mul" if not args[0][0] or not args[1][0]:
            factor, other = args if not args[0][0] else args[::-1]
            return _combine(({}, Fraction(0)), other, factor[1])
        case "div" if not args[1][0] and args[1][1]:
            return _combine(({}, Fraction(0)), args[0], 1 / args[1][1])
    shown = [_join(*a) for a in args]
    if node.op in _COMMUTATIVE:
        shown.sort()
    literal = "" if node.payload is None else f" {node.payload}"
    text = f"{node.op}{literal}({', '.join(shown)})"
    if len(text) > 200:
        text = "#" + hashlib.sha256(text.encode()).hexdigest()
    return {text: Fraction(1)}, Fraction(0)


def _combine(a: Linear, b: Linear, factor: Fraction) -> Linear:
    terms = dict(a[0])
    for term, c in b[0].items():
        terms[term] = terms.get(term, Fraction(0)) + factor * c
    return {t: c for t, c in terms.items() if c}, a[1] + factor * b[1]
