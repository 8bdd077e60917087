"""Whether a reward stays finite where every operation rounds to float32."""

from __future__ import annotations

import struct

from derl_dsl.graph.ir import Graph
from derl_dsl.graph.ranges import INF, Range
from derl_dsl.prove.analyse import Analysis
from derl_dsl.prove.path import Path

# From here on a number rounds to infinity: half a unit above the largest float32.
_BEYOND = (2.0 - 2.0**-24) * 2.0**127


def rounded(x: float) -> float:
    """A number as float32, to nearest."""
    if abs(x) >= _BEYOND:
        return INF if x > 0 else -INF
    found: float = struct.unpack("f", struct.pack("f", x))[0]
    return found


class _Single(Analysis):
    """Ranges in float32: rounding is monotone, so the rounded ends hold the rounded values."""

    def _node(self, i: int, known: dict[int, Range], facts: Path) -> Range:
        lo, hi, nan = super()._node(i, known, facts)
        return Range(rounded(lo), rounded(hi), nan or lo != lo or hi != hi)


def finite_in_float32(graph: Graph, root: int) -> bool:
    """Whether interval arithmetic proves a node finite in float32."""
    return _Single(graph, [root])[root].finite
