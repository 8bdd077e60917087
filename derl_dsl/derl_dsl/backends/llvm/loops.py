"""Reductions of lists and functions of groups as LLVM IR, in float64 and from left to right.

Order is part of the meaning: a sum from left to right is what the reference computes, so no loop
here is vectorised across its steps, whatever it would save. Speed comes from doing several
reductions in one walk, and from the groups of eight below.

A reduction of a list is a triple: the state before (constants), how a step changes it, and what is
made of it at the end with the number of steps. `first` says whether a step is the first, which
extremes and `first` want to know; `fused.py` takes that step by itself. An empty list leaves the
state as it began, which is why each begins at 0 or at false.

A group function sees rows `start` to `end`, neighbours, and a mask of those that count (`where=`,
and rows without a fault). It reads what it needs as often as it needs it, for a group lies in the
first cache, and writes one value for every row of the group, counting or not. Rank counts, for
each row, twice the smaller ones and the ties, whole numbers that are halved once at the end: by all
pairs in a small group, in the sorted values of a large one. The deviation takes the first value off
before summing, so that rewards which differ little keep their digits. Means and quantiles are held
between the extremes, which rounding would leave by a last bit, for the proofs say that they never
do.

Eight is the group size that people use. If all groups of a block have it and all rows count, mean,
deviation and rank go by vectors of eight lanes: the group is one register, others are met by
turning it, and sums still go lane by lane from left to right.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from llvmlite import ir

from derl_dsl.backends.llvm.ops import DOUBLE, I1, I32, I64, Code, Value, i64

# Groups up to this size are ranked by comparing all pairs, larger ones by sorting.
_PAIRS = 384
State = list[Any]
ZERO, FALSE, TRUE = ir.Constant(DOUBLE, 0.0), ir.Constant(I1, 0), ir.Constant(I1, 1)
NO = i64(0)


class Reduction(NamedTuple):
    """A reduction of a list: its state before, after a step (`first` says if it is the first)."""

    start: tuple[Any, ...]
    step: Callable[[Code, State, Value, Value], State]
    finish: Callable[[Code, State, Value], Value]


def held(c: Code, value: Value, lo: Value, hi: Value) -> Value:
    """min(max(value, lo), hi) as Python compares."""
    raised = c.select(c.less(value, lo), lo, value)
    return c.select(c.less(hi, raised), hi, raised)


def as_real(c: Code, n: Value) -> Value:
    """A count as float64."""
    return c.b.sitofp(n, DOUBLE)


def _lowest(c: Code, best: Value, x: Value, first: Value) -> Value:
    return c.select(c.b.or_(first, c.less(x, best)), x, best)


def _highest(c: Code, best: Value, x: Value, first: Value) -> Value:
    return c.select(c.b.or_(first, c.less(best, x)), x, best)


def _smallest(c: Code, best: Value, x: Value, first: Value) -> Value:
    """As `_lowest`, and NaN from the first one on: the order of the values makes no difference."""
    return c.select(c.isnan(x), x, _lowest(c, best, x, first))


def _largest(c: Code, best: Value, x: Value, first: Value) -> Value:
    return c.select(c.isnan(x), x, _highest(c, best, x, first))


def _mean_step(c: Code, state: State, x: Value, first: Value) -> State:
    total, lo, hi = state
    return [c.b.fadd(total, x), _lowest(c, lo, x, first), _highest(c, hi, x, first)]


def _mean_finish(c: Code, state: State, n: Value) -> Value:
    total, lo, hi = state
    mean = held(c, c.b.fdiv(total, as_real(c, n)), lo, hi)
    return c.select(c.b.icmp_signed(">", n, NO), mean, ZERO)


def _only(c: Code, state: State, n: Value) -> Value:
    return state[0]


REDUCTIONS: dict[str, Reduction] = {
    "list_sum": Reduction((ZERO,), lambda c, s, x, first: [c.b.fadd(s[0], x)], _only),
    "list_mean": Reduction((ZERO, ZERO, ZERO), _mean_step, _mean_finish),
    "list_min": Reduction((ZERO,), lambda c, s, x, first: [_smallest(c, s[0], x, first)], _only),
    "list_max": Reduction((ZERO,), lambda c, s, x, first: [_largest(c, s[0], x, first)], _only),
    "list_first": Reduction((ZERO,), lambda c, s, x, first: [c.select(first, x, s[0])], _only),
    "list_last": Reduction((ZERO,), lambda c, s, x, first: [x], _only),
    "list_count": Reduction((), lambda c, s, x, first: [], lambda c, s, n: as_real(c, n)),
    "list_any": Reduction((FALSE,), lambda c, s, x, first: [c.b.or_(s[0], x)], _only),
    "list_all": Reduction((TRUE,), lambda c, s, x, first: [c.b.and_(s[0], x)], _only),
}


class Group(NamedTuple):
    """One group's rows `start` to `end`; `counted` says which rows count."""

    c: Code  # of float64
    x: Callable[[Value], Value]
    counted: Callable[[Value], Value]
    start: Value
    end: Value
    store: Callable[[Value, Value], None]
    literal: Callable[[], Value]
    scratch: Value

    def spread(self, value: Value) -> None:
        """One value for all rows of the group."""
        with self.c.loop(self.start, self.end) as r:
            self.store(value, r)


