"""The compiled tier as LLVM IR: the loops of a plan (`backends/plan.py` has the account of those).

`derl_fused(args)` takes the arguments of the virtual machine's loop, so a `Session` serves both;
its one program has constants, inputs and outputs, but no code. A plan without group functions is
one call of one stage for the rows of all its blocks, since nothing has to fit a cache. With them it
goes by blocks:

    for each block of rows
        stage 0(columns, offsets, slots, outs, constants, rows)
        the instructions of the group functions of stage 1, from the machine's table
        stage 1(…)

A stage is a function of its own because LLVM believes what is said of a function's arguments: each
pointer is `noalias`, so that loads may move over stores and the loop can be vectorised. It must not
be inlined, or that knowledge is lost.

In a stage every node is an LLVM value, made when it is first asked for and remembered for the row
(`values`): computed above, loaded from the slot where an earlier stage kept it, or loaded from its
column. Conditions are one bit wide there and 0.0 or 1.0 in memory. Constants are loaded before the
loop. Lists are walked in an inner loop whose state lies in stack slots that LLVM turns into
registers; the first step is taken by itself, so that the loop need not ask whether it is the first.

The operations are those of `ops.py`, which the machine's instructions are made of too, in the same
order: the two tiers agree in every bit, and `auto` may change from one to the other in mid-run.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir

from derl_dsl.backends.code import ARGS, BLOCK, INSTRUCTIONS, PROGRAM
from derl_dsl.backends.llvm.handlers import HANDLER, cut
from derl_dsl.backends.llvm.loops import FALSE, NO, REDUCTIONS, TRUE
from derl_dsl.backends.llvm.ops import (
    DOUBLE,
    I1,
    I64,
    OPS,
    POINTER,
    VOID,
    Code,
    Value,
    Variable,
    conditions,
    i64,
)
from derl_dsl.backends.plan import Plan, Walk
from derl_dsl.graph.ops import SLICES

_States = dict[int, list[Variable]]


class _Stage:
    """One loop over rows as a function of its own, whose pointers are known not to meet."""

    def __init__(self, module: Any, plan: Plan, stage: int, real: Any) -> None:
        self.plan, self.stage, self.graph = plan, stage, plan.graph
        graph = plan.graph
        self.lists = [i for i in plan.inputs if graph.nodes[i].is_list]
        self.written = [i for i in plan.kept if plan.stages[i] == stage and not self._grouped(i)]
        self.outs = [k for k, r in enumerate(plan.roots) if plan.stages[r] == stage]
        count = len(plan.inputs) + len(self.lists) + len(plan.kept) + len(plan.roots) + 1
        kind = ir.FunctionType(VOID, [*[POINTER] * count, I64])
        self.function = ir.Function(module, kind, f"stage{stage}")
        self.function.linkage = "internal"
        self.function.attributes.add("noinline")
        for pointer in self.function.args[:-1]:
            pointer.add_attribute("noalias")
        given = iter(self.function.args)
        self.columns = {i: next(given) for i in plan.inputs}
        self.offsets = {i: next(given) for i in self.lists}
        self.slots = {i: next(given) for i in plan.kept}
        self.targets = [next(given) for _ in plan.roots]
        self.constants, self.rows = next(given), next(given)
        self.code = Code(ir.IRBuilder(self.function.append_basic_block()), real)
        self.values: dict[int, Value] = {}

    def _grouped(self, i: int) -> bool:
        return self.graph.nodes[i].op.startswith("group_")

    def write(self) -> Any:
        """The function."""
        c, plan = self.code, self.plan
        fixed = {i: c.narrowed(self._literal(i)) for i in plan.order if self._fixed(i)}
        with c.loop(NO, self.rows) as r:
            self.values = dict(fixed)
            deepest = max((plan.levels[i] for i in plan.order), default=0)
            for level in range(deepest + 1):
                for walk in plan.walks(self.stage, level):
                    self._walk(walk, r)
                for i in plan.singles(self.stage, level):
                    self.values[i] = self._operation(i, r)
            for i in self.written:
                c.store(c.as_number(self._value(i, r)), self.slots[i], r)
            for k in self.outs:
                value = c.as_number(self._value(plan.roots[k], r))
                c.store(value, self.targets[k], r)
        c.b.ret_void()
        return self.function

    def _fixed(self, i: int) -> bool:
        return self.graph.nodes[i].op in ("const", "param")

    def _literal(self, i: int, k: int = 0) -> Value:
        """A constant as float64."""
        return self.code.load(self.constants, i64(self.plan.literals[i] + k), DOUBLE)

    def _value(self, i: int, r: Value) -> Value:
        """A single value: computed before, kept by an earlier stage, or read from its column."""
        if i not in self.values:
            node = self.graph.nodes[i]
            if i in self.slots and self.plan.stages[i] <= self.stage and i not in self.columns:
                value = self.code.load(self.slots[i], r)
            else:
                value = self.code.load(self.columns[i], r)
            self.values[i] = self.code.truth(value) if node.is_bool else value
        return self.values[i]

    def _operation(self, i: int, r: Value) -> Value:
        node = self.graph.nodes[i]
        always = self.plan.always(i)
        if always is not None:
            return ir.Constant(I1, int(always))
        return self.apply(i, [self._value(a, r) for a in node.args])

    def apply(self, i: int, args: list[Value]) -> Value:
        """An operation on single numbers."""
        c, node = self.code, self.graph.nodes[i]
        op = node.op
        wanted = conditions(op)
        if op == "select" and node.is_bool:
            return c.select(*args)
        if op in ("min", "max") and node.args[0] in self.plan.numbers:
            # Without NaN these are single instructions of the processor.
            x, y = (c.as_number(a) for a in args)
            return c.select(c.less(x, y) if op == "min" else c.less(y, x), x, y)
        return OPS[op](c, *(a if t else c.as_number(a) for a, t in zip(args, wanted, strict=True)))

    def _walk(self, walk: Walk, r: Value) -> None:
        """One inner loop over the steps, for all reductions of them."""
        c, b = self.code, self.code.b
        wide = Code(b, DOUBLE)
        zero = c.load(self.offsets[walk.base], r, I64)
        start = zero
        end = c.load(self.offsets[walk.base], b.add(r, i64(1)), I64)
        for op, node in walk.cuts:
            literals = [self._literal(node, k) for k in ((0, 0) if op == "third" else (0, 1))]
            first, last = cut(c, op, literals, b.sub(end, start))
            start, end = b.add(start, first), b.add(start, last)
        # What is read of the row itself is read before the loop.
        for i in walk.reductions:
            for a in self._singles(self.graph.nodes[i].args[0]):
                self._value(a, r)
        states = {
            i: [wide.variable(v) for v in REDUCTIONS[self.graph.nodes[i].op].start]
            for i in walk.reductions
        }
        skipped, count = b.sub(start, zero), b.sub(end, start)
        # The first step by itself: in the loop there is nothing to ask then.
        with b.if_then(b.icmp_signed(">", count, NO)):
            self._step(walk, states, _Steps(self, r, skipped), TRUE)
            with c.loop(i64(1), count) as j:
                self._step(walk, states, _Steps(self, r, b.add(skipped, j)), FALSE)
        for i, state in states.items():
            reduced = self.graph.nodes[i]
            found = REDUCTIONS[reduced.op].finish(wide, [s.get() for s in state], count)
            self.values[i] = found if reduced.is_bool else c.narrowed(found)

    def _step(self, walk: Walk, states: _States, steps: _Steps, first: Value) -> None:
        """All reductions take one step."""
        wide = Code(self.code.b, DOUBLE)
        for i in walk.reductions:
            op = self.graph.nodes[i].op
            item = steps.value(self.graph.nodes[i].args[0])
            if op not in ("list_any", "list_all"):
                item = wide.widened(self.code.as_number(item))
            new = REDUCTIONS[op].step(wide, [s.get() for s in states[i]], item, first)
            for slot, value in zip(states[i], new, strict=True):
                slot.set(value)

    def _singles(self, root: int) -> list[int]:
        """The single values that a list is made with."""
        found: list[int] = []
        stack = [root]
        while stack:
            for a in self.graph.nodes[stack.pop()].args:
                (stack if self.graph.nodes[a].is_list else found).append(a)
        return found


class _Steps:
    """The values of lists at one step."""

    def __init__(self, stage: _Stage, row: Value, step: Value) -> None:
        self.stage, self.row, self.step = stage, row, step
        self.values: dict[int, Value] = {}

    def value(self, i: int) -> Value:
        """The value of a list at this step, or of the row."""
        stage = self.stage
        node = stage.graph.nodes[i]
        if not node.is_list:
            return stage._value(i, self.row)
        if i not in self.values:
            if node.op == "input":
                c = stage.code
                at = c.b.add(c.load(stage.offsets[i], self.row, I64), self.step)
                value = c.load(stage.columns[i], at)
                self.values[i] = c.truth(value) if node.is_bool else value
            elif node.op in SLICES:
                self.values[i] = self.value(node.args[0])
            else:
                args = [self.value(a) for a in node.args]
                self.values[i] = stage.apply(i, args)
        return self.values[i]


class _Whole:
    """Writes `derl_fused`: for every block of rows, the stages and the group functions between."""

    def __init__(self, module: Any, plan: Plan, real: Any) -> None:
        self.plan, self.real = plan, real
        last = max((plan.stages[i] for i in plan.order), default=0)
        self.stages = [_Stage(module, plan, k, real).write() for k in range(last + 1)]
        function = ir.Function(module, ir.FunctionType(VOID, [POINTER]), "derl_fused")
        self.c = Code(ir.IRBuilder(function.append_basic_block()), real)
        self.b = self.c.b
        self.arg = {name: self.c.load(function.args[0], i64(k), I64) for k, name in enumerate(ARGS)}
        record = self.pointer(self.arg["programs"])
        self.program = {name: self.c.load(record, i64(k), I64) for k, name in enumerate(PROGRAM)}
        self.bytes = i64(8 if real == DOUBLE else 4)

    def pointer(self, address: Value) -> Value:
        """An address as a pointer."""
        return self.b.inttoptr(address, POINTER)

    def write(self) -> None:
        """The function."""
        c, b, arg = self.c, self.b, self.arg
        if not self.plan.grouped:
            bounds = self.pointer(arg["blocks"])
            first, after = (c.load(bounds, at, I64) for at in (NO, arg["block_count"]))
            self._stage(0, first, b.sub(after, first))
            b.ret_void()
            return
        self.block = b.alloca(I64, size=i64(len(BLOCK)))
        for name in ("group_size", "sorting", "mask"):
            self._put(name, arg[name])
        blocks, groups = self.pointer(arg["blocks"]), self.pointer(arg["block_groups"])
        with c.loop(NO, arg["block_count"]) as at:
            row0, end = (c.load(blocks, b.add(at, i64(k)), I64) for k in (0, 1))
            group0, last = (c.load(groups, b.add(at, i64(k)), I64) for k in (0, 1))
            self._put("rows", b.sub(end, row0))
            self._put("row0", row0)
            self._put("groups", b.sub(last, group0))
            self._put("starts", b.add(arg["groups"], b.mul(group0, i64(8))))
            nobody = b.icmp_unsigned("==", arg["live"], NO)
            self._put("live", b.select(nobody, NO, b.add(arg["live"], row0)))
            for k in range(len(self.stages)):
                for i in self.plan.groups(k):
                    self._group(i, row0, b.sub(end, row0))
                self._stage(k, row0, b.sub(end, row0))
        b.ret_void()

    def _put(self, name: str, value: Value) -> None:
        self.c.store(value, self.block, i64(BLOCK.index(name)))

    def _column(self, k: int, row0: Value) -> tuple[Value, Value]:
        """The addresses of an input's values and of its offsets, from the block's first row."""
        c, b = self.c, self.b
        table = self.pointer(self.arg["inputs"])
        wanted = self.pointer(self.program["inputs"])
        slot = b.mul(c.load(wanted, i64(k), I64), i64(2))
        data, ends = (c.load(table, b.add(slot, i64(m)), I64) for m in (0, 1))
        if self.plan.graph.nodes[self.plan.inputs[k]].is_list:
            return data, b.add(ends, b.mul(row0, i64(8)))
        return b.add(data, b.mul(row0, self.bytes)), NO

    def _slot(self, i: int) -> Value:
        index = i64(self.plan.kept[i])
        width = self.b.mul(self.arg["capacity"], self.bytes)
        return self.b.add(self.arg["scratch"], self.b.mul(index, width))

    def _stage(self, k: int, row0: Value, rows: Value) -> None:
        b, plan = self.b, self.plan
        columns = [self._column(n, row0) for n in range(len(plan.inputs))]
        lists = [
            ends
            for (_, ends), i in zip(columns, plan.inputs, strict=True)
            if plan.graph.nodes[i].is_list
        ]
        slots = [self._slot(i) for i in plan.kept]
        outs = [
            b.add(
                b.add(self.program["out"], b.mul(row0, self.bytes)),
                b.mul(b.mul(i64(n), self.arg["rows"]), self.bytes),
            )
            for n in range(len(plan.roots))
        ]
        addresses = [*(data for data, _ in columns), *lists, *slots, *outs]
        addresses.append(self.program["constants"])
        b.call(self.stages[k], [*map(self.pointer, addresses), rows])

    def _group(self, i: int, row0: Value, rows: Value) -> None:
        """Calls the virtual machine's instruction for a group function."""
        c, plan = self.c, self.plan
        node = plan.graph.nodes[i]
        *values, where = node.args
        everyone = plan.always(where) is True
        target = self._slot(i)
        x = self._argument(values[0], row0) if values else target
        mask = target if everyone else self._argument(where, row0)
        literal = NO
        if i in plan.literals:
            literal = self.b.add(self.program["constants"], i64(8 * plan.literals[i]))
        number = INSTRUCTIONS[node.op + ("" if everyone else ".where")]
        handler = c.load(self.pointer(self.arg["table"]), i64(number), HANDLER.as_pointer())
        pointers = [self.pointer(a) for a in (target, x, mask, literal)]
        self.b.call(handler, [*pointers, self.block, rows, NO, NO])

    def _argument(self, i: int, row0: Value) -> Value:
        if i in self.plan.kept:
            return self._slot(i)
        return self._column(self.plan.inputs.index(i), row0)[0]


def write(plan: Plan, real: Any) -> str:
    """The IR of a plan's function, `derl_fused(args)`."""
    module = ir.Module("derl_fused")
    _Whole(module, plan, real).write()
    return str(module)
