"""diff: whether two rewards rank the rollouts of every group alike.

Ranking is what group-normalised training reads. Equal keys train alike (`derl_dsl.key`); over
finite inputs the order is compared on all of them; otherwise random groups are searched for one
that the two rank differently, directed at the constants that the programs compare with. What is
found is cut down to as few rollouts and differing inputs as still show it. What is neither proven
nor refuted is said to be undecided.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from derl_dsl.backends.kernel import Ragged
from derl_dsl.backends.pack import Key, key_of
from derl_dsl.backends.vm import Session
from derl_dsl.graph.ir import Graph
from derl_dsl.graph.leaves import domain, source_range
from derl_dsl.score.reward import Reward
from derl_grammar.records import record
from derl_runtime.sources import Column

Array = NDArray[np.float64]
Verdict = Literal["same", "same order", "different", "undecided"]

_TABLE = 4096
_SIZES = (2, 3, 4, 8)
_ROUNDS, _ROWS = 6, 4096
_STEPS = 4
# Values closer than this share of the spread are a tie: rounding is no ranking.
_TIE = 1e-12
# Of a table of all values, this share of the largest: a group may hold two near ones alone.
_NOISE = 4e-15


@record
class Leaf:
    """An input of either program: its key, its name, and what values it takes."""

    key: Key
    name: str
    values: tuple[float, ...] | None
    lo: float
    hi: float
    is_list: bool
    near: tuple[float, ...]
    shared: bool


@record
class Group:
    """A group that the rewards rank differently: its rollouts' inputs, both rewards' values."""

    rollouts: tuple[Mapping[str, Any], ...]
    a: tuple[float, ...]
    b: tuple[float, ...]
    first: int
    second: int


@record
class Difference:
    """What was found, and `how`: by "key", "table" or "search" over so many `groups`."""

    verdict: Verdict
    how: str
    group: Group | None = None
    groups: int = 0


def diff(a: Reward, b: Reward, seed: int = 0) -> Difference:
    """Compare the rankings of two rewards.

    >>> from derl_dsl import compile
    >>> columns = {"ok": "bool", "n": "number[0, 10]"}
    >>> make = lambda text: compile(text, columns=columns)
    >>> diff(make("ok"), make("2 * ok - 1")).verdict
    'same'
    >>> diff(make("ok - 0.01 * n"), make("ok + 0.01 * n")).group.b
    (0.0, 0.01)
    """
    if a.key == b.key:
        return Difference("same", "key")
    leaves = _leaves(a, b)
    pair = _Pair(a, b, leaves)
    single = all(leaf.values is not None and not leaf.is_list for leaf in leaves)
    if not (a.uses_groups or b.uses_groups) and single:
        size = math.prod(len(leaf.values or ()) for leaf in leaves)
        if size <= _TABLE:
            return _by_table(pair, size)
    return _by_search(pair, np.random.default_rng(seed))


def _leaves(a: Reward, b: Reward) -> list[Leaf]:
    found: dict[Key, Leaf] = {}
    constants = sorted({*_constants(a.graph), *_constants(b.graph)})
    for reward in (a, b):
        graph = reward.graph
        for i in graph.inputs(_roots(graph)):
            node = graph.nodes[i]
            key = key_of(node)
            if key in found:
                continue
            source = graph.source(i)
            if node.op == "valid":
                found[key] = Leaf(key, f"{source} is there", (0.0, 1.0), 0, 1, False, (), False)
                continue
            lo, hi, _ = source_range(graph, i)
            values = (0.0, 1.0) if node.is_bool else domain(source)
            steps = {c + d for c in constants for d in (-1.0, -1e-3, 0.0, 1e-3, 1.0)}
            near = tuple(v for v in (*sorted(steps), 0.0, 1.0, lo, hi) if lo <= v <= hi)
            whole = _whole(values, lo, hi, source)
            near = tuple(dict.fromkeys(float(round(v)) if whole else v for v in near))
            near = tuple(v for v in near if lo <= v <= hi)
            shared = isinstance(source, Column) and source.name == "progress"
            found[key] = Leaf(key, str(source), values, lo, hi, node.is_list, near, shared)
    return list(found.values())


def _whole(values: tuple[float, ...] | None, lo: float, hi: float, source: Any) -> bool:
    """Whether an input counts: primitives with a wide range and whole ends are lengths, counts."""
    return values is None and not isinstance(source, Column) and hi - lo >= 1000


def _constants(graph: Graph) -> set[float]:
    used = graph.used(_roots(graph))
    found = {n.payload for n in (graph.nodes[i] for i in used) if isinstance(n.payload, float)}
    return {c for c in found if math.isfinite(c)}


def _roots(graph: Graph) -> list[int]:
    return [n["reward"] for n in (graph.outputs, graph.valids) if "reward" in n]


class _Pair:
    """Both rewards on the same inputs."""

    def __init__(self, a: Reward, b: Reward, leaves: Sequence[Leaf]) -> None:
        self.leaves = leaves
        self.programs = [a.kernels.program, b.kernels.program]
        self.together = {k for r in (a, b) for m in r.kernels.together for k in m}

    def score(self, columns: Mapping[Key, Any], rows: int, size: int | None) -> tuple[Array, Array]:
        """The two rewards, (B,) each; NaN where one does not apply."""
        data = {k: _ragged(v) if isinstance(v, list) else v for k, v in columns.items()}
        offsets = np.arange(rows + 1) if size is None else np.arange(0, rows + 1, size)
        found = Session(data, rows, offsets).run(self.programs)
        return found[0], found[1]

    def draw(self, rng: np.random.Generator, rows: int, size: int) -> dict[Key, Any]:
        """Random inputs; a rollout of a group often differs from the first in few of them."""
        steps = rng.integers(0, _STEPS + 1, rows)
        columns: dict[Key, Any] = {}
        alike = rng.random((rows, len(self.leaves))) < rng.choice([0.2, 0.5, 0.8], (rows, 1))
        first = np.arange(rows) // size * size
        for k, leaf in enumerate(self.leaves):
            if leaf.is_list:
                count = steps if leaf.key in self.together else rng.integers(0, _STEPS + 1, rows)
                columns[leaf.key] = [_values(leaf, rng, int(n)) for n in count]
                continue
            values = _values(leaf, rng, rows)
            columns[leaf.key] = np.where(alike[:, k] | leaf.shared, values[first], values)
        return columns


def _values(leaf: Leaf, rng: np.random.Generator, count: int) -> Array:
    if leaf.values is not None:
        return rng.choice(np.array(leaf.values), count)
    lo, hi = max(leaf.lo, -1e9), min(leaf.hi, 1e9)
    spread = rng.uniform(lo, hi, count)
    if hi - lo > 1000:  # a length is seldom near its largest
        spread = np.clip(lo + np.exp(rng.uniform(0, math.log(hi - lo), count)), lo, hi)
    spread = np.round(spread) if _counts(leaf) else spread
    near = np.array(leaf.near or (lo, hi))
    return np.where(rng.random(count) < 0.5, rng.choice(near, count), spread)


def _counts(leaf: Leaf) -> bool:
    return leaf.hi - leaf.lo >= 1000 and all(float(v).is_integer() for v in leaf.near)


def _ragged(lists: list[Array]) -> Ragged:
    offsets = np.concatenate([[0], np.cumsum([len(v) for v in lists])]).astype(np.int64)
    return Ragged(np.concatenate([*lists, np.empty(0)]), offsets)


def _by_table(pair: _Pair, size: int) -> Difference:
    """Proof or refutation over all combinations of finitely many inputs."""
    combinations = list(itertools.product(*(leaf.values or () for leaf in pair.leaves)))
    columns = {
        leaf.key: np.array([row[k] for row in combinations]) for k, leaf in enumerate(pair.leaves)
    }
    a, b = pair.score(columns, size, None)
    found = _out_of_order(a, b, whole=True)
    if found is None:
        return Difference("same order", "table", groups=size * (size - 1) // 2)
    rows = {key: values[list(found)] for key, values in columns.items()}
    return Difference("different", "table", _smallest(pair, rows, 2))


def _out_of_order(a: Array, b: Array, whole: bool = False) -> tuple[int, int] | None:
    """Two rows that the columns rank differently; rows that apply to one alone count as ranked.

    `whole`: the rows are all that there can be, and groups are some of them.
    """
    absent = np.isnan(a) != np.isnan(b)
    if absent.any():
        k = int(np.flatnonzero(absent)[0])
        others = np.flatnonzero(~(np.isnan(a) & np.isnan(b)))
        return (k, int(next(j for j in others if j != k))) if len(others) > 1 else None
    known = np.flatnonzero(~np.isnan(a))
    if len(known) < 2:
        return None
    a, b = _levels(a[known], whole), _levels(b[known], whole)
    order = np.lexsort((b, a))
    rise_a, rise_b = np.diff(a[order]), np.diff(b[order])
    wrong = np.flatnonzero((rise_a > 0) != (rise_b > 0))
    # Neighbours in A's order suffice: a function that rises at each step rises everywhere.
    if not len(wrong):
        return None
    k = int(wrong[0])
    return int(known[order[k]]), int(known[order[k + 1]])


def _levels(values: Array, whole: bool) -> Array:
    """Ranks, in which what differs by rounding alone is one."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    spread = max(float(ordered[-1] - ordered[0]), abs(float(ordered[0])) * 1e-3)
    tie = _NOISE * float(np.abs(ordered).max()) if whole else _TIE * spread
    steps = np.concatenate([[0], np.cumsum(np.diff(ordered) > tie)])
    levels = np.empty(len(values))
    levels[order] = steps
    return levels


