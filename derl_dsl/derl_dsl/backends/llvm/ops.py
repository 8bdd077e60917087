"""Every operation on single numbers as LLVM IR.

Both tiers are made of these: a loop over one operation is an instruction of the virtual machine, a
loop over all of them a compiled reward, and so both round alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from llvmlite import ir

from derl_dsl.graph.ops import OPERATIONS

Value = Any  # llvmlite has no types
I64, I32, I8, I1 = ir.IntType(64), ir.IntType(32), ir.IntType(8), ir.IntType(1)
DOUBLE, FLOAT = ir.DoubleType(), ir.FloatType()
POINTER = ir.PointerType()
VOID = ir.VoidType()


def i64(value: int) -> Value:
    """A whole number."""
    return ir.Constant(I64, value)


@dataclass(slots=True)
class Code:
    """Where code is written: a builder, and the type of numbers (float64 or float32)."""

    b: Any
    real: Any

    def number(self, value: float) -> Value:
        """A constant."""
        return ir.Constant(self.real, value)

    def load(self, pointer: Value, index: Value, kind: Any = None) -> Value:
        """The element of an array."""
        kind = self.real if kind is None else kind
        return self.b.load(self.b.gep(pointer, [index], source_etype=kind), typ=kind)

    def store(self, value: Value, pointer: Value, index: Value) -> None:
        """Set the element of an array."""
        self.b.store(value, self.b.gep(pointer, [index], source_etype=value.type))

    def truth(self, value: Value) -> Value:
        """A number as a condition, as `!= 0` has it: NaN holds."""
        return self.b.fcmp_unordered("!=", value, self.number(0.0))

    def as_number(self, value: Value) -> Value:
        """A condition as 0.0 or 1.0; numbers as they are."""
        return self.b.uitofp(value, self.real) if value.type == I1 else value

    def isnan(self, x: Value) -> Value:
        """Whether a number is NaN."""
        return self.b.fcmp_unordered("uno", x, x)

    def less(self, x: Value, y: Value) -> Value:
        """x < y; false of NaN."""
        return self.b.fcmp_ordered("<", x, y)

    def select(self, test: Value, x: Value, y: Value) -> Value:
        """x where the test holds, else y."""
        return self.b.select(test, x, y)

    def intrinsic(self, name: str, *args: Value) -> Value:
        """One of LLVM's own functions on numbers."""
        kind = ir.FunctionType(self.real, [self.real] * len(args))
        function = self.b.module.declare_intrinsic(f"llvm.{name}", [self.real], kind)
        return self.b.call(function, args)

    def libm(self, name: str, *args: Value) -> Value:
        """A function of the C library, computed in float64 and rounded to the type in use."""
        module, name = self.b.module, f"derl_{name}"
        function = module.globals.get(name)
        if function is None:
            kind = ir.FunctionType(DOUBLE, [DOUBLE] * len(args))
            function = ir.Function(module, kind, name)
            # It reads nothing but its arguments: calls may be moved and repeated ones dropped.
            function.attributes.add("nounwind")
            function.attributes.add("readnone")
        wide = [self.widened(a) for a in args]
        return self.narrowed(self.b.call(function, wide))

    def widened(self, x: Value) -> Value:
        """As float64."""
        return x if x.type == DOUBLE else self.b.fpext(x, DOUBLE)

    def narrowed(self, x: Value) -> Value:
        """As the type in use."""
        return x if self.real == DOUBLE else self.b.fptrunc(x, self.real)

    def variable(self, start: Value) -> Variable:
        """A value that loops change."""
        with self.b.goto_entry_block():
            slot = self.b.alloca(start.type)
        self.b.store(start, slot)
        return Variable(self, slot, start.type)

    @contextmanager
    def loop(self, start: Value, stop: Value) -> Iterator[Value]:
        """for i in range(start, stop)."""
        b = self.b
        before = b.block
        head, body, after = (b.append_basic_block() for _ in range(3))
        b.branch(head)
        b.position_at_end(head)
        i = b.phi(I64)
        i.add_incoming(start, before)
        b.cbranch(b.icmp_signed("<", i, stop), body, after)
        b.position_at_end(body)
        yield i
        i.add_incoming(b.add(i, i64(1)), b.block)
        b.branch(head)
        b.position_at_end(after)


