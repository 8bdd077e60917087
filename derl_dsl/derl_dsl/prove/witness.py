"""Input combinations at which a program is evaluated: all of them where there are few, or a sample.

Group functions are free inputs here, for one rollout does not decide them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from derl_dsl.graph import scalars
from derl_dsl.graph.ir import Graph, Param
from derl_dsl.graph.leaves import domain, source_range
from derl_dsl.graph.ops import GROUP, LEAVES, OPERATIONS
from derl_dsl.graph.ranges import Range
from derl_dsl.prove.analyse import Analysis

if TYPE_CHECKING:
    import random

# Programs over finite domains with at most this many combinations are proven by enumeration.
CORNERS = 1024
_SAMPLES = 48
_LONGEST = 5
# What a program sees of one rollout: what is computed is left out, and what is written.
_FREE = (LEAVES - {"const"}) | GROUP


# Rows of a table, by their numbers.
Rows = tuple[int, ...]


@dataclass(slots=True)
class Witness:
    """Combinations of the leaves' values, and the values of all nodes there.

    Only rows where the reward applies are kept; `exact` says that they are all there are. `shape`
    is how many values each leaf takes, when the rows are all combinations, the last leaf changing
    fastest.
    """

    leaves: list[int]
    rows: Sequence[tuple[Any, ...]]
    values: dict[int, list[Any]]
    exact: bool
    shape: tuple[int, ...] | None

    def lines(self, leaf: int) -> Sequence[Rows]:
        """The rows of an exact table in which `leaf` alone rises through its values."""
        at = self.leaves.index(leaf)
        if self.shape is not None:
            return _lines(self.shape, at)
        alike: dict[tuple[Any, ...], list[int]] = {}
        for k, row in enumerate(self.rows):
            alike.setdefault((*row[:at], *row[at + 1 :]), []).append(k)
        return [tuple(sorted(line, key=lambda k: self.rows[k][at])) for line in alike.values()]

    def steps(self, leaf: int) -> Sequence[tuple[int, int]]:
        """The pairs of neighbouring rows on those lines: `leaf` before and after one step."""
        if self.shape is not None:
            return _steps(self.shape, self.leaves.index(leaf))
        return [pair for line in self.lines(leaf) for pair in pairwise(line)]


# Few tables differ in shape, and each asks for its lines several times.


@lru_cache(maxsize=64)
def _lines(shape: tuple[int, ...], at: int) -> tuple[Rows, ...]:
    step = math.prod(shape[at + 1 :])
    block = step * shape[at]
    starts = (k for k in range(math.prod(shape)) if k % block < step)
    return tuple(tuple(range(k, k + block, step)) for k in starts)


@lru_cache(maxsize=64)
def _steps(shape: tuple[int, ...], at: int) -> tuple[tuple[int, int], ...]:
    return tuple(pair for line in _lines(shape, at) for pair in pairwise(line))


def leaf_name(graph: Graph, leaf: int) -> str:
    """A leaf as the program names it."""
    node = graph.nodes[leaf]
    if node.op in GROUP:
        return node.op
    if node.op == "valid":
        return f"whether {node.payload} applies"
    return node.payload.name if isinstance(node.payload, Param) else str(node.payload)


def leaves_of(graph: Graph, roots: Sequence[int]) -> list[int]:
    """The inputs, parameters and group functions that `roots` see, not what is behind the last."""
    nodes = graph.nodes
    groups = {i for i in graph.used(roots) if nodes[i].op in GROUP}
    return [i for i in graph.used(roots, known=groups) if nodes[i].op in _FREE]


def leaves_behind(graph: Graph, roots: Sequence[int]) -> list[int]:
    """All inputs and parameters of `roots`, those that only group functions see included."""
    return [i for i in graph.used(roots) if graph.nodes[i].op in LEAVES - {"const"}]


def sampled(graph: Graph, leaves: list[int]) -> list[tuple[Any, ...]]:
    """A sample of combinations of inputs and parameters; none where they have no bounds."""
    return _sample(graph, leaves, leaves)


def leaf_domain(graph: Graph, leaf: int) -> tuple[float, ...] | None:
    """All values of a leaf, when they are finitely many."""
    node = graph.nodes[leaf]
    if node.op == "valid":
        return (0.0, 1.0)
    if isinstance(node.payload, Param):
        return (node.payload.value,) if node.payload.lo == node.payload.hi else None
    return None if node.op in GROUP else domain(graph.source(leaf))


def _chooser(
    values: tuple[float, ...] | None, bounds: Range, rng: random.Random
) -> Callable[[], float]:
    """Draws one of finitely many values, or a value of a range: its ends oftener than the rest."""
    if values is not None:
        return partial(rng.choice, values)
    lo, hi, _ = bounds
    near = [v for v in (lo, hi, 0.0, 1.0, 0.5) if lo <= v <= hi]
    low, high = (max(lo, -1e3), min(hi, 1e3)) if hi - lo > 1e6 else (lo, hi)

    def choose() -> float:
        spread = rng.uniform(low, high)
        return rng.choice([*near, min(max(spread, lo), hi)])

    return choose


class _Kind(NamedTuple):
    """What values of a leaf are drawn from."""

    values: tuple[float, ...] | None
    bounds: Range
    is_list: bool


def _sampler(kind: _Kind, rng: random.Random) -> Callable[[], Any]:
    """Draws values of a leaf; those of a list are up to five steps."""
    choose = _chooser(kind.values, kind.bounds, rng)
    if not kind.is_list:
        return choose
    return lambda: [choose() for _ in range(rng.randint(0, _LONGEST))]


@lru_cache(maxsize=64)
def _drawn(kinds: tuple[_Kind, ...]) -> list[tuple[Any, ...]]:
    """The rows for leaves of these kinds: always the same, and few programs differ in them."""
    import random  # 5 ms that only sampling costs

    rng = random.Random(0)
    samplers = [_sampler(kind, rng) for kind in kinds]
    return [tuple(draw() for draw in samplers) for _ in range(_SAMPLES)]


def _sample(graph: Graph, roots: Sequence[int], leaves: list[int]) -> list[tuple[Any, ...]]:
    grouped = any(graph.nodes[i].op in GROUP for i in leaves)
    analysis = Analysis(graph, list(roots)) if grouped else None
    kinds = []
    for i in leaves:
        node = graph.nodes[i]
        bounds = analysis[i] if analysis and node.op in GROUP else source_range(graph, i)
        if math.isinf(bounds.lo) or math.isinf(bounds.hi):
            return []
        steps = (0.0, 1.0) if node.is_bool else None
        values = steps if node.is_list else leaf_domain(graph, i)
        kinds.append(_Kind(values, bounds, node.is_list))
    return _drawn(tuple(kinds))


def at_rows(
    graph: Graph, roots: Sequence[int], leaves: list[int], rows: Sequence[tuple[Any, ...]]
) -> dict[int, list[Any]]:
    """The values of all nodes at given combinations of the leaves."""
    columns: dict[int, list[Any]] = {i: [] for i in leaves}
    columns.update(zip(leaves, map(list, zip(*rows, strict=True)), strict=False))
    # Lists that go together have the same number of steps.
    lists = [i for i in leaves if graph.nodes[i].is_list]
    for k in range(len(rows) if len(lists) > 1 else 0):
        steps = min(len(columns[i][k]) for i in lists)
        for i in lists:
            columns[i][k] = columns[i][k][:steps]
    return scalars.evaluate(graph, roots, columns, len(rows))


def witness(graph: Graph, root: int, valid: int | None) -> Witness:
    """Evaluates the reward `root` where `valid` holds (None: everywhere)."""
    roots = [root] if valid is None else [root, valid]
    leaves = leaves_of(graph, roots)
    domains = [leaf_domain(graph, i) for i in leaves]
    finite = [d for d in domains if d is not None]
    exact = len(finite) == len(domains) and math.prod(map(len, finite)) <= CORNERS
    rows = list(itertools.product(*finite)) if exact else _sample(graph, roots, leaves)
    shape = tuple(map(len, finite)) if exact else None
    values = at_rows(graph, roots, leaves, rows)
    if valid is not None and not all(values[valid]):
        shape = None
        kept = [k for k, holds in enumerate(values[valid]) if holds]
        rows = [rows[k] for k in kept]
        values = {i: [column[k] for k in kept] for i, column in values.items()}
    if exact:
        # A comparison with NaN has no meaning; enumeration does not vouch for it.
        compared = {a for i in values if OPERATIONS[graph.nodes[i].op].compares
                    for a in graph.nodes[i].args}  # fmt: skip
        exact = not any(math.isnan(v) for i in compared for v in values[i])
    return Witness(leaves, rows, values, exact, shape)
