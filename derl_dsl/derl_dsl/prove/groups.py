"""Group functions of sampled rollouts: a counterexample is a group that there can be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import cycle
from typing import Any

from derl_dsl.graph.ir import Graph, Payload
from derl_dsl.graph.ops import GROUP
from derl_dsl.prove.witness import at_rows, leaves_behind, sampled

# Rollouts of the sampled groups, over and over: the statistics of one can be anything.
_SIZES = (1, 2, 5)


def sampled_groups(
    graph: Graph, root: int, valid: int | None, leaves: Sequence[int]
) -> list[tuple[Any, ...]]:
    """Rows of `leaves` where `valid` holds, with the group functions of sampled groups."""
    roots = [root] if valid is None else [root, valid]
    known = leaves_behind(graph, roots)
    rows = sampled(graph, known)
    if not rows:
        return []
    for i in graph.used(roots):
        op, args, payload, _, _ = graph.nodes[i]
        if op in GROUP:
            found = at_rows(graph, args, known, rows)
            member, of = found[args[-1]], found[args[0]]
            column: list[float] = []
            for size in cycle(_SIZES):
                group = slice(len(column), len(column) + size)
                column += _values(op, payload, of[group], member[group])
                if len(column) == len(rows):
                    break
            known = [*known, i]
            rows = [(*row, value) for row, value in zip(rows, column, strict=True)]
    places = [known.index(i) for i in leaves]
    holds = [True] * len(rows) if valid is None else at_rows(graph, [valid], known, rows)[valid]
    return [tuple(row[k] for k in places) for row, fine in zip(rows, holds, strict=True) if fine]


def _values(op: str, payload: Payload, of: list[float], member: list[bool]) -> list[float]:
    """A group function for each rollout of one group."""
    seen = [x for x, counts in zip(of, member, strict=True) if counts]
    if op == "group_size":
        return [float(sum(map(bool, member)))] * len(member)
    if any(math.isnan(x) for x in seen):
        return [math.nan] * len(of)
    if op == "group_rank":
        return [_rank(x, seen, bool(counts)) for x, counts in zip(of, member, strict=True)]
    if not seen:
        return [math.nan] * len(of)
    return [_statistic(op, payload, seen)] * len(of)


def _rank(x: float, seen: list[float], counts: bool) -> float:
    others = len(seen) - counts
    if not others:
        return 0.5
    return (sum(y < x for y in seen) + 0.5 * (sum(y == x for y in seen) - counts)) / others


def _statistic(op: str, payload: Payload, seen: list[float]) -> float:
    match op:
        case "group_min":
            return min(seen)
        case "group_max":
            return max(seen)
        case "group_mean":
            return _mean(seen)
        case "group_std":
            apart = [x - seen[0] for x in seen]
            middle = _mean(apart)
            found = math.sqrt(_mean([(x - middle) * (x - middle) for x in apart]))
            return min(found, (max(seen) - min(seen)) / 2)
    assert op == "group_quantile"
    assert isinstance(payload, tuple)
    place, ordered = payload[0] * (len(seen) - 1), sorted(seen)
    low = math.floor(place)
    high = min(low + 1, len(seen) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def _mean(values: list[float]) -> float:
    return min(max(sum(values) / len(values), min(values)), max(values))