def _by_search(pair: _Pair, rng: np.random.Generator) -> Difference:
    compared = 0
    for _ in range(_ROUNDS):
        for size in _SIZES:
            rows = _ROWS // size * size
            columns = pair.draw(rng, rows, size)
            a, b = pair.score(columns, rows, size)
            for at in _suspects(a, b, size):
                chosen = slice(at, at + size)
                if _out_of_order(a[chosen], b[chosen]) is not None:
                    group = {k: v[chosen] for k, v in columns.items()}
                    return Difference("different", "search", _smallest(pair, group, size))
            compared += rows // size
    return Difference("undecided", "search", groups=compared)


def _suspects(a: Array, b: Array, size: int) -> list[int]:
    """Where groups start in which some pair may be ranked differently."""
    x, y = a.reshape(-1, size), b.reshape(-1, size)
    before = np.sign(x[:, :, None] - x[:, None, :])
    after = np.sign(y[:, :, None] - y[:, None, :])
    differ = (before != after) & ~(np.isnan(before) & np.isnan(after))
    return [int(k) * size for k in np.flatnonzero(differ.any(axis=(1, 2)))]


def _smallest(pair: _Pair, group: Mapping[Key, Any], size: int) -> Group:
    """The group with as few rollouts and differing inputs as still rank differently."""

    def shows(rows: Mapping[Key, Any], count: int) -> bool:
        a, b = pair.score(rows, count, count)
        return _out_of_order(a, b) is not None

    rows = {k: list(v) for k, v in group.items()}
    shrunk = True
    while shrunk and size > 2:
        shrunk = False
        for k in range(size):
            fewer = {key: v[:k] + v[k + 1 :] for key, v in rows.items()}
            if shows(_columns(fewer), size - 1):
                rows, size, shrunk = fewer, size - 1, True
                break
    # Lists that are read step by step together keep one length.
    bound = [leaf for leaf in pair.leaves if leaf.is_list and leaf.key in pair.together]
    for leaves in (bound, *([leaf] for leaf in pair.leaves if leaf not in bound)):
        options = [{leaf.key: [rows[leaf.key][k]] * size for leaf in leaves} for k in range(size)]
        for leaf in leaves:
            if not leaf.is_list:
                simple = (0.0, 1.0, leaf.lo) if leaf.values is None else leaf.values
                options += [{leaf.key: [v] * size} for v in simple if leaf.lo <= v <= leaf.hi]
        for option in options:
            if shows(_columns({**rows, **option}), size):
                rows = {**rows, **option}
                break
    for leaf, k in itertools.product(pair.leaves, range(size)):
        value = rows[leaf.key][k]
        if leaf.is_list or leaf.shared or leaf.values is not None:
            continue
        choices = {
            *leaf.near,
            *(10.0**k for k in range(7)),
            *(float(f"{value:.{k}g}") for k in (1, 2)),
        }
        for nearer in sorted(choices, key=lambda v: (len(f"{v:g}"), abs(v))):
            column = [*rows[leaf.key][:k], nearer, *rows[leaf.key][k + 1 :]]
            tried = {**rows, leaf.key: column}
            within = leaf.lo <= nearer <= leaf.hi and abs(nearer) <= abs(value)
            if within and shows(_columns(tried), size):
                rows = tried
                break
    a, b = pair.score(_columns(rows), size, size)
    found = _out_of_order(a, b)
    assert found is not None
    rollouts = tuple(
        {leaf.name: _plain(rows[leaf.key][k]) for leaf in pair.leaves} for k in range(size)
    )
    return Group(rollouts, tuple(a.tolist()), tuple(b.tolist()), *sorted(found))


