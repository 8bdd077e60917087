"""The one table of operations: every other table knows exactly these, and its claims hold."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator

import pytest

from derl_dsl.backends import code, reference, torch_groups, torch_ops
from derl_dsl.backends import torch as tensors
from derl_dsl.backends.llvm import loops
from derl_dsl.backends.llvm import ops as machine
from derl_dsl.graph import ranges, scalars
from derl_dsl.graph.ops import GROUP, LEAVES, OPERATIONS, REDUCTIONS, SCALARS, SLICES
from derl_dsl.graph.ranges import Range
from derl_dsl.key import exact

NUMBERS = (0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 2.5, -2.5, 3.0, 1e-300, -7.0, 1e3, 1e308, -1e308,
           5e-324, math.inf, -math.inf)  # fmt: skip
# How each operation on single numbers is looked at; conditions are 0 and 1.
KINDS = {name for name, op in OPERATIONS.items() if op.kind == "scalar"}


def values(kind: str) -> tuple[float | bool, ...]:
    return (False, True) if kind == "b" else NUMBERS


def points(name: str) -> Iterator[tuple[float | bool, ...]]:
    """Arguments of an operation: all combinations of corners, and random numbers."""
    takes = OPERATIONS[name].takes
    yield from itertools.product(*map(values, takes))
    rng = random.Random(name)
    for _ in range(200):
        yield tuple(
            rng.random() < 0.5 if kind == "b" else rng.uniform(-1, 1) * 10 ** rng.uniform(-3, 3)
            for kind in takes
        )


def numeric(name: str) -> list[tuple[tuple[float | bool, ...], float]]:
    """Arguments and values of an operation, those that are no number left out."""
    meaning = scalars.OPS[name]
    found = [(args, meaning(*args)) for args in points(name)]
    return [(args, value) for args, value in found if value == value]


def test_every_table_knows_exactly_the_operations() -> None:
    # What they mean
    assert scalars.OPS.keys() == SCALARS
    assert scalars.REDUCE.keys() == REDUCTIONS
    # The proofs; a conditional asks about its branches.
    assert ranges.OPS.keys() | {"select"} == OPERATIONS.keys() - LEAVES
    known = {name for name, op in OPERATIONS.items() if op.inexact}
    assert exact.OPS.keys() | known == SCALARS
    assert not exact.OPS.keys() & known
    # The backends
    assert reference.OPS.keys() == SCALARS
    assert reference.GROUPS.keys() | {"group_rank", "group_quantile"} == GROUP
    assert machine.OPS.keys() == SCALARS
    assert loops.REDUCTIONS.keys() == REDUCTIONS
    assert loops.GROUPS.keys() == GROUP
    assert torch_ops.PLAIN.keys() | {"num"} == SCALARS
    assert tensors.REDUCE.keys() == REDUCTIONS
    assert torch_groups.GROUPS.keys() | {"group_quantile"} == GROUP


def test_the_machine_has_an_instruction_for_every_operation() -> None:
    assert code.PATTERNS.keys() == SCALARS
    for name, patterns in code.PATTERNS.items():
        assert patterns[0] == "v" * len(OPERATIONS[name].takes)
    assert code.INSTRUCTIONS.keys() >= REDUCTIONS | SLICES
    assert {f"{name}{where}" for name in GROUP for where in ("", ".where")} <= (
        code.INSTRUCTIONS.keys()
    )


def test_slopes_are_those_of_known_operations() -> None:
    for name, slopes in torch_ops.SLOPES.items():
        assert len(slopes) == len(OPERATIONS[name].takes)


@pytest.mark.parametrize("name", sorted(KINDS))
def test_what_is_said_of_an_operation_holds(name: str) -> None:
    op = OPERATIONS[name]
    found = numeric(name)
    assert found
    for args, value in found:
        assert op.lo <= value <= op.hi, args
        assert not (op.truth and value not in (0, 1)), args
        assert not (op.never_minus_zero and value == 0 and math.copysign(1.0, value) < 0), args
        assert not (op.finite and math.isinf(value)), args
        assert not (op.whole and math.isfinite(value) and value != math.floor(value)), args
        if op.size == "one":
            assert abs(value) <= 1, args
        if op.size == "same":
            assert abs(value) <= abs(args[0]), args
    if op.finite:
        assert len(found) == len(list(points(name)))
    _moves(name, found)
    _commutes(name)


def _moves(name: str, found: list[tuple[tuple[float | bool, ...], float]]) -> None:
    op = OPERATIONS[name]
    if op.rising:
        assert len(op.takes) == 1
        ordered = [value for _, value in sorted(found, key=lambda pair: pair[0])]
        assert ordered == sorted(ordered)
    if op.keeps_whole:
        for args, value in found:
            numbers = [a for a, kind in zip(args, op.takes, strict=True) if kind != "b"]
            if all(a == math.floor(a) for a in numbers if math.isfinite(a)) and value not in (
                math.inf, -math.inf
            ):  # fmt: skip
                assert value == math.floor(value), args


def _commutes(name: str) -> None:
    op, meaning = OPERATIONS[name], scalars.OPS[name]
    if len(op.takes) != 2:
        return
    same = bits = True
    for a, b in points(name):
        one, other = float(meaning(a, b)), float(meaning(b, a))
        if one != one or other != other:
            same = same and (one != one) == (other != other)
            continue
        same = same and one == other
        bits = bits and math.copysign(1.0, one) == math.copysign(1.0, other)
    assert op.commutes == ("bits" if same and bits else "values" if same else "")


@pytest.mark.parametrize("name", sorted(name for name, op in OPERATIONS.items() if op.scaling))
def test_scaling_operations_scale(name: str) -> None:
    rng = random.Random(name)
    for _ in range(50):
        xs = [rng.uniform(-5, 5) for _ in range(rng.randint(1, 6))]
        one, more = (_of_many(name, [c * x for x in xs]) for c in (1.0, 4.0))
        assert more == pytest.approx([4.0 * v for v in one])


@pytest.mark.parametrize("name", sorted(name for name, op in OPERATIONS.items() if op.among))
def test_what_is_taken_from_among_values_lies_among_them(name: str) -> None:
    rng = random.Random(name)
    for _ in range(50):
        xs = [float(rng.randint(-3, 3)) for _ in range(rng.randint(1, 6))]
        if OPERATIONS[name].truth:
            xs = [float(x > 0) for x in xs]
        moved = [x + rng.random() for x in xs]
        (before,), (after,) = _of_many(name, xs), _of_many(name, moved)
        assert min(xs) <= before <= max(xs)
        if not OPERATIONS[name].truth:
            assert -1e-9 <= after - before <= 1


def _of_many(name: str, xs: list[float]) -> list[float]:
    if name in REDUCTIONS:
        return [float(scalars.REDUCE[name](xs))]
    if name in SLICES:
        first, last = scalars.cut(name, (2.0, 0.9) if name == "third" else (0.2, 0.9), len(xs))
        return xs[first:last]
    if name == "group_quantile":
        return [reference.quantile(xs, 0.3)]
    return [reference.GROUPS[name](xs)]


@pytest.mark.parametrize("name", sorted(ranges.OPS.keys() & SCALARS))
def test_ranges_hold_the_values_of_every_operation(name: str) -> None:
    op, rng = OPERATIONS[name], random.Random(name)
    for _ in range(300):
        bounds, args = [], []
        for kind in op.takes:
            lo, hi = sorted(rng.choice([rng.uniform(-3, 3), *NUMBERS[:11]]) for _ in range(2))
            lo, hi = (0.0, 1.0) if kind == "b" else (lo, hi)
            bounds.append(Range(lo, hi))
            inside = rng.choice([lo, hi, rng.uniform(lo, hi)])
            args.append(bool(round(inside)) if kind == "b" else inside)
        found, value = ranges.OPS[name](*bounds), scalars.OPS[name](*args)
        assert found.nan if value != value else found.lo <= value <= found.hi, (bounds, args)
