"""Values that belong together, lists of steps or groups of rollouts, and their statistics.

No loop over rows: sums and extremes go by the row that owns each value. Groups of one size are
matrices (`Blocks`), anything else lies flat with offsets (`Segments`); both answer the same
questions, so that every statistic is written once.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from derl_dsl.backends.torch_ops import OPS, held, straight


def owners(offsets: Tensor, size: int) -> Tensor:
    """The segment that each of `size` values lies in, (N,) int64."""
    rows = torch.arange(len(offsets) - 1, device=offsets.device)
    return torch.repeat_interleave(rows, offsets.diff(), output_size=size)


class Segments(NamedTuple):
    """Flat values (N,) in B segments that start at `offsets` (B + 1).

    `owner` (N,) is the segment of each value; `inside` (N,) says which values count (None: all),
    `start` (B,) where the first of them lies and `count` (B,) how many they are.
    """

    offsets: Tensor
    owner: Tensor
    inside: Tensor | None
    start: Tensor
    size: Tensor

    def counts(self) -> Tensor:
        """How many values count, (B,) int64."""
        return self.size

    def kept(self, x: Tensor, fill: float) -> Tensor:
        """The values with `fill` in place of those that do not count."""
        return x if self.inside is None else torch.where(self.inside, x, fill)

    def total(self, x: Tensor) -> Tensor:
        """The sums, on the CPU from left to right, (B,)."""
        return x.new_zeros(self.start.shape).index_add(0, self.owner, self.kept(x, 0.0))

    def first(self, x: Tensor) -> Tensor:
        """The first value that counts, whatever where there is none, (B,)."""
        return pick(x, self.start)

    def extreme(self, x: Tensor, way: str) -> Tensor:
        """The smallest ("min") or largest ("max") number, infinite without one, (B,)."""
        fill = math.inf if way == "min" else -math.inf
        x = self.kept(torch.where(torch.isnan(x), fill, x), fill)
        # Four times as fast as scatter_reduce on the CPU; torch.compile does not know it.
        if x.device.type == "cpu" and not torch.compiler.is_compiling():
            return torch.segment_reduce(x, way, offsets=self.offsets, initial=fill, unsafe=True)
        start = x.new_full(self.start.shape, fill)
        return start.scatter_reduce(0, self.owner, x, f"a{way}")

    def back(self, values: Tensor) -> Tensor:
        """A value of each segment for each of its members, (N,)."""
        return values.index_select(0, self.owner)

    def ordered(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The values sorted within their segments, those that count first; where each starts."""
        filled = self.kept(x, math.nan)
        order = torch.argsort(filled.detach(), stable=True)
        order = order[torch.argsort(self.owner[order], stable=True)]
        return filled.index_select(0, order), self.offsets[:-1]


