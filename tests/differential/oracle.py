"""An evaluator of the language of its own, written from grammar/README.md and FUNCTIONS.md.

It shares nothing with the compiler: it reads programs with Python's own parser (the syntax is a
strict subset), walks the tree rollout by rollout, and knows of values only what the documents say.
A cell is a float, a bool, a list of either, or None where something is not applicable.
"""

from __future__ import annotations

import ast
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Cell = Any
Column = list[Cell]
NAN, INF = math.nan, math.inf


@dataclass(frozen=True)
class Declared:
    """A column's type: bounds or a set of values, conditions, lists, optional ones."""

    lo: float = -INF
    hi: float = INF
    values: tuple[float, ...] | None = None
    condition: bool = False
    many: bool = False
    optional: bool = False

    def holds(self, x: float) -> bool:
        """Whether a number is a value of the type."""
        if self.condition:
            return x in (0, 1)
        if self.values is not None:
            return x in self.values
        return math.isfinite(x) and self.lo <= x <= self.hi


def declared(text: str) -> Declared:
    """A type as it is written: number[0, 1], number{1, 2}, bool, list[...], with ? at its end."""
    optional = text.endswith("?")
    text = text.removesuffix("?").strip()
    many = text.startswith("list[")
    item = text[5:-1] if many else text
    inside = item[item.find("[") + 1 : -1] if "[" in item else item[item.find("{") + 1 : -1]
    if item == "bool":
        return Declared(condition=True, many=many, optional=optional)
    if "{" in item:
        values = tuple(float(v) for v in inside.split(","))
        return Declared(values=values, many=many, optional=optional)
    if "[" in item:
        lo, hi = (float(v) for v in inside.split(","))
        return Declared(lo, hi, many=many, optional=optional)
    return Declared(many=many, optional=optional)


@dataclass
class Result:
    """An output: values (None where not applicable or lost), the rows lost to faults, and why.

    `unequal` has the rows in which lists that meet differ in length, by the names of the lists.
    """

    values: list[float | None]
    lost: set[int]
    unequal: dict[frozenset[str], set[int]] = field(default_factory=dict)


def run(
    text: str,
    types: Mapping[str, str],
    columns: Mapping[str, Sequence[Cell]],
    groups: Sequence[Any] | None = None,
    single: bool = False,
) -> dict[str, Result]:
    """All outputs of a program: `groups` has a key for each rollout; `single` is for float32."""
    tree = ast.parse(text)
    parts: dict[str, ast.expr] = {}
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            target = statement.targets[0]
            assert isinstance(target, ast.Name)
            parts[target.id] = statement.value
        else:
            assert isinstance(statement, ast.Expr)
            parts["reward"] = statement.value
    kinds = {name: declared(kind) for name, kind in types.items()}
    rows = len(next(iter(columns.values())))
    keys = list(range(rows)) if groups is None else list(groups)
    found = {}
    for name in parts:
        one = Evaluator(parts, kinds, columns, keys, single)
        if name == "reward" or not one.many(parts[name]):
            found[name] = one.output(name)
    return found


