"""Elementwise operations on tensors: a table from op to torch function, with total derivatives.

A derivative that is no finite number counts as 0. So what a condition does not choose adds nothing
to a gradient, also where it divides by zero or overflows, and gradients of a reward stay finite.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Op = Callable[..., Tensor]


def _div(a: Tensor, b: Tensor) -> Tensor:
    return torch.where(b == 0, math.nan, torch.div(a, b))


def _mod(a: Tensor, b: Tensor) -> Tensor:
    if a.device.type == "cpu" and not torch.compiler.is_compiling():
        # The vectorised loop loses digits of large quotients; the one for strides has C's fmod.
        a, b = torch.broadcast_tensors(a, b)  # type: ignore[no-untyped-call]
        a = torch.stack((a, a), -1)[..., 0]
    return torch.remainder(a, b)


def _pow(a: Tensor, b: Tensor) -> Tensor:
    return torch.where((a == 0) & (b < 0), math.nan, torch.pow(a, b))


def _sigmoid(a: Tensor) -> Tensor:
    # Not torch.sigmoid: it is 0 where exp(-a) overflows.
    grown = torch.exp(-torch.abs(a))
    return torch.where(a >= 0, 1.0, grown) / (1.0 + grown)


def _sign(a: Tensor) -> Tensor:
    return torch.where(torch.isnan(a), a, torch.sign(a))


PLAIN: dict[str, Op] = {
    "neg": torch.neg,
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": _div,
    "mod": _mod,
    "pow": _pow,
    "min": torch.minimum,
    "max": torch.maximum,
    "abs": torch.abs,
    "exp": torch.exp,
    "log": torch.log,
    "sqrt": torch.sqrt,
    "tanh": torch.tanh,
    "sigmoid": _sigmoid,
    "cos": torch.cos,
    "floor": torch.floor,
    "round": torch.round,
    "sign": _sign,
    "guard": lambda x, default: torch.where(torch.isfinite(x), x, default),
    "lt": torch.lt,
    "le": torch.le,
    "eq": torch.eq,
    "ne": torch.ne,
    "and": torch.logical_and,
    "or": torch.logical_or,
    "not": torch.logical_not,
    "select": torch.where,
}
# By op the derivative for each argument, of the result and the arguments. The ops that are not
# here pass a gradient on or stop it, and need no such care.
SLOPES: dict[str, tuple[Op, ...]] = {
    "mul": (lambda y, a, b: b, lambda y, a, b: a),
    "div": (lambda y, a, b: 1 / b, lambda y, a, b: -y / b),
    "mod": (lambda y, a, b: torch.ones_like(y), lambda y, a, b: -torch.floor(a / b)),
    "pow": (
        lambda y, a, b: torch.where(b == 0, 0.0, b * torch.pow(a, b - 1)),
        lambda y, a, b: y * torch.log(a),
    ),
    "abs": (lambda y, a: torch.sign(a),),
    "exp": (lambda y, a: y,),
    "log": (lambda y, a: torch.where(a > 0, 1 / a, 0.0),),
    "sqrt": (lambda y, a: 0.5 / y,),
    "tanh": (lambda y, a: 1 - y * y,),
    "sigmoid": (lambda y, a: y * (1 - y),),
    "cos": (lambda y, a: -torch.sin(a),),
}


class _Smooth(torch.autograd.Function):
    """An operation with the derivatives of `SLOPES`."""

    @staticmethod
    def forward(ctx: Any, name: str, *args: Tensor) -> Tensor:
        """The operation itself."""
        result = PLAIN[name](*args)
        ctx.name = name
        ctx.save_for_backward(result, *args)
        return result

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """The gradient times each derivative, 0 where that is no finite number."""
        result, *args = ctx.saved_tensors
        found: list[Tensor | None] = [None]
        for arg, slope, needed in zip(
            args, SLOPES[ctx.name], ctx.needs_input_grad[1:], strict=True
        ):
            if not needed:
                found.append(None)
                continue
            flow = torch.nan_to_num(
                grads[0] * slope(result, *args), nan=0.0, posinf=0.0, neginf=0.0
            )
            found.append(flow.sum_to_size(arg.shape))
        return tuple(found)


class _Straight(torch.autograd.Function):
    """See `straight`."""

    @staticmethod
    def forward(ctx: Any, free: Tensor, found: Tensor) -> Tensor:
        """The values found."""
        return found.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """All of the gradient goes to the free values."""
        return grads[0], None


def straight(free: Tensor, found: Tensor) -> Tensor:
    """The values of `found` with the gradient of `free`: where rounding alone tells them apart."""
    if torch.is_grad_enabled() and free.requires_grad:
        return _Straight.apply(free, found.detach())  # type: ignore[no-any-return,no-untyped-call]
    return found


def held(free: Tensor, lo: Tensor, hi: Tensor) -> Tensor:
    """`free` held to [lo, hi], as `min(max(free, lo), hi)` does in Python: NaN stays NaN."""
    found = torch.where(lo > free, lo, free)
    return straight(free, torch.where(hi < found, hi, found))


def _differentiable(name: str) -> Op:
    """The plain operation where no gradient is asked for: it is faster."""
    plain = PLAIN[name]

    def call(*args: Tensor) -> Tensor:
        if torch.is_grad_enabled() and any(a.requires_grad for a in args):
            return _Smooth.apply(name, *args)  # type: ignore[no-any-return,no-untyped-call]
        return plain(*args)

    call.__name__ = call.__qualname__ = f"{name}_"
    return call


OPS: dict[str, Op] = {name: _differentiable(name) if name in SLOPES else op
                      for name, op in PLAIN.items()}  # fmt: skip
