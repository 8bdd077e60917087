"""The virtual machine as LLVM IR: one function per instruction, and the loop that calls them.

The code is a table of `code`. A space is a number of elements: space 0 has the block's rows, the
others the steps of its lists.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from llvmlite import ir

from derl_dsl.backends.llvm.code import (
    ARGS,
    BLOCK,
    FIELDS,
    INSTRUCTIONS,
    PATTERNS,
    PROGRAM,
    Kind,
)
from derl_dsl.backends.llvm.loops import GROUPS, NO, REDUCTIONS, TRUE, Group
from derl_dsl.backends.llvm.ops import (
    DOUBLE,
    FLOAT,
    I8,
    I32,
    I64,
    OPS,
    POINTER,
    VOID,
    Code,
    Value,
    conditions,
    i64,
)

_HANDLER = ir.FunctionType(VOID, [POINTER] * 5 + [I64] * 3)


class _Handler:
    """One instruction's function: its arguments by name."""

    def __init__(self, module: Any, name: str, real: Any, linkage: str = "internal") -> None:
        self.function = ir.Function(module, _HANDLER, f"derl_{name}")
        self.function.linkage = linkage
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


# Groups of these sizes are unrolled.
_SIZES = (8, 16, 4)


def _group(module: Any, real: Any, op: str, where: bool) -> None:
    """A group function; without conditions on its rows there is nothing to check for each."""
    name = op + (".where" if where else "")
    h = _Handler(module, name, real, linkage="external")
    c, b = h.code, h.code.b
    live = h.field("live", POINTER)
    everyone = b.icmp_unsigned("==", b.ptrtoint(live, I64), NO)
    with b.if_else(everyone) as (plain, masked):
        with plain:
            if where:
                _groups(h, op, lambda r: c.truth(c.load(h.b, r)), None)
            else:
                _sized(h, op)
        with masked:

            def counted(r: Value) -> Value:
                alive = b.icmp_unsigned("!=", c.load(live, r, I8), ir.Constant(I8, 0))
                return b.and_(alive, c.truth(c.load(h.b, r))) if where else alive

            _groups(h, op, counted, None)
    h.done()


def _sized(h: _Handler, op: str) -> None:
    b = h.code.b
    size = h.field("group_size")
    others, after = b.append_basic_block(), b.append_basic_block()
    switch = b.switch(size, others)
    for n in _SIZES if op in ("group_mean", "group_std", "group_rank") else ():
        block = b.append_basic_block()
        switch.add_case(i64(n), block)
        b.position_at_end(block)
        _groups(h, op, lambda r: TRUE, n)
        b.branch(after)
    b.position_at_end(others)
    _groups(h, op, lambda r: TRUE, None)
    b.branch(after)
    b.position_at_end(after)


def _groups(h: _Handler, op: str, counted: Callable[[Value], Value], size: int | None) -> None:
    c, b = h.code, h.code.b
    starts, row0 = h.field("starts", POINTER), h.field("row0")
    with c.loop(NO, h.field("groups")) as g:
        if size is None:
            start = b.sub(c.load(starts, g, I64), row0)
            end = b.sub(c.load(starts, b.add(g, i64(1)), I64), row0)
        else:
            start = b.mul(g, i64(size))
            end = b.add(start, i64(size))
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


def write(real: Any) -> str:
    """The module's IR: all instructions, and `derl_run(args)`."""
    module = ir.Module("derl_vm")
    for op, patterns in PATTERNS.items():
        for pattern in patterns:
            _elementwise(module, real, op, pattern)
    _copy(module, real)
    _not_zero(module, real)
    _fill(module, real)
    _spread(module, real)
    _slice(module, real, "third")
    _slice(module, real, "part")
    _muladd(module, real)
    for op in REDUCTIONS:
        _reduction(module, real, op)
    for op, where in itertools.product(GROUPS, (False, True)):
        _group(module, real, op, where)
    _run(module, real)
    return str(module)


def _table(module: Any) -> Any:
    kind = ir.ArrayType(POINTER, len(INSTRUCTIONS))
    table = ir.GlobalVariable(module, kind, "derl_table")
    table.linkage, table.global_constant = "internal", True
    table.initializer = ir.Constant(kind, [module.globals[f"derl_{n}"] for n in INSTRUCTIONS])
    return table