class Evaluator:
    """One output over one batch, as if the program had no other."""

    def __init__(
        self,
        parts: Mapping[str, ast.expr],
        kinds: Mapping[str, Declared],
        columns: Mapping[str, Sequence[Cell]],
        keys: list[Any],
        single: bool,
    ) -> None:
        self.parts, self.kinds, self.columns, self.keys = parts, kinds, columns, keys
        self.rows = len(keys)
        self.single = single
        self.known: dict[int, Column] = {}
        self.live = [True] * self.rows
        self.steps: dict[str, list[int]] = {}

    def output(self, name: str) -> Result:
        """The values of a part, or of the reward."""
        root = self.parts[name]
        read = self.names(root)
        lost = {r for n in read for r in range(self.rows) if self.broken(n, r)}
        unequal: dict[frozenset[str], set[int]] = {}
        for joined in self.joined(root):
            there = {n: [self.given(n, r) for r in range(self.rows)] for n in joined}
            for r in range(self.rows):
                lengths = {len(there[n][r]) for n in joined if there[n][r] is not None}
                if len(lengths) > 1:
                    unequal.setdefault(joined, set()).add(r)
                for n in joined:
                    self.steps.setdefault(n, [0] * self.rows)[r] = max(lengths, default=0)
        lost |= {r for found in unequal.values() for r in found}
        self.live = [r not in lost for r in range(self.rows)]
        cells = self.value(root)
        if name == "reward":
            bad = {
                r
                for r in range(self.rows)
                if self.live[r] and cells[r] is not None and not math.isfinite(cells[r])
            }
            lost |= bad
        values = [
            None if r in lost or cells[r] is None else float(cells[r]) for r in range(self.rows)
        ]
        return Result(values, lost, unequal)

    # What is read, and which lists go together

    def names(self, node: ast.expr) -> set[str]:
        """The columns that an expression reads, through its parts."""
        found = set()
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name):
                if inner.id in self.parts:
                    found |= self.names(self.parts[inner.id])
                elif inner.id in self.kinds:
                    found.add(inner.id)
        return found

    def broken(self, name: str, row: int) -> bool:
        """Whether a column that must have a value has none of its type."""
        return not self.kinds[name].optional and self.given(name, row) is None

    def given(self, name: str, row: int) -> Cell:
        """The value of a column; None where it is missing or none of its type."""
        kind, value = self.kinds[name], self.columns[name][row]
        if value is None:
            return None
        items = value if kind.many else [value]
        if not all(kind.holds(x) for x in items):
            return None
        fine = [bool(x) if kind.condition else self.rounded(float(x)) for x in items]
        return fine if kind.many else fine[0]

    def many(self, node: ast.expr) -> bool:
        """Whether an expression has one value per step."""
        return bool(self.bases(node))

    def bases(self, node: ast.expr) -> set[str]:
        """The columns of lists whose steps an expression has."""
        match node:
            case ast.Name(id=name):
                if name in self.parts:
                    return self.bases(self.parts[name])
                return {name} if name in self.kinds and self.kinds[name].many else set()
            case ast.Call(func=ast.Name(id=called), args=args):
                if called in _REDUCE and len(args) == 1:
                    return set()
                if called.startswith("group_"):
                    return set()
                return set().union(*map(self.bases, args))
            case ast.Constant():
                return set()
        found: set[str] = set()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                found |= self.bases(child)
        return found

    def joined(self, root: ast.expr) -> list[frozenset[str]]:
        """Lists that meet in an operation, directly or through others."""
        sets: list[set[str]] = []

        def visit(node: ast.expr) -> None:
            here = self.bases(node)
            if len(here) > 1:
                sets.append(here)
            for child in ast.walk(node):
                if isinstance(child, ast.Name) and child.id in self.parts:
                    visit(self.parts[child.id])
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.keyword):
                    visit(child.value)
                elif isinstance(child, ast.expr):
                    visit(child)

        visit(root)
        merged: list[set[str]] = []
        for one in sets:
            apart = [m for m in merged if not m & one]
            merged = [*apart, one.union(*(m for m in merged if m & one))]
        return sorted({frozenset(m) for m in merged}, key=sorted)

    # Values

    def rounded(self, x: float) -> float:
        """A number in the type of numbers in use."""
        if not self.single:
            return x
        with np.errstate(over="ignore"):
            return float(np.float32(x))

    def value(self, node: ast.expr) -> Column:
        """The cells of an expression, one for each rollout."""
        if id(node) not in self.known:
            self.known[id(node)] = self._value(node)
        return self.known[id(node)]

    def _value(self, node: ast.expr) -> Column:
        rows = range(self.rows)
        match node:
            case ast.Constant(value=bool(x)):
                return [x for _ in rows]
            case ast.Constant(value=x):
                assert isinstance(x, int | float)
                return [self.rounded(float(x)) for _ in rows]
            case ast.Name(id="skip"):
                return [None for _ in rows]
            case ast.Name(id=name) if name in self.parts:
                return self.value(self.parts[name])
            case ast.Name(id=name):
                return [self._read(name, r) for r in rows]
            case ast.UnaryOp(op=ast.UAdd(), operand=x):
                return self.each(lambda v: v, x)
            case ast.UnaryOp(op=ast.USub(), operand=x):
                return self.each(lambda v: -v, x)
            case ast.UnaryOp(op=ast.Not(), operand=x):
                return self.each(lambda v: not v, x, truth=True)
            case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=k)) if k in (2, 3, 4):
                return self.each(lambda v: self._multiplied(v, int(k)), left)
            case ast.BinOp(left=left, op=op, right=right):
                return self.each(self._binary[type(op)], left, right)
            case ast.BoolOp(op=op, values=values):
                both = (lambda *v: all(v)) if isinstance(op, ast.And) else (lambda *v: any(v))
                return self.each(both, *values, truth=True)
            case ast.Compare(left=left, ops=ops, comparators=others):
                terms = [left, *others]

                def chain(*values: float) -> bool:
                    pairs = zip(ops, itertools.pairwise(values), strict=True)
                    return all(_COMPARE[type(op)](*pair) for op, pair in pairs)

                return self.each(chain, *terms)
            case ast.IfExp(test=test, body=then, orelse=other):
                return self._conditional(test, then, other)
            case ast.Call():
                return self._call(node)
        raise AssertionError(ast.dump(node))

    def _read(self, name: str, row: int) -> Cell:
        found = self.given(name, row)
        if not self.live[row]:
            return None
        return found

    def length(self, node: ast.expr, row: int) -> int:
        """How many steps a list has, those of a missing one being those of the lists it meets."""
        match node:
            case ast.Call(func=ast.Name(id=("third" | "part") as called), args=[inner, *literals]):
                first, last = _cut(called, [_number(a) for a in literals], self.length(inner, row))
                return max(0, last - first)
            case ast.Name(id=name) if name in self.parts:
                return self.length(self.parts[name], row)
            case ast.Name(id=name):
                there = self.given(name, row)
                return self.steps[name][row] if name in self.steps else len(there or ())
        children = [c for c in ast.iter_child_nodes(node) if isinstance(c, ast.expr)]
        return next(self.length(c, row) for c in children if self.many(c))

    def each(self, function: Callable[..., Any], *nodes: ast.expr, truth: bool = False) -> Column:
        """A function of numbers (or conditions) on every rollout, step by step on lists."""
        columns = [self.value(n) for n in nodes]

        def call(*given: Any) -> Any:
            if truth:
                return function(*given)
            found = function(*(float(g) for g in given))
            return found if isinstance(found, bool) else self.rounded(found)

        return [self._steps(call, [c[r] for c in columns]) for r in range(self.rows)]

    def _steps(self, function: Callable[..., Any], cells: list[Cell]) -> Cell:
        if any(c is None for c in cells):
            return None
        lists = [c for c in cells if isinstance(c, list)]
        if not lists:
            return function(*cells)
        return [
            function(*(c[k] if isinstance(c, list) else c for c in cells))
            for k in range(len(lists[0]))
        ]

    def _multiplied(self, x: float, k: int) -> float:
        square = self.rounded(x * x)
        return {2: square, 3: square * x, 4: square * square}[k]

    @property
    def _binary(self) -> dict[type, Callable[[float, float], float]]:
        return {
            ast.Add: lambda a, b: a + b,
            ast.Sub: lambda a, b: a - b,
            ast.Mult: lambda a, b: a * b,
            ast.Div: lambda a, b: NAN if b == 0 else a / b,
            ast.Mod: self._mod,
            ast.Pow: _pow,
        }

    def _mod(self, a: float, b: float) -> float:
        if b == 0 or math.isnan(a) or math.isnan(b) or math.isinf(a):
            return NAN
        rest = math.fmod(a, b)
        if rest == 0:
            return math.copysign(0.0, b)
        return rest + b if (rest < 0) != (b < 0) else rest

    def _conditional(self, test: ast.expr, then: ast.expr, other: ast.expr) -> Column:
        tests, one, two = self.value(test), self.value(then), self.value(other)
        truths = self.conditional(then) and self.conditional(other)
        found: Column = []
        for r in range(self.rows):
            cells = [tests[r], one[r], two[r]]
            if isinstance(tests[r], list) or (tests[r] is None):
                found.append(self._steps(lambda t, a, b: _as(a if t else b, truths), cells))
                continue
            taken = one[r] if tests[r] else two[r]
            if taken is not None and not isinstance(taken, list) and self.many(then):
                taken = [taken] * self.length(then, r)
            if taken is not None and not isinstance(taken, list) and self.many(other):
                taken = [taken] * self.length(other, r)
            found.append(_mapped(taken, truths))
        return found

    def conditional(self, node: ast.expr) -> bool:
        """Whether an expression is a condition, not a number."""
        match node:
            case ast.Name(id=name) if name in self.parts:
                return self.conditional(self.parts[name])
            case ast.Name(id=name):
                return name == "skip" or (name in self.kinds and self.kinds[name].condition)
            case ast.Constant(value=bool()) | ast.Compare() | ast.BoolOp():
                return True
            case ast.UnaryOp(op=ast.Not()):
                return True
            case ast.IfExp(body=then, orelse=other):
                return self.conditional(then) and self.conditional(other)
            case ast.Call(func=ast.Name(id=("any" | "all"))):
                return True
            case ast.Call(func=ast.Name(id=("third" | "part")), args=[inner, *_]):
                return self.conditional(inner)
        return False

    # Functions

    def _call(self, node: ast.Call) -> Column:
        assert isinstance(node.func, ast.Name)
        name, args = node.func.id, node.args
        if name.startswith("group_"):
            return self._group(name, args, {k.arg: k.value for k in node.keywords})
        if name in _REDUCE and len(args) == 1:
            cells = self.value(args[0])
            if name in ("any", "all"):
                return [None if c is None else _REDUCE[name](c) for c in cells]
            return [
                None if c is None else self.rounded(_REDUCE[name]([float(x) for x in c]))
                for c in cells
            ]
        if name in ("third", "part"):
            literals = [_number(a) for a in args[1:]]
            cells = self.value(args[0])
            bounds = [None if c is None else _cut(name, literals, len(c)) for c in cells]
            return [
                None if c is None or b is None else c[b[0] : b[1]]
                for c, b in zip(cells, bounds, strict=True)
            ]
        if name == "param":
            return self.value(args[0])
        if name == "default":
            return self._default(*args)
        if name == "clip":
            return self.each(lambda x, lo, hi: _least(_most(x, lo), hi), *args)
        if name == "ramp":
            return self.each(self._ramp, *args)
        if name in ("min", "max"):
            pick = _least if name == "min" else _most
            return self.each(lambda *v: _folded(pick, v), *args)
        if name == "guard":
            return self.each(lambda x, d: x if math.isfinite(x) else d, *args)
        return self.each(_PLAIN[name], *args)

    def _ramp(self, x: float, lo: float, hi: float) -> float:
        above, width = self.rounded(x - lo), self.rounded(hi - lo)
        share = NAN if width == 0 else self.rounded(above / width)
        return _least(_most(share, 0.0), 1.0)

    def _default(self, x: ast.expr, value: ast.expr) -> Column:
        one, two = self.value(x), self.value(value)
        found: Column = []
        for r in range(self.rows):
            taken = one[r] if one[r] is not None else two[r]
            many = next((n for n in (x, value) if self.many(n)), None)
            if taken is not None and many is not None and not isinstance(taken, list):
                taken = [taken] * self.length(many, r)
            found.append(_mapped(taken, False))
        return found

    def _group(self, name: str, args: list[ast.expr], keywords: dict[Any, ast.expr]) -> Column:
        rows = range(self.rows)
        own = self.value(args[0]) if args else [1.0 for _ in rows]
        where = self.value(keywords["where"]) if keywords else [True for _ in rows]
        q = _number(args[1]) if len(args) > 1 else None
        found: Column = []
        for r in rows:
            counted = [
                o
                for o in rows
                if self.keys[o] == self.keys[r] and self.live[o] and where[o] and own[o] is not None
            ]
            if name == "group_rank":
                found.append(self._rank(own, r, [o for o in counted if o != r]))
                continue
            values = [float(own[o]) for o in counted]
            if name == "group_size":
                found.append(float(len(values)))
            elif not values:
                found.append(None)
            else:
                found.append(self.rounded(_statistic(name, values, q)))
        return found

    def _rank(self, own: Column, row: int, others: list[int]) -> Cell:
        if own[row] is None:
            return None
        x, values = float(own[row]), [float(own[o]) for o in others]
        if any(math.isnan(v) for v in (x, *values)):
            return NAN
        if not values:
            return 0.5
        below = sum(v < x for v in values) + sum(v == x for v in values) / 2
        return self.rounded(below / len(values))


