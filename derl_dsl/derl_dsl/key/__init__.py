"""Equivalence keys: equal keys mean rewards that group-normalised GRPO cannot tell apart.

GRPO subtracts the group's mean and divides by its standard deviation, so `a * R + b` with a > 0
trains exactly as R does, and so does R with a value added that all rollouts of a group share. Over
finite input domains the key is the exact table of the reward's values up to such a change;
otherwise it is the reward's structure (`structure`). Rounding is no difference, as long as it is
small beside the reward's spread: what float64 makes of the reward is compared before a key is made
of exact numbers.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

from derl_dsl.graph import scalars
from derl_dsl.graph.ir import Graph, Param
from derl_dsl.key.atoms import label
from derl_dsl.key.exact import TABULAR, Exact, corners, exact_values, grid
from derl_dsl.key.shared import without_shared
from derl_dsl.key.structure import structure

# Exact and float64 values may differ by this share of their spread: GRPO's advantages, divided by
# the deviation + 1e-4, then agree to 1e-9.
_AGREE = 1e-13
_DIGITS = 12

# The value at each corner up to a positive affine change; None where the reward does not apply.
Table = list[int | float | None]


def key(graph: Graph, root: int) -> str:
    """The key of a reward: equal for rewards that differ by `a * R + b`, a > 0, at most.

    Different keys do not prove different rewards. A parameter counts with the value it has.
    """
    valid = _valid(graph, root)
    text = _table(*without_shared(graph, root), valid)
    if text is None:
        text = f"form {structure(graph, root, valid)}"
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _valid(graph: Graph, root: int) -> int | None:
    """Where the root applies: as the reward, though a part that applies elsewhere has its value."""
    names = [name for name, at in graph.outputs.items() if at == root]
    named = next((n for n in names if n.rpartition(".")[2] == "reward"), next(iter(names), ""))
    return graph.valids.get(named)


def _table(graph: Graph, root: int, valid: int | None) -> str | None:
    """The inputs that matter, and the reward's values over all their combinations."""
    roots = [root] if valid is None else [root, valid]
    used = graph.used(roots)
    if not all(graph.nodes[i].op in TABULAR for i in used):
        return None
    inputs = [i for i in used if graph.nodes[i].op in ("input", "valid")]
    domains = corners(graph, inputs)
    if domains is None:
        return None
    columns = grid(inputs, domains)
    size = math.prod(map(len, domains))
    kept = list(range(size))
    if valid is not None:
        holds = _floats(graph, valid, columns, size)
        kept = [k for k in kept if holds[k]]
        columns = {i: [column[k] for k in kept] for i, column in columns.items()}
    scaled = _scaled(graph, root, columns, len(kept))
    if scaled is None:
        return None
    values: Table = list(scaled)
    if len(kept) < size:
        values = [None] * size
        for k, value in zip(kept, scaled, strict=True):
            values[k] = value
    names = [label(graph, i) for i in inputs]
    return _shown(names, domains, values)


def _floats(graph: Graph, root: int, columns: dict[int, list[float]], rows: int) -> list[float]:
    given = dict(columns)
    for i in graph.used([root]):
        payload = graph.nodes[i].payload
        if isinstance(payload, Param):
            given[i] = [payload.value] * rows
    found: list[float] = scalars.evaluate(graph, [root], given, rows)[root]
    return found


def _scaled(
    graph: Graph, root: int, columns: dict[int, list[float]], rows: int
) -> Sequence[int | float] | None:
    """The values shifted to start at 0 and scaled: whole numbers, or a share of the spread.

    None when a value is not finite.
    """
    floats = _floats(graph, root, columns, rows)
    if not all(map(math.isfinite, floats)):
        return None
    lo, hi = min(floats, default=0.0), max(floats, default=0.0)
    if lo == hi:
        return [0] * rows
    exact = exact_values(graph, root, columns, rows)
    if exact is not None and _close(exact, floats):
        above, _ = exact
        least = min(above)
        moved = [v - least for v in above]
        unit = math.gcd(*moved)
        return [v // unit for v in moved]
    spread = hi - lo
    if not math.isfinite(spread):
        return None
    # 0.0 is added for -0.0, which is no other value.
    return [round((v - lo) / spread, _DIGITS) + 0.0 for v in floats]


def _close(exact: Exact, floats: list[float]) -> bool:
    """Whether float64 computes the exact values, but for rounding far below their spread."""
    above, below = exact
    try:
        allowed = _AGREE * ((max(above) - min(above)) / below)
        off = max(abs(v / below - f) for v, f in zip(above, floats, strict=True))
        return 0 < allowed >= off
    except OverflowError:
        return False


def _shown(names: list[str], domains: Sequence[tuple[float, ...]], values: Table) -> str:
    """The table in the order of the input names, inputs without effect left out."""
    kept = list(domains)
    k = 0
    while k < len(names):
        step = math.prod(map(len, kept[k + 1 :]))
        block = step * len(kept[k])
        starts = [s + j for s in range(0, len(values), block) for j in range(step)]
        first = [values[s] for s in starts]
        if all([values[s + j * step] for s in starts] == first for j in range(1, len(kept[k]))):
            values = first
            names, kept = names[:k] + names[k + 1 :], kept[:k] + kept[k + 1 :]
        else:
            k += 1
    if not names:
        return "constant" if values != [None] else "never"
    order = sorted(range(len(names)), key=names.__getitem__)
    strides = [math.prod(map(len, kept[k + 1 :])) for k in range(len(kept))]
    offsets = [0]
    for k in order:
        offsets = [o + j * strides[k] for o in offsets for j in range(len(kept[k]))]
    shown = [v if (v := values[o]) is None or isinstance(v, float) else hex(v) for o in offsets]
    return f"table {[(names[k], kept[k]) for k in order]} {shown}"