class _Run:
    """Writes `derl_run`: for every program, for every block of rows, every instruction."""

    def __init__(self, module: Any, real: Any) -> None:
        function = ir.Function(module, ir.FunctionType(VOID, [POINTER]), "derl_run")
        self.b = ir.IRBuilder(function.append_basic_block())
        self.c = Code(self.b, real)
        self.bytes = i64(8 if real == DOUBLE else 4)
        self.table = _table(module)
        args = function.args[0]
        self.arg = {name: self.c.load(args, i64(k), I64) for k, name in enumerate(ARGS)}
        self.block = self.b.alloca(I64, size=i64(len(BLOCK)))
        # Where each kind of operand lies, and how far its indices are apart.
        self.bases = self.b.alloca(I64, size=i64(len(Kind)))
        self.strides = self.b.alloca(I64, size=i64(len(Kind)))

    def pointer(self, address: Value) -> Value:
        """An address as a pointer."""
        return self.b.inttoptr(address, POINTER)

    def put(self, name: str, value: Value) -> None:
        """Set a field of the block."""
        self.c.store(value, self.block, i64(BLOCK.index(name)))

    def write(self) -> None:
        """The whole function."""
        c, b, arg = self.c, self.b, self.arg
        for name in ("group_size", "offsets", "counts", "sorting"):
            self.put(name, arg[name])
        for kind, base, stride in (
            (Kind.SCRATCH, arg["scratch"], b.mul(arg["capacity"], self.bytes)),
            (Kind.INPUT, arg["pointers"], i64(8)),
            (Kind.CONST, NO, i64(8)),
            (Kind.OUT, NO, b.mul(arg["rows"], self.bytes)),
        ):
            c.store(base, self.bases, i64(kind))
            c.store(stride, self.strides, i64(kind))
        with c.loop(NO, arg["program_count"]) as p:
            start = b.mul(p, i64(len(PROGRAM)))
            records = self.pointer(arg["programs"])
            program = {
                name: c.load(records, b.add(start, i64(k)), I64) for k, name in enumerate(PROGRAM)
            }
            c.store(program["constants"], self.bases, i64(Kind.CONST))
            with c.loop(NO, arg["block_count"]) as at:
                self._enter(program, at)
                self._instructions(program)
        b.ret_void()

    def _enter(self, program: dict[str, Value], at: Value) -> None:
        """Points the block, the inputs and the outputs at the rows of block `at`."""
        c, b, arg = self.c, self.b, self.arg
        blocks, groups = self.pointer(arg["blocks"]), self.pointer(arg["block_groups"])
        row0, end = (c.load(blocks, b.add(at, i64(k)), I64) for k in (0, 1))
        group0, last = (c.load(groups, b.add(at, i64(k)), I64) for k in (0, 1))
        rows = b.sub(end, row0)
        self.put("rows", rows)
        self.put("row0", row0)
        self.put("groups", b.sub(last, group0))
        self.put("starts", b.add(arg["groups"], b.mul(group0, i64(8))))
        nobody = b.icmp_unsigned("==", arg["live"], NO)
        self.put("live", b.select(nobody, NO, b.add(arg["live"], row0)))
        skipped = b.mul(row0, self.bytes)
        c.store(b.add(program["out"], skipped), self.bases, i64(Kind.OUT))
        offsets, counts = self.pointer(arg["offsets"]), self.pointer(arg["counts"])
        c.store(rows, counts, NO)
        self._inputs(program, row0, rows)
        with c.loop(NO, program["cut_count"]) as k:
            space = b.add(b.add(k, program["input_count"]), i64(1))
            room = b.mul(b.mul(k, arg["cut_capacity"]), i64(8))
            c.store(b.add(arg["cuts"], room), offsets, space)

    def _inputs(self, program: dict[str, Value], row0: Value, rows: Value) -> None:
        c, b, arg = self.c, self.b, self.arg
        offsets, counts = self.pointer(arg["offsets"]), self.pointer(arg["counts"])
        table, wanted = self.pointer(arg["inputs"]), self.pointer(program["inputs"])
        with c.loop(NO, program["input_count"]) as k:
            slot = b.mul(c.load(wanted, k, I64), i64(2))
            data, ends = (c.load(table, b.add(slot, i64(m)), I64) for m in (0, 1))
            skipped = c.variable(row0)
            with b.if_then(b.icmp_unsigned("!=", ends, NO)):
                own = b.add(ends, b.mul(row0, i64(8)))
                first = c.load(self.pointer(own), NO, I64)
                space = b.add(k, i64(1))
                c.store(own, offsets, space)
                steps = b.sub(c.load(self.pointer(own), rows, I64), first)
                c.store(steps, counts, space)
                skipped.set(first)
            moved = b.add(data, b.mul(skipped.get(), self.bytes))
            c.store(moved, self.pointer(arg["pointers"]), k)

    def _operand(self, code: Value, at: Value, field: int) -> Value:
        c, b = self.c, self.b
        operand = b.sext(c.load(code, b.add(at, i64(field)), I32), I64)
        kind, index = b.and_(operand, i64(3)), b.ashr(operand, i64(2))
        base = c.load(self.bases, kind, I64)
        address = c.variable(b.add(base, b.mul(index, c.load(self.strides, kind, I64))))
        with b.if_then(b.icmp_signed("==", kind, i64(Kind.INPUT))):
            address.set(c.load(self.pointer(address.get()), NO, I64))
        return self.pointer(address.get())

    def _instructions(self, program: dict[str, Value]) -> None:
        c, b = self.c, self.b
        code, counts = self.pointer(program["code"]), self.pointer(self.arg["counts"])
        with c.loop(NO, program["length"]) as k:
            at = b.mul(k, i64(FIELDS))
            op, space, made = (
                b.sext(c.load(code, b.add(at, i64(f)), I32), I64) for f in (0, 5, 6)
            )
            operands = [self._operand(code, at, f) for f in (1, 2, 3, 4)]
            handler = c.load(self.table, op, _HANDLER.as_pointer())
            n = c.load(counts, space, I64)
            b.call(handler, [*operands, self.block, n, space, made])


def _run(module: Any, real: Any) -> None:
    _Run(module, real).write()


REALS = {"float64": DOUBLE, "float32": FLOAT}