def _number(node: ast.expr) -> float:
    return float(ast.literal_eval(node))


def _as(x: Cell, truth: bool) -> Cell:
    return x if truth or x is None else float(x)


def _mapped(x: Cell, truth: bool) -> Cell:
    return [_as(v, truth) for v in x] if isinstance(x, list) else _as(x, truth)


def _least(a: float, b: float) -> float:
    return NAN if math.isnan(a) or math.isnan(b) else min(a, b)


def _most(a: float, b: float) -> float:
    return NAN if math.isnan(a) or math.isnan(b) else max(a, b)


def _folded(pick: Callable[[float, float], float], values: Sequence[float]) -> float:
    found = values[0]
    for v in values[1:]:
        found = pick(found, v)
    return found


def _pow(a: float, b: float) -> float:
    if a == 0 and b < 0:
        return NAN
    with np.errstate(all="ignore"):
        try:
            return math.pow(a, b)
        except ValueError:
            return NAN
        except OverflowError:
            return -INF if a < 0 and b % 2 == 1 else INF


def _exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return INF


def _log(x: float) -> float:
    return -INF if x == 0 else NAN if x < 0 or math.isnan(x) else math.log(x)


def _sigmoid(x: float) -> float:
    e = _exp(-abs(x))
    return (1.0 if x >= 0 else e) / (1.0 + e)


