"""The instructions of the virtual machine as LLVM IR: a function over a block for each.

A space is a number of elements: space 0 has the block's rows, the others the steps of its lists.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from derl_dsl.backends.code import BLOCK, NAMES, PATTERNS
from derl_dsl.backends.llvm.interpreter import run
from derl_dsl.backends.llvm.loops import (
    EIGHT,
    GROUPS,
    GROUPS_OF_EIGHT,
    NO,
    REDUCTIONS,
    TRUE,
    Group,
    eight,
)
from derl_dsl.backends.llvm.ops import (
    DOUBLE,
    FLOAT,
    I1,
    I8,
    I64,
    OPS,
    POINTER,
    VOID,
    Code,
    Value,
    conditions,
    i64,
)

HANDLER = ir.FunctionType(VOID, [POINTER] * 5 + [I64] * 3)


class _Handler:
    """One instruction's function: its arguments by name."""

    def __init__(self, module: Any, name: str, real: Any) -> None:
        self.function = ir.Function(module, HANDLER, f"derl_{name}")
        self.function.linkage = "internal"
        args = self.function.args
        self.target, self.a, self.b, self.c, self.block, self.n, self.space, self.made = args
        for pointer in args[:4]:
            # Targets never lie where arguments do: the packer sees to it.
            pointer.add_attribute("noalias")
        self.code = Code(ir.IRBuilder(self.function.append_basic_block()), real)

    def field(self, name: str, kind: Any = I64) -> Value:
        """A field of the block."""
        return self.code.load(self.block, i64(BLOCK.index(name)), kind)

    def done(self) -> None:
        """The end of the function."""
        self.code.b.ret_void()


def _scalar(h: _Handler, pointer: Value) -> Value:
    """A constant operand; constants are kept as float64."""
    return h.code.narrowed(h.code.b.load(pointer, typ=DOUBLE))


def _elementwise(module: Any, real: Any, op: str, pattern: str) -> None:
    h = _Handler(module, f"{op}.{pattern}", real)
    c, pointers = h.code, (h.a, h.b, h.c)
    fixed = {k: _scalar(h, pointers[k]) for k, kind in enumerate(pattern) if kind == "k"}
    with c.loop(NO, h.n) as i:
        args = []
        for k, is_condition in enumerate(conditions(op)):
            value = fixed[k] if k in fixed else c.load(pointers[k], i)
            args.append(c.truth(value) if is_condition else value)
        c.store(c.as_number(OPS[op](c, *args)), h.target, i)
    h.done()


def _copy(module: Any, real: Any) -> None:
    h = _Handler(module, "copy", real)
    with h.code.loop(NO, h.n) as i:
        h.code.store(h.code.load(h.a, i), h.target, i)
    h.done()


def _not_zero(module: Any, real: Any) -> None:
    """A condition read from data as 0.0 or 1.0."""
    h = _Handler(module, "not_zero", real)
    with h.code.loop(NO, h.n) as i:
        held = h.code.truth(h.code.load(h.a, i))
        h.code.store(h.code.as_number(held), h.target, i)
    h.done()


def _fill(module: Any, real: Any) -> None:
    h = _Handler(module, "fill", real)
    value = _scalar(h, h.a)
    with h.code.loop(NO, h.n) as i:
        h.code.store(value, h.target, i)
    h.done()


def _muladd(module: Any, real: Any) -> None:
    """a + constant * b, rounded twice as the two operations are."""
    h = _Handler(module, "muladd", real)
    c = h.code
    factor = _scalar(h, h.b)
    with c.loop(NO, h.n) as i:
        product = c.b.fmul(factor, c.load(h.c, i))
        c.store(c.b.fadd(c.load(h.a, i), product), h.target, i)
    h.done()


def _bounds(h: _Handler, offsets: Value, r: Value) -> tuple[Value, Value]:
    """Where the list of row r starts and ends, counted from the block's first step."""
    c = h.code
    zero = c.load(offsets, NO, I64)
    start, end = (c.load(offsets, c.b.add(r, i64(k)), I64) for k in (0, 1))
    return c.b.sub(start, zero), c.b.sub(end, zero)