def _columns(rows: Mapping[Key, list[Any]]) -> dict[Key, Any]:
    return {
        k: v if v and isinstance(v[0], np.ndarray) else np.array(v, dtype=np.float64)
        for k, v in rows.items()
    }


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else float(value)


@record
class OnData:
    """Two rewards on logged groups: how many are ranked differently, how many advantages change
    sign under TRL's normalisation, and the parts of one name that differ (share of rows). Groups of
    one rollout (`alone`) are ranked alike by any rewards."""

    groups: int
    alone: int
    reordered: int
    rollouts: int
    flipped: int
    rows: tuple[int, ...]
    parts: Mapping[str, float]


def on_data(
    a: Array, b: Array, groups: NDArray[np.int64], parts: Mapping[str, tuple[Array, Array]]
) -> OnData:
    """Compare (B,) rewards of logged rollouts; `groups` numbers their groups from 0."""
    reordered: list[int] = []
    flipped = 0
    count = int(groups.max(initial=-1)) + 1
    members = _members(groups) if count else []
    for g, rows in enumerate(members):
        if _out_of_order(a[rows], b[rows]) is not None:
            reordered.append(g)
        flipped += int((_sign(a[rows]) * _sign(b[rows]) < 0).sum())
    first = [int(members[g][0]) for g in reordered[:5]]
    differ = {
        name: float(np.mean(~((x == y) | (np.isnan(x) & np.isnan(y)))))
        for name, (x, y) in parts.items()
    }
    kept = {name: share for name, share in differ.items() if share}
    alone = sum(len(rows) == 1 for rows in members)
    return OnData(count, alone, len(reordered), len(a), flipped, tuple(first), kept)


def _members(groups: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    order = np.argsort(groups, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)


def _sign(values: Array) -> Array:
    """The sign of each advantage, as TRL normalises a group: 0 within rounding of the mean."""
    known = values[~np.isnan(values)]
    if len(known) == 0:
        return np.zeros(len(values))
    advantage = (values - known.mean()) / (known.std(ddof=1 if len(known) > 1 else 0) + 1e-4)
    return np.where(np.isnan(advantage) | (np.abs(advantage) < 1e-9), 0.0, np.sign(advantage))