def _sign(x: float) -> float:
    return x if math.isnan(x) else float((x > 0) - (x < 0))


def _whole(of: Callable[[float], float]) -> Callable[[float], float]:
    return lambda x: float(of(x)) if math.isfinite(x) else x


_PLAIN: dict[str, Callable[[float], float]] = {
    "abs": abs,
    "exp": _exp,
    "log": _log,
    "sqrt": lambda x: math.sqrt(x) if x >= 0 else NAN,
    "tanh": math.tanh,
    "sigmoid": _sigmoid,
    "cos": lambda x: math.cos(x) if math.isfinite(x) else NAN,
    "floor": _whole(math.floor),
    "round": _whole(round),
    "sign": _sign,
}
_COMPARE: dict[type, Callable[[float, float], bool]] = {
    ast.Lt: lambda a, b: a < b,
    ast.LtE: lambda a, b: a <= b,
    ast.Gt: lambda a, b: a > b,
    ast.GtE: lambda a, b: a >= b,
    ast.Eq: lambda a, b: a == b,
    ast.NotEq: lambda a, b: a != b,
}


def _sum(values: Sequence[float]) -> float:
    total = 0.0
    for v in values:
        total = total + v
    return total


def _held(x: float, values: Sequence[float]) -> float:
    return x if math.isnan(x) else min(max(x, min(values)), max(values))