@dataclass(slots=True)
class Variable:
    """A value in memory that LLVM turns into a register."""

    code: Code
    slot: Value
    kind: Any

    def get(self) -> Value:
        """Its value."""
        return self.code.b.load(self.slot, typ=self.kind)

    def set(self, value: Value) -> None:
        """Change it."""
        self.code.b.store(value, self.slot)


def _div(c: Code, x: Value, y: Value) -> Value:
    by_zero = c.b.fcmp_ordered("==", y, c.number(0.0))
    return c.select(by_zero, c.number(float("nan")), c.b.fdiv(x, y))


def _mod(c: Code, x: Value, y: Value) -> Value:
    """Python's %: the sign of y; NaN for y = 0."""
    zero = c.number(0.0)
    rest = c.libm("fmod", x, y)
    other_side = c.b.xor(c.less(y, zero), c.less(rest, zero))
    moved = c.select(other_side, c.b.fadd(rest, y), rest)
    exact = c.b.fcmp_ordered("==", rest, zero)
    return c.select(exact, c.intrinsic("copysign", zero, y), moved)


def _pow(c: Code, x: Value, y: Value) -> Value:
    zero = c.number(0.0)
    pole = c.b.and_(c.b.fcmp_ordered("==", x, zero), c.less(y, zero))
    return c.select(pole, c.number(float("nan")), c.libm("pow", x, y))


def _min(c: Code, x: Value, y: Value) -> Value:
    return c.select(c.b.or_(c.less(x, y), c.isnan(x)), x, y)


def _max(c: Code, x: Value, y: Value) -> Value:
    return c.select(c.b.or_(c.less(y, x), c.isnan(x)), x, y)


def _sigmoid(c: Code, x: Value) -> Value:
    wide = Code(c.b, DOUBLE)
    x = c.widened(x)
    one = wide.number(1.0)
    shrunk = wide.libm("exp", c.b.fneg(wide.intrinsic("fabs", x)))
    below = c.b.fadd(one, shrunk)
    upper = c.b.fcmp_ordered(">=", x, wide.number(0.0))
    return c.narrowed(c.b.fdiv(c.select(upper, one, shrunk), below))


def _sign(c: Code, x: Value) -> Value:
    zero = c.number(0.0)
    unmoved = c.select(c.isnan(x), x, zero)
    below = c.select(c.less(x, zero), c.number(-1.0), unmoved)
    return c.select(c.less(zero, x), c.number(1.0), below)


def _guard(c: Code, x: Value, default: Value) -> Value:
    finite = c.less(c.intrinsic("fabs", x), c.number(float("inf")))
    return c.select(finite, x, default)


Emit = Callable[..., Value]


def _intrinsic(name: str) -> Emit:
    return lambda c, x: c.intrinsic(name, x)


def _libm(name: str) -> Emit:
    return lambda c, *args: c.libm(name, *args)


OPS: dict[str, Emit] = {
    "neg": lambda c, x: c.b.fneg(x),
    "add": lambda c, x, y: c.b.fadd(x, y),
    "sub": lambda c, x, y: c.b.fsub(x, y),
    "mul": lambda c, x, y: c.b.fmul(x, y),
    "div": _div,
    "mod": _mod,
    "pow": _pow,
    "min": _min,
    "max": _max,
    "abs": _intrinsic("fabs"),
    "exp": _libm("exp"),
    "log": _libm("log"),
    "sqrt": _intrinsic("sqrt"),
    "tanh": _libm("tanh"),
    "sigmoid": _sigmoid,
    "cos": _libm("cos"),
    "floor": _intrinsic("floor"),
    "round": _intrinsic("rint"),
    "sign": _sign,
    "guard": _guard,
    "lt": lambda c, x, y: c.less(x, y),
    "le": lambda c, x, y: c.b.fcmp_ordered("<=", x, y),
    "eq": lambda c, x, y: c.b.fcmp_ordered("==", x, y),
    "ne": lambda c, x, y: c.b.fcmp_unordered("!=", x, y),
    "and": lambda c, x, y: c.b.and_(x, y),
    "or": lambda c, x, y: c.b.or_(x, y),
    "not": lambda c, x: c.b.not_(x),
    "num": lambda c, x: c.as_number(x),
    "select": lambda c, test, x, y: c.select(test, x, y),
}


def conditions(op: str) -> tuple[bool, ...]:
    """Which arguments of an operation are conditions."""
    return tuple(kind == "b" for kind in OPERATIONS[op].takes)