class _Totals(NamedTuple):
    total: Value
    count: Value
    lo: Value
    hi: Value
    first: Value


def _totals(g: Group, moved: bool) -> _Totals:
    """Sum, count, extremes and first value of the rows that count; `moved`: of x - first."""
    c = g.c
    total, lo, hi, first = (c.variable(ZERO) for _ in range(4))
    count = c.variable(NO)
    with c.loop(g.start, g.end) as r:
        x, use = g.x(r), g.counted(r)
        begins = c.b.icmp_signed("==", count.get(), NO)
        if moved:
            first.set(c.select(c.b.and_(use, begins), x, first.get()))
        term = c.b.fsub(x, first.get()) if moved else x
        total.set(c.select(use, c.b.fadd(total.get(), term), total.get()))
        lo.set(c.select(use, _lowest(c, lo.get(), x, begins), lo.get()))
        hi.set(c.select(use, _highest(c, hi.get(), x, begins), hi.get()))
        count.set(c.b.add(count.get(), c.b.zext(use, I64)))
    return _Totals(total.get(), count.get(), lo.get(), hi.get(), first.get())


def _group_mean(g: Group) -> None:
    t = _totals(g, moved=False)
    g.spread(_mean_finish(g.c, [t.total, t.lo, t.hi], t.count))


def _group_std(g: Group) -> None:
    c, b = g.c, g.c.b
    t = _totals(g, moved=True)
    n = as_real(c, t.count)
    mean = b.fdiv(t.total, n)
    squares = c.variable(ZERO)
    with c.loop(g.start, g.end) as r:
        off = b.fsub(b.fsub(g.x(r), t.first), mean)
        more = b.fadd(squares.get(), b.fmul(off, off))
        squares.set(c.select(g.counted(r), more, squares.get()))
    root = c.intrinsic("sqrt", b.fdiv(squares.get(), n))
    half = b.fdiv(b.fsub(t.hi, t.lo), c.number(2.0))
    value = c.select(c.less(half, root), half, root)
    g.spread(c.select(b.icmp_signed(">", t.count, i64(1)), value, ZERO))


def _group_extreme(pick: Callable[..., Value]) -> Callable[[Group], None]:
    def emit(g: Group) -> None:
        c = g.c
        best, none_yet = c.variable(ZERO), c.variable(TRUE)
        with c.loop(g.start, g.end) as r:
            use = g.counted(r)
            best.set(c.select(use, pick(c, best.get(), g.x(r), none_yet.get()), best.get()))
            none_yet.set(c.b.and_(none_yet.get(), c.b.not_(use)))
        g.spread(best.get())

    return emit


