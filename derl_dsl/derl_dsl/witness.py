"""Input combinations at which a program is evaluated: all of them where there are few, or a sample.

Group functions are free inputs here, for one rollout does not decide them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from derl_dsl import points
from derl_dsl.analyse import Analysis, domain, source_range
from derl_dsl.ir import GROUP, Graph, Param
from derl_dsl.ranges import Range

if TYPE_CHECKING:
    import random

# Programs over finite domains with at most this many combinations are proven by enumeration.
CORNERS = 1024
_SAMPLES = 48
_LONGEST = 5
_COMPARISONS = frozenset({"lt", "le", "eq", "ne"})
_LEAVES = frozenset({"input", "valid", "param"}) | GROUP


@dataclass(slots=True)
class Witness:
    """Combinations of the leaves' values, and the values of all nodes there.

    Only rows where the reward applies are kept; `exact` says that they are all there are.
    """

    leaves: list[int]
    rows: list[tuple[Any, ...]]
    values: dict[int, list[Any]]
    exact: bool


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
    seen: set[int] = set()
    found = []
    stack = list(roots)
    while stack:
        at = stack.pop()
        if at in seen:
            continue
        seen.add(at)
        if graph.nodes[at].op in _LEAVES:
            found.append(at)
        else:
            stack.extend(graph.nodes[at].args)
    return sorted(found)


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


def _sampler(graph: Graph, leaf: int, bounds: Range, rng: random.Random) -> Callable[[], Any]:
    """Draws values of a leaf; those of a list are up to five steps."""
    node = graph.nodes[leaf]
    if not node.is_list:
        return _chooser(leaf_domain(graph, leaf), bounds, rng)
    choose = _chooser((0.0, 1.0) if node.is_bool else None, bounds, rng)
    return lambda: [choose() for _ in range(rng.randint(0, _LONGEST))]


def _sample(graph: Graph, roots: Sequence[int], leaves: list[int]) -> list[tuple[Any, ...]]:
    import random  # 5 ms that only sampling costs

    rng = random.Random(0)
    grouped = any(graph.nodes[i].op in GROUP for i in leaves)
    analysis = Analysis(graph, list(roots)) if grouped else None
    bounds = {
        i: analysis[i] if analysis and graph.nodes[i].op in GROUP else source_range(graph, i)
        for i in leaves
    }
    if any(math.isinf(b.lo) or math.isinf(b.hi) for b in bounds.values()):
        return []
    samplers = [_sampler(graph, i, bounds[i], rng) for i in leaves]
    return [tuple(draw() for draw in samplers) for _ in range(_SAMPLES)]


def at_rows(
    graph: Graph, roots: Sequence[int], leaves: list[int], rows: list[tuple[Any, ...]]
) -> dict[int, list[Any]]:
    """The values of all nodes at given combinations of the leaves."""
    columns = {i: [row[k] for row in rows] for k, i in enumerate(leaves)}
    # Lists that go together have the same number of steps.
    lists = [i for i in leaves if graph.nodes[i].is_list]
    for k in range(len(rows) if len(lists) > 1 else 0):
        steps = min(len(columns[i][k]) for i in lists)
        for i in lists:
            columns[i][k] = columns[i][k][:steps]
    return points.evaluate(graph, roots, columns, len(rows))


def witness(graph: Graph, root: int, valid: int | None) -> Witness:
    """Evaluates the reward `root` where `valid` holds (None: everywhere)."""
    roots = [root] if valid is None else [root, valid]
    leaves = leaves_of(graph, roots)
    domains = [leaf_domain(graph, i) for i in leaves]
    finite = [d for d in domains if d is not None]
    exact = len(finite) == len(domains) and math.prod(map(len, finite)) <= CORNERS
    rows = list(itertools.product(*finite)) if exact else _sample(graph, roots, leaves)
    values = at_rows(graph, roots, leaves, rows)
    if valid is not None:
        kept = [k for k, holds in enumerate(values[valid]) if holds]
        rows = [rows[k] for k in kept]
        values = {i: [column[k] for k in kept] for i, column in values.items()}
    if exact:
        # A comparison with NaN has no meaning; enumeration does not vouch for it.
        compared = {a for i in values if graph.nodes[i].op in _COMPARISONS
                    for a in graph.nodes[i].args}  # fmt: skip
        exact = not any(math.isnan(v) for i in compared for v in values[i])
    return Witness(leaves, rows, values, exact)