def _offsets(h: _Handler, space: Value) -> Value:
    return h.code.load(h.field("offsets", POINTER), space, POINTER)


def _spread(module: Any, real: Any) -> None:
    """A value of a row for all steps of its list."""
    h = _Handler(module, "spread", real)
    offsets = _offsets(h, h.space)
    with h.code.loop(NO, h.field("rows")) as r:
        value = h.code.load(h.a, r)
        with h.code.loop(*_bounds(h, offsets, r)) as j:
            h.code.store(value, h.target, j)
    h.done()


def _slice(module: Any, real: Any, name: str) -> None:
    """Cut lists: writes the offsets and the number of steps of the space that is made."""
    h = _Handler(module, name, real)
    c, b = h.code, h.code.b
    literals = [b.load(p, typ=DOUBLE) for p in (h.b, h.c)]
    source, made = _offsets(h, h.space), _offsets(h, h.made)
    count = c.variable(NO)
    c.store(NO, made, NO)
    with c.loop(NO, h.field("rows")) as r:
        start, end = _bounds(h, source, r)
        first, last = cut(c, name, literals, b.sub(end, start))
        with c.loop(b.add(start, first), b.add(start, last)) as j:
            at = b.add(count.get(), b.sub(j, b.add(start, first)))
            c.store(c.load(h.a, j), h.target, at)
        longer = c.select(b.icmp_signed(">", last, first), b.sub(last, first), NO)
        count.set(b.add(count.get(), longer))
        c.store(count.get(), made, b.add(r, i64(1)))
    c.store(count.get(), h.field("counts", POINTER), h.made)
    h.done()


def cut(c: Code, op: str, literals: list[Value], steps: Value) -> tuple[Value, Value]:
    """The first step and the end of a third or part of `steps` steps."""
    b = c.b
    if op == "third":
        k = b.fptosi(literals[0], I64)
        first, last = (b.sdiv(b.mul(b.sub(k, i64(m)), steps), i64(3)) for m in (1, 0))
        return first, last
    wide = Code(b, DOUBLE)
    length = b.sitofp(steps, DOUBLE)
    first, last = (
        b.fptosi(wide.intrinsic("floor", b.fmul(length, share)), I64) for share in literals
    )
    return first, last


def _reduction(module: Any, real: Any, op: str) -> None:
    h = _Handler(module, op, real)
    c, reduction = h.code, REDUCTIONS[op]
    wide = Code(c.b, DOUBLE)
    offsets = _offsets(h, h.space)
    with c.loop(NO, h.field("rows")) as r:
        start, end = _bounds(h, offsets, r)
        state = [wide.variable(value) for value in reduction.start]
        with c.loop(start, end) as j:
            x = wide.widened(c.load(h.a, j))
            item = wide.truth(x) if op in ("list_any", "list_all") else x
            first = c.b.icmp_signed("==", j, start)
            new = reduction.step(wide, [s.get() for s in state], item, first)
            for slot, value in zip(state, new, strict=True):
                slot.set(value)
        found = reduction.finish(wide, [s.get() for s in state], c.b.sub(end, start))
        c.store(c.narrowed(wide.as_number(found)), h.target, r)
    h.done()


def _group(module: Any, real: Any, op: str) -> None:
    """A group function, in three forms: over all rows, over those of a mask, and what picks one.

    Rows count that are live and fulfil the condition, where there is one.
    """
    everyone = _Handler(module, f"{op}.everyone", real)
    _sized(everyone, op)
    everyone.done()
    masked = _Handler(module, f"{op}.masked", real)
    for form in (everyone, masked):
        form.function.attributes.add("noinline")
    c = masked.code
    _groups(masked, op, lambda r: c.b.trunc(c.load(masked.b, r, I8), I1))
    masked.done()
    for where in (False, True):
        h = _Handler(module, op + (".where" if where else ""), real)
        live = h.field("live", POINTER)
        args = [h.c, h.block, h.n, h.space, h.made]
        all_live = h.code.b.icmp_unsigned("==", h.code.b.ptrtoint(live, I64), NO)
        with h.code.b.if_else(all_live) as (plain, some):
            with plain:
                if where:
                    mask = _mask(h, None)
                    h.code.b.call(masked.function, [h.target, h.a, mask, *args])
                else:
                    h.code.b.call(everyone.function, [h.target, h.a, h.b, *args])
            with some:
                mask = _mask(h, live, where)
                h.code.b.call(masked.function, [h.target, h.a, mask, *args])
        h.done()