def _counted(g: Group) -> Value:
    count = g.c.variable(NO)
    with g.c.loop(g.start, g.end) as r:
        count.set(g.c.b.add(count.get(), g.c.b.zext(g.counted(r), I64)))
    return count.get()


def _group_size(g: Group) -> None:
    g.spread(as_real(g.c, _counted(g)))


def _group_rank(g: Group) -> None:
    """Twice the smaller ones and the ties are counted, the row itself taken off again.

    NaN where the row's own value is, or one that counts.
    """
    b = g.c.b
    many = b.icmp_signed(">", b.sub(g.end, g.start), i64(_PAIRS))
    with b.if_else(many) as (large, small):
        with large:
            _rank_by_sorting(g)
        with small:
            _rank_by_pairs(g)


def _rank_by_pairs(g: Group) -> None:
    c, b = g.c, g.c.b
    everyone = _counted(g)
    with c.loop(g.start, g.end) as r:
        x = g.x(r)
        twice, odd = c.variable(NO), c.variable(c.isnan(x))
        with c.loop(g.start, g.end) as o:
            other = g.x(o)
            odd.set(b.or_(odd.get(), b.and_(c.isnan(other), g.counted(o))))
            below = b.zext(b.and_(c.less(other, x), g.counted(o)), I64)
            ties = b.zext(b.and_(b.fcmp_ordered("==", other, x), g.counted(o)), I64)
            twice.set(b.add(twice.get(), b.add(b.add(below, below), ties)))
        _store_rank(g, r, twice.get(), everyone, odd.get())


def _rank_by_sorting(g: Group) -> None:
    """Smaller ones and ties are found in the sorted values that count."""
    c, b = g.c, g.c.b
    n = _sorted(g)
    last = b.select(b.icmp_signed(">", n, NO), b.sub(n, i64(1)), NO)
    odd = b.and_(b.icmp_signed(">", n, NO), c.isnan(c.load(g.scratch, last)))
    with c.loop(g.start, g.end) as r:
        x = g.x(r)
        below = _place(c, g.scratch, n, lambda v: c.less(v, x))
        up_to = _place(c, g.scratch, n, lambda v: b.not_(c.less(x, v)))
        _store_rank(g, r, b.add(below, up_to), n, b.or_(odd, c.isnan(x)))


def _store_rank(g: Group, r: Value, twice: Value, everyone: Value, odd: Value) -> None:
    c, b = g.c, g.c.b
    own = b.zext(g.counted(r), I64)
    others = b.sub(everyone, own)
    half = b.fmul(as_real(c, b.sub(twice, own)), c.number(0.5))
    share = b.fdiv(half, as_real(c, others))
    rank = c.select(b.icmp_signed(">", others, NO), share, c.number(0.5))
    g.store(c.select(odd, c.number(float("nan")), rank), r)


def _place(c: Code, items: Value, n: Value, before: Callable[[Value], Value]) -> Value:
    """How many of the sorted items come before something, by halving."""
    b = c.b
    lo, hi = c.variable(NO), c.variable(n)
    with _while(c, lambda: b.icmp_signed("<", lo.get(), hi.get())):
        middle = b.sdiv(b.add(lo.get(), hi.get()), i64(2))
        right = before(c.load(items, middle))
        lo.set(b.select(right, b.add(middle, i64(1)), lo.get()))
        hi.set(b.select(right, hi.get(), middle))
    return lo.get()


def _sorted(g: Group) -> Value:
    """The values that count, sorted into the scratch room; how many they are."""
    c, b = g.c, g.c.b
    count = c.variable(NO)
    with c.loop(g.start, g.end) as r, b.if_then(g.counted(r)):
        # Adding zero makes one zero of two: sorting need not tell them apart.
        c.store(b.fadd(g.x(r), ZERO), g.scratch, count.get())
        count.set(b.add(count.get(), i64(1)))
    _sort(c, g.scratch, count.get())
    return count.get()