class Blocks(NamedTuple):
    """Values (B,) in groups of one size; `counted` (G, n) says which of them count."""

    counted: Tensor

    def counts(self) -> Tensor:
        """How many values count, (G,) int64."""
        return self.counted.sum(1)

    def kept(self, x: Tensor, fill: float) -> Tensor:
        """The values with `fill` in place of those that do not count, (B,)."""
        return torch.where(self.counted.reshape(-1), x, fill)

    def total(self, x: Tensor) -> Tensor:
        """The sums, on the CPU from left to right, (G,)."""
        kept = self.kept(x, 0.0).reshape(self.counted.shape)
        # A running sum is as fast as a sum, and has the order of a loop.
        if x.device.type == "cpu" and not torch.compiler.is_compiling():
            return kept.cumsum(1)[:, -1]
        return kept.sum(1)

    def first(self, x: Tensor) -> Tensor:
        """The first value that counts, whatever where there is none, (G,)."""
        at = self.counted.to(torch.uint8).argmax(1, keepdim=True)
        return x.reshape(self.counted.shape).gather(1, at).squeeze(1)

    def extreme(self, x: Tensor, way: str) -> Tensor:
        """The smallest ("min") or largest ("max") number, infinite without one, (G,)."""
        fill = math.inf if way == "min" else -math.inf
        x = self.kept(torch.where(torch.isnan(x), fill, x), fill).reshape(self.counted.shape)
        return x.amin(1) if way == "min" else x.amax(1)

    def back(self, values: Tensor) -> Tensor:
        """A value of each group for each of its members, (B,)."""
        return values.unsqueeze(1).expand(self.counted.shape).reshape(-1)

    def ordered(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The values sorted within their groups, those that count first; where each starts."""
        groups, size = self.counted.shape
        found = self.kept(x, math.nan).reshape(self.counted.shape).sort(1).values
        return found.reshape(-1), torch.arange(groups, device=x.device) * size


Parts = Segments | Blocks


def whole(offsets: Tensor, owner: Tensor) -> Segments:
    """Segments in which every value counts."""
    return Segments(offsets, owner, None, offsets[:-1], offsets.diff())


def blocks(size: int, counted: Tensor) -> Blocks:
    """Groups of `size` neighbours."""
    return Blocks(counted.reshape(-1, size))


def chosen(offsets: Tensor, owner: Tensor, counted: Tensor) -> Segments:
    """Segments in which those values count that `counted` (N,) says."""
    rows, size = len(offsets) - 1, len(owner)
    place = torch.where(counted, torch.arange(size, device=owner.device), size)
    start = place.new_full((rows,), size).scatter_reduce(0, owner, place, "amin")
    count = place.new_zeros(rows).index_add(0, owner, counted.to(torch.int64))
    return Segments(offsets, owner, counted, start, count)


def cut(op: str, literals: tuple[float, ...], part: Segments) -> Segments:
    """A third or part of each list: the same values, of which fewer count."""
    steps = part.size
    if op == "third":
        k = int(literals[0])
        first, last = (torch.div(j * steps, 3, rounding_mode="floor") for j in (k - 1, k))
    else:
        first, last = (torch.floor(steps.double() * v).to(torch.int64) for v in literals)
    start = part.start + first
    place = torch.arange(len(part.owner), device=start.device)
    after = place >= start.index_select(0, part.owner)
    inside = after & (place < (part.start + last).index_select(0, part.owner))
    return Segments(part.offsets, part.owner, inside, start, last - first)


def pick(x: Tensor, at: Tensor) -> Tensor:
    """The values at `at`; places beyond the ends are moved to them, and nothing has only zeros."""
    if len(x) == 0:
        return x.new_zeros(at.shape)
    return x.index_select(0, at.clamp(0, len(x) - 1))


# Statistics: one value of each list or group, 0 of nothing.


def total(x: Tensor, part: Parts) -> Tensor:
    """The sum."""
    return part.total(x)


def count(x: Tensor, part: Parts) -> Tensor:
    """The number of values that count, in the precision of x."""
    return part.counts().to(x.dtype)


def mean(x: Tensor, part: Parts) -> Tensor:
    """The mean, held between the extremes."""
    free = part.total(x) / part.counts().clamp(min=1)
    inner = x.detach()
    found = held(free, part.extreme(inner, "min"), part.extreme(inner, "max"))
    return torch.where(part.counts() > 0, found, 0.0)


def _extreme(x: Tensor, part: Parts, way: str) -> Tensor:
    """NaN where any value is."""
    found = torch.where(odd(x, part), math.nan, part.extreme(x, way))
    return torch.where(part.counts() > 0, found, 0.0)


def odd(x: Tensor, part: Parts) -> Tensor:
    """Whether a value that counts is NaN, (B,) or (G,)."""
    return part.total(torch.isnan(x.detach()).to(x.dtype)) > 0


def smallest(x: Tensor, part: Parts) -> Tensor:
    """The smallest value."""
    return _extreme(x, part, "min")


def largest(x: Tensor, part: Parts) -> Tensor:
    """The largest value."""
    return _extreme(x, part, "max")


def first(x: Tensor, part: Segments) -> Tensor:
    """The first value."""
    return torch.where(part.size > 0, part.first(x), 0.0)


def last(x: Tensor, part: Segments) -> Tensor:
    """The last value."""
    return torch.where(part.size > 0, pick(x, part.start + part.size - 1), 0.0)


def some(x: Tensor, part: Segments) -> Tensor:
    """Whether a condition holds at any step."""
    true = x if part.inside is None else x & part.inside
    return part.size.new_zeros(part.size.shape).index_add(0, part.owner, true.to(torch.int64)) > 0


def every(x: Tensor, part: Segments) -> Tensor:
    """Whether a condition holds at all steps."""
    return ~some(~x, part)


def deviation(x: Tensor, part: Parts) -> Tensor:
    """The standard deviation (divisor n), as `reference.deviation` has it."""
    count = part.counts()
    # The masks come before each product: what does not count may be infinite.
    moved = part.kept(x - part.back(part.first(x)), 0.0)
    away = part.kept(moved - part.back(part.total(moved) / count.clamp(min=1)), 0.0)
    variance = part.total(OPS["mul"](away, away)) / count.clamp(min=1)
    inner = x.detach()
    spread = part.extreme(inner, "max") - part.extreme(inner, "min")
    root = OPS["sqrt"](variance)
    found = held(root, torch.full_like(root, -math.inf), spread / 2)
    return torch.where(count > 1, found, 0.0)


def quantile(x: Tensor, part: Parts, q: float) -> Tensor:
    """The q-quantile, linear between neighbours, held between them."""
    ordered, start = part.ordered(x)
    count = part.counts()
    at = q * (count - 1).clamp(min=0).double()
    below = at.to(torch.int64)
    above = torch.minimum(below + 1, (count - 1).clamp(min=0))
    low, high = pick(ordered, start + below), pick(ordered, start + above)
    free = low + (at - below).to(x.dtype) * (high - low)
    above_low = torch.where(free > low, free, low)
    found = torch.where(above_low < high, above_low, high)
    found = torch.where(odd(x, part), math.nan, straight(free, found))
    return torch.where(count > 0, found, 0.0)