def _mask(h: _Handler, live: Value | None, where: bool = True) -> Value:
    """One byte a row: whether it counts."""
    c, mask = h.code, h.field("mask", POINTER)
    with c.loop(NO, h.field("rows")) as r:
        holds = c.truth(c.load(h.b, r)) if where else TRUE
        if live is not None:
            alive = c.b.icmp_unsigned("!=", c.load(live, r, I8), ir.Constant(I8, 0))
            holds = c.b.and_(alive, holds)
        c.store(c.b.zext(holds, I8), mask, r)
    return mask


def _sized(h: _Handler, op: str) -> None:
    """Over all rows of each group; groups of eight are computed as vectors."""
    if op not in GROUPS_OF_EIGHT:
        _groups(h, op, lambda r: TRUE)
        return
    c, b = h.code, h.code.b
    common = b.icmp_signed("==", h.field("group_size"), i64(EIGHT))
    with b.if_else(common) as (vectors, other):
        with vectors, c.loop(NO, h.field("groups")) as g:
            eight(Code(b, DOUBLE), c.real, h.a, h.target, b.mul(g, i64(EIGHT)), op)
        with other:
            _groups(h, op, lambda r: TRUE)


def _groups(h: _Handler, op: str, counted: Callable[[Value], Value]) -> None:
    c, b = h.code, h.code.b
    starts, row0 = h.field("starts", POINTER), h.field("row0")
    with c.loop(NO, h.field("groups")) as g:
        start = b.sub(c.load(starts, g, I64), row0)
        end = b.sub(c.load(starts, b.add(g, i64(1)), I64), row0)
        wide = Code(b, DOUBLE)
        GROUPS[op](
            Group(
                wide,
                lambda r: wide.widened(c.load(h.a, r)),
                counted,
                start,
                end,
                lambda value, r: c.store(c.narrowed(value), h.target, r),
                lambda: b.load(h.c, typ=DOUBLE),
                h.field("sorting", POINTER),
            )
        )


def core(module: Any, real: Any) -> None:
    """Operations on single numbers, and what moves them."""
    for op, patterns in PATTERNS.items():
        for pattern in patterns:
            _elementwise(module, real, op, pattern)
    for write in (_copy, _not_zero, _fill, _muladd):
        write(module, real)


def lists(module: Any, real: Any) -> None:
    """Lists of steps."""
    _spread(module, real)
    for name in ("third", "part"):
        _slice(module, real, name)
    for op in REDUCTIONS:
        _reduction(module, real, op)


def groups(module: Any, real: Any) -> None:
    """Functions of groups."""
    for op in GROUPS:
        _group(module, real, op)


PARTS: dict[str, Callable[[Any, Any], None]] = {"core": core, "lists": lists, "groups": groups}


def write(part: str, real: Any) -> str:
    """The IR of one part of the instructions: a table of them, in the order of their numbers."""
    module = ir.Module(f"derl_{part}")
    PARTS[part](module, real)
    if part == "core":
        run(module, real, HANDLER)
    written = [module.globals[f"derl_{name}"] for name in NAMES[part]]
    kind = ir.ArrayType(POINTER, len(written))
    table = ir.GlobalVariable(module, kind, f"derl_{part}")
    table.global_constant, table.initializer = True, ir.Constant(kind, written)
    return str(module)


REALS = {"float64": DOUBLE, "float32": FLOAT}