def _group_quantile(g: Group) -> None:
    c, b = g.c, g.c.b
    n = _sorted(g)
    last = b.sub(n, i64(1))
    at = b.fmul(g.literal(), as_real(c, last))
    below = b.fptosi(at, I64)
    above = b.add(below, i64(1))
    above = b.select(b.icmp_signed("<", above, last), above, last)
    result = c.variable(ZERO)
    with b.if_then(b.icmp_signed(">", n, NO)):
        lower, upper = c.load(g.scratch, below), c.load(g.scratch, above)
        share = b.fsub(at, as_real(c, below))
        value = b.fadd(lower, b.fmul(share, b.fsub(upper, lower)))
        # NaN is sorted last: where there is one, it is the quantile.
        largest = c.load(g.scratch, last)
        result.set(c.select(c.isnan(largest), largest, _between(c, value, lower, upper)))
    g.spread(result.get())


def _between(c: Code, value: Value, lo: Value, hi: Value) -> Value:
    """min(hi, max(lo, value)) as Python compares."""
    raised = c.select(c.less(lo, value), value, lo)
    return c.select(c.less(raised, hi), raised, hi)


def _sort(c: Code, items: Value, n: Value) -> None:
    """Shell sort, NaN last: it needs no room of its own.

    Each gap is 5/11 of the one before (Gonnet and Baeza-Yates); halves would leave worst cases that
    are quadratic, for one half of the items never meets the other before the last gap.
    """
    b = c.b
    gap = c.variable(b.sdiv(n, i64(2)))
    with _while(c, lambda: b.icmp_signed(">", gap.get(), NO)):
        step = gap.get()
        with c.loop(step, n) as i:
            item, at = c.load(items, i), c.variable(i)
            with _while(c, lambda: _before(c, items, item, at.get(), step)):
                left = b.sub(at.get(), step)
                c.store(c.load(items, left), items, at.get())
                at.set(left)
            c.store(item, items, at.get())
        smaller = b.sdiv(b.mul(step, i64(5)), i64(11))
        gap.set(b.select(b.icmp_signed("==", step, i64(2)), i64(1), smaller))


def _before(c: Code, items: Value, item: Value, at: Value, step: Value) -> Value:
    """Whether the item belongs before the one a gap to the left."""
    b = c.b
    inside = b.icmp_signed(">=", at, step)
    other = c.load(items, b.select(inside, b.sub(at, step), NO))
    first = b.or_(c.less(item, other), b.and_(c.isnan(other), b.not_(c.isnan(item))))
    return b.and_(inside, first)


class _while:
    """while condition(): …, as a context."""

    def __init__(self, c: Code, condition: Callable[[], Value]) -> None:
        self.b, self.condition = c.b, condition

    def __enter__(self) -> None:
        b = self.b
        self.head, body, self.after = (b.append_basic_block() for _ in range(3))
        b.branch(self.head)
        b.position_at_end(self.head)
        b.cbranch(self.condition(), body, self.after)
        b.position_at_end(body)

    def __exit__(self, *error: object) -> None:
        self.b.branch(self.head)
        self.b.position_at_end(self.after)


GROUPS: dict[str, Callable[[Group], None]] = {
    "group_mean": _group_mean,
    "group_std": _group_std,
    "group_min": _group_extreme(_smallest),
    "group_max": _group_extreme(_largest),
    "group_rank": _group_rank,
    "group_quantile": _group_quantile,
    "group_size": _group_size,
}


# Eight at once: groups of the most common size, as vectors.
EIGHT = 8
_VECTOR = ir.VectorType(DOUBLE, EIGHT)
_LANES = ir.VectorType(ir.IntType(32), EIGHT)


def _splat(c: Code, x: Value) -> Value:
    """One number in every lane."""
    first = c.b.insert_element(ir.Constant(_VECTOR, ir.Undefined), x, ir.Constant(I32, 0))
    return c.b.shuffle_vector(
        first, ir.Constant(_VECTOR, ir.Undefined), ir.Constant(_LANES, [0] * EIGHT)
    )


