"""The virtual machine's loop as LLVM IR: every instruction, for every block, for every program.

In C it would read

    for (p = 0; p < program_count; p++)
        for (at = 0; at < block_count; at++) {
            point inputs, offsets, outputs and groups at the block's first row
            for (k = 0; k < length; k++)
                table[code[k].op](target, a, b, c, &block, counts[code[k].space], space, made);
        }

Programs are outside of blocks, so that a program's instructions and constants stay in the cache
while it goes through the rows. What it costs to find an instruction is shared by a block of rows.

An operand is `index * 8 + kind` (`backends/pack.py`). Its address is `bases[kind] + index *
strides[kind]`, so all kinds are decoded alike, without a branch: registers lie `capacity` elements
apart, constants 8 bytes, rows of output as far as the batch has rows. An input is the one kind that
is looked up once more, in `pointers`, which `_inputs` sets for every block: for a column the values
at its first row, for a list those at its first step, with the list's own offsets in its space.

`block` is what instructions may ask of where they are: rows, groups and where they start, which
rows count, room to sort. It is filled anew for each block, and only lists and groups look at it.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from derl_dsl.backends.code import ARGS, BLOCK, FIELDS, PROGRAM, Kind
from derl_dsl.backends.llvm.ops import DOUBLE, I32, I64, POINTER, VOID, Code, Value, i64

NO = i64(0)


def run(module: Any, real: Any, handler: Any) -> None:
    """Writes `derl_run(args)`; `handler` is the type of an instruction's function."""
    Run(module, real, handler).write()


class Run:
    """Writes `derl_run`: for every program, for every block of rows, every instruction."""

    def __init__(self, module: Any, real: Any, handler: Any) -> None:
        function = ir.Function(module, ir.FunctionType(VOID, [POINTER]), "derl_run")
        self.b = ir.IRBuilder(function.append_basic_block())
        self.c = Code(self.b, real)
        self.bytes = i64(8 if real == DOUBLE else 4)
        self.handler = handler.as_pointer()
        args = function.args[0]
        self.arg = {name: self.c.load(args, i64(k), I64) for k, name in enumerate(ARGS)}
        self.block = self.b.alloca(I64, size=i64(len(BLOCK)))
        # Where each kind of operand lies, and how far its indices are apart.
        self.bases = self.b.alloca(I64, size=i64(max(Kind) + 1))
        self.strides = self.b.alloca(I64, size=i64(max(Kind) + 1))

    def pointer(self, address: Value) -> Value:
        """An address as a pointer."""
        return self.b.inttoptr(address, POINTER)

    def put(self, name: str, value: Value) -> None:
        """Set a field of the block."""
        self.c.store(value, self.block, i64(BLOCK.index(name)))

    def write(self) -> None:
        """The whole function."""
        c, b, arg = self.c, self.b, self.arg
        for name in ("group_size", "offsets", "counts", "sorting", "mask"):
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
        kind, index = b.and_(operand, i64(7)), b.ashr(operand, i64(3))
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
            op, space, made = (b.sext(c.load(code, b.add(at, i64(f)), I32), I64) for f in (0, 5, 6))
            operands = [self._operand(code, at, f) for f in (1, 2, 3, 4)]
            handler = c.load(self.pointer(self.arg["table"]), op, self.handler)
            n = c.load(counts, space, I64)
            b.call(handler, [*operands, self.block, n, space, made])
