"""A kernel between two walls, as LLVM IR: what goes in and what comes out is of its type.

    derl_checked(call) -> 1 where all columns held their types, before and after, else 0

`call` is eight 64-bit fields (`CALL`): the records of the columns that go in and of those that come
out, rows, and the kernel with its argument, which is not run on what does not hold. A record is
five (`RECORD`): where the column lies, its bounds as float64, and where its known values lie and
how many those are (0: any number within the bounds). NaN is within no bounds.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from derl_dsl.backends.code import CALL
from derl_dsl.backends.llvm.ops import DOUBLE, I1, I64, POINTER, VOID, Code, Value, i64

RECORD = ("data", "lo", "hi", "values", "count")
NO = i64(0)


class _Held:
    """Writes a function: whether all columns of some records hold."""

    def __init__(self, module: Any) -> None:
        kind = ir.FunctionType(I64, [POINTER, I64, I64, I64])
        function = self.function = ir.Function(module, kind, "held")
        function.linkage = "internal"
        self.records, self.columns, self.row0, self.rows = function.args
        self.b = ir.IRBuilder(function.append_basic_block())
        self.c = Code(self.b, DOUBLE)

    def field(self, k: Value, name: str, kind: Any = I64) -> Value:
        """A field of record `k`."""
        at = self.b.add(self.b.mul(k, i64(len(RECORD))), i64(RECORD.index(name)))
        return self.c.load(self.records, at, kind)

    def write(self) -> None:
        """All columns, each by its own loop."""
        c, b = self.c, self.b
        bad = c.variable(NO)
        with c.loop(NO, self.columns) as k:
            start = b.add(self.field(k, "data"), b.mul(self.row0, i64(8)))
            data, values = (b.inttoptr(a, POINTER) for a in (start, self.field(k, "values")))
            count = self.field(k, "count")
            lo, hi = (self.field(k, name, DOUBLE) for name in ("lo", "hi"))
            with b.if_else(b.icmp_signed("==", count, NO)) as (any_number, known):
                with any_number, c.loop(NO, self.rows) as r:
                    x = c.load(data, r)
                    inside = b.and_(b.fcmp_ordered(">=", x, lo), b.fcmp_ordered("<=", x, hi))
                    bad.set(b.or_(bad.get(), b.zext(b.not_(inside), I64)))
                with known:
                    self._among(bad, data, values, count)
        b.ret(b.zext(b.icmp_signed("==", bad.get(), NO), I64))

    def _among(self, bad: Any, data: Value, values: Value, count: Value) -> None:
        """Two values are compared at once: conditions are most of these columns."""
        c, b = self.c, self.b
        first = c.load(values, NO)
        second = c.load(values, b.select(b.icmp_signed(">", count, i64(1)), i64(1), NO))
        with b.if_else(b.icmp_signed("<=", count, i64(2))) as (few, many):
            with few, c.loop(NO, self.rows) as r:
                x = c.load(data, r)
                one = b.or_(b.fcmp_ordered("==", x, first), b.fcmp_ordered("==", x, second))
                bad.set(b.or_(bad.get(), b.zext(b.not_(one), I64)))
            with many, c.loop(NO, self.rows) as r:
                x, found = c.load(data, r), c.variable(ir.Constant(I1, 0))
                found.set(ir.Constant(I1, 0))
                with c.loop(NO, count) as j:
                    same = b.fcmp_ordered("==", x, c.load(values, j))
                    found.set(b.or_(found.get(), same))
                bad.set(b.or_(bad.get(), b.zext(b.not_(found.get()), I64)))


def write() -> str:
    """The IR of `derl_checked`."""
    module = ir.Module("derl_checked")
    held = _Held(module)
    held.write()
    function = ir.Function(module, ir.FunctionType(I64, [POINTER]), "derl_checked")
    b = ir.IRBuilder(function.append_basic_block())
    c = Code(b, DOUBLE)
    arg = {name: c.load(function.args[0], i64(k), I64) for k, name in enumerate(CALL)}

    def holds(side: str) -> Value:
        records = b.inttoptr(arg[f"{side}s"], POINTER)
        return b.call(held.function, [records, arg[f"{side}_count"], arg["row0"], arg["rows"]])

    with b.if_then(b.icmp_signed("==", holds("input"), NO)):
        b.ret(NO)
    kernel = b.inttoptr(arg["entry"], ir.FunctionType(VOID, [POINTER]).as_pointer())
    b.call(kernel, [b.inttoptr(arg["argument"], POINTER)])
    b.ret(holds("output"))
    return str(module)
