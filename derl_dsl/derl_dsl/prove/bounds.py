"""What one rollout takes at most, proven before it runs: operations, bytes, seconds.

A program has no loops, so its kernel does each of its operations once a rollout, or once for each
step of a list or rollout of a group. A primitive's time grows with the texts it reads, in a line
(patterns are RE2's), by constants that `python -m benchmarks.costs` measured on texts that are hard
on it; those that grow with the square are counted so. What is left to worker processes is bounded
by their deadline and told apart. So the count of operations is proven, the seconds are that count
in the units of the machine measured.
"""

from __future__ import annotations

from collections.abc import Iterator

from derl_dsl.graph.ir import Graph
from derl_dsl.graph.ops import LEAVES, OPERATIONS
from derl_grammar.records import record
from derl_grammar.types import List, Text
from derl_primitives.costs import CLASSES, LONGEST, MEASURED
from derl_primitives.primitive import Primitive
from derl_runtime.sandbox_settings import SandboxSettings
from derl_runtime.sources import Apply, Column, Literal, Source

# Nanoseconds of the slowest operation of the kernel (a power) for one number.
_OPERATION = 50.0
_GROUP = 64
_STEPS = 4096
_BYTES, _CHARACTER = 8, 4
# A verdict of a worker that takes longer is a fault of its row.
_DEADLINE = 2.0
# Decided at once nearly always, and by a worker now and then: so it is of class `parse`.
_SELDOM = frozenset({"correct"})


@record
class Bound:
    """The most that one rollout takes where no text has more than `longest` characters and no list
    of a column more than 4,096 steps, in groups of at most 64: `operations` and `memory` in bytes
    are proven; `seconds` are by measured constants; `waits` is what worker processes may take
    beside, by their deadline. `costliest` is the input that takes most of the seconds."""

    longest: int
    operations: int
    memory: int
    seconds: float
    waits: float
    costliest: str


def bound_of(graph: Graph, longest: int = LONGEST) -> Bound:
    """The bound of all that a program computes: the reward, its parts, its steps."""
    used = graph.used([*graph.roots(), *graph.step_roots()])
    operations = memory = 0
    for i in used:
        node = graph.nodes[i]
        times = _STEPS if node.is_list or any(graph.nodes[a].is_list for a in node.args) else 1
        memory += _BYTES * times
        if node.op not in LEAVES:
            operations += times * (_GROUP if OPERATIONS[node.op].kind == "group" else 1)
    seconds = operations * _OPERATION * 1e-9
    waits, costly = 0.0, {"": 0.0}
    inputs = [graph.nodes[i].payload for i in used if graph.nodes[i].op in ("input", "valid")]
    sources = dict.fromkeys(s for payload in inputs for s in _parts(payload))
    for source in sources:
        if isinstance(source, Column):
            memory += _CHARACTER * longest if _is_text(source) else 0
            continue
        texts = sum(_is_text(arg) for arg in source.args if not isinstance(arg, Literal))
        row, slope, width, power = _cost(source)
        characters = texts * longest
        taken = row + slope * characters * (max(1.0, longest / LONGEST) if power > 1 else 1.0)
        operations += max(1, characters)
        memory += int(width * characters) + _BYTES
        memory += _CHARACTER * longest if _is_text(source) else 0
        seconds += taken * 1e-9
        waits += _waits(source)
        costly[str(source)] = taken
    most = max(costly, key=costly.__getitem__)
    return Bound(longest, operations, memory, seconds, waits, most)


def _parts(payload: object) -> Iterator[Column | Apply]:
    """An input and all that it is made of."""
    if isinstance(payload, Column | Apply):
        yield payload
        for arg in payload.args if isinstance(payload, Apply) else ():
            yield from _parts(arg)


def _is_text(source: Source) -> bool:
    kind = getattr(source, "type", None)
    kind = getattr(kind, "item", kind) if not isinstance(kind, List) else kind.item
    return isinstance(kind, Text)


def _cost(source: Apply) -> tuple[float, float, float, int]:
    """What a primitive was measured to cost; of one's own, the most of its class."""
    primitive = source.primitive
    found = MEASURED.get(primitive.name)
    if found is not None:
        return found
    kind = primitive.cost if isinstance(primitive, Primitive) else "scan"
    return CLASSES[kind]


def _waits(source: Apply) -> float:
    """Seconds that workers of a primitive may take for one row."""
    primitive = source.primitive
    if not isinstance(primitive, Primitive) or primitive.sandboxed:
        return SandboxSettings().deadline
    waits = primitive.cost == "process" or primitive.name in _SELDOM
    return _DEADLINE if waits else 0.0