def _mean(values: Sequence[float]) -> float:
    return _held(_sum(values) / len(values), values)


def _extreme(of: Callable[[Sequence[float]], float]) -> Callable[[Sequence[float]], float]:
    return lambda values: NAN if any(math.isnan(v) for v in values) else of(values)


_REDUCE: dict[str, Callable[[Sequence[Any]], Any]] = {
    "sum": _sum,
    "mean": lambda v: _mean(v) if v else 0.0,
    "min": lambda v: _extreme(min)(v) if v else 0.0,
    "max": lambda v: _extreme(max)(v) if v else 0.0,
    "first": lambda v: v[0] if v else 0.0,
    "last": lambda v: v[-1] if v else 0.0,
    "count": lambda v: float(len(v)),
    "any": any,
    "all": all,
}


def _cut(name: str, literals: list[float], n: int) -> tuple[int, int]:
    if name == "third":
        k = int(literals[0])
        return (k - 1) * n // 3, k * n // 3
    return math.floor(n * literals[0]), math.floor(n * literals[1])


def _std(values: Sequence[float]) -> float:
    if len(values) == 1:
        return 0.0
    moved = [v - values[0] for v in values]
    mean = _sum(moved) / len(moved)
    variance = _sum([(m - mean) * (m - mean) for m in moved]) / len(moved)
    root = math.sqrt(variance) if not math.isnan(variance) else NAN
    half = (max(values) - min(values)) / 2
    return root if math.isnan(root) else min(root, half)


def _quantile(values: Sequence[float], q: float) -> float:
    if any(math.isnan(v) for v in values):
        return NAN
    ordered = sorted(values)
    at = q * (len(ordered) - 1)
    below = math.floor(at)
    lo, hi = ordered[below], ordered[min(below + 1, len(ordered) - 1)]
    found = lo + (at - below) * (hi - lo)
    return NAN if math.isnan(found) else min(max(found, lo), hi)


def _statistic(name: str, values: Sequence[float], q: float | None) -> float:
    if name == "group_quantile":
        assert q is not None
        return _quantile(values, q)
    return {
        "group_mean": _mean,
        "group_std": _std,
        "group_min": _extreme(min),
        "group_max": _extreme(max),
    }[name](values)