def _turned(c: Code, x: Value, by: int) -> Value:
    """The lanes moved round by some places."""
    lanes = [(k + by) % EIGHT for k in range(EIGHT)]
    return c.b.shuffle_vector(x, ir.Constant(_VECTOR, ir.Undefined), ir.Constant(_LANES, lanes))


def _lane(c: Code, x: Value, k: int) -> Value:
    return c.b.extract_element(x, ir.Constant(I32, k))


def _sum8(c: Code, x: Value) -> Value:
    """The sum from left to right."""
    total: Value = ZERO
    for k in range(EIGHT):
        total = c.b.fadd(total, _lane(c, x, k))
    return total


def _ends8(c: Code, x: Value) -> tuple[Value, Value]:
    """The extremes. With a NaN in the group they are any, and what they bound is NaN anyhow."""
    lo = hi = x
    for by in (4, 2, 1):
        low, high = _turned(c, lo, by), _turned(c, hi, by)
        lo = c.select(c.less(low, lo), low, lo)
        hi = c.select(c.less(hi, high), high, hi)
    return _lane(c, lo, 0), _lane(c, hi, 0)


def _mean8(c: Code, x: Value) -> Value:
    mean = c.b.fdiv(_sum8(c, x), c.number(float(EIGHT)))
    return _splat(c, held(c, mean, *_ends8(c, x)))


def _std8(c: Code, x: Value) -> Value:
    b, n = c.b, c.number(float(EIGHT))
    moved = b.fsub(x, _splat(c, _lane(c, x, 0)))
    off = b.fsub(moved, _splat(c, b.fdiv(_sum8(c, moved), n)))
    root = c.intrinsic("sqrt", b.fdiv(_sum8(c, b.fmul(off, off)), n))
    lo, hi = _ends8(c, x)
    half = b.fdiv(b.fsub(hi, lo), c.number(2.0))
    return _splat(c, c.select(c.less(half, root), half, root))


def _rank8(c: Code, x: Value) -> Value:
    """Each row against the seven others at once."""
    b = c.b
    none, one = (ir.Constant(_VECTOR, [v] * EIGHT) for v in (0.0, 1.0))
    half = ir.Constant(_VECTOR, [0.5] * EIGHT)
    below = ties = none
    for by in range(1, EIGHT):
        other = _turned(c, x, by)
        below = b.fadd(below, b.select(c.less(other, x), one, none))
        ties = b.fadd(ties, b.select(b.fcmp_ordered("==", other, x), one, none))
    seven = ir.Constant(_VECTOR, [float(EIGHT - 1)] * EIGHT)
    share = b.fdiv(b.fadd(below, b.fmul(half, ties)), seven)
    # Of eight that all count, one NaN makes every rank NaN.
    odd = b.bitcast(c.isnan(x), ir.IntType(EIGHT))
    nan = ir.Constant(_VECTOR, [float("nan")] * EIGHT)
    return b.select(b.icmp_unsigned("!=", odd, ir.Constant(ir.IntType(EIGHT), 0)), nan, share)


GROUPS_OF_EIGHT: dict[str, Callable[[Code, Value], Value]] = {
    "group_mean": _mean8,
    "group_std": _std8,
    "group_rank": _rank8,
}


def eight(c: Code, real: Any, source: Value, target: Value, at: Value, op: str) -> None:
    """A function of the group of eight rows that starts at `at`, all of which count."""
    b, kind = c.b, ir.VectorType(real, EIGHT)
    x = b.load(b.gep(source, [at], source_etype=real), typ=kind)
    x.align = 8 if real == DOUBLE else 4
    found = GROUPS_OF_EIGHT[op](c, x if real == DOUBLE else b.fpext(x, _VECTOR))
    found = found if real == DOUBLE else b.fptrunc(found, kind)
    b.store(found, b.gep(target, [at], source_etype=real)).align = 8 if real == DOUBLE else 4
