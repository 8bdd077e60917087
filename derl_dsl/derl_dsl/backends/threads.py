"""Large batches on all cores: how many threads they are worth, and how they are cut.

Rows are independent of one another, groups aside, and blocks are cut where groups end: so the bits
are those of one thread, whoever computes a block. A thread wakes late and others may have its core:
parts are taken one after the other, long ones first, and whoever is not there takes none
(`team.py`). A thread is worth its waking from some tens of thousands of rows on, or some thousands
where rows have lists or groups.
"""

from __future__ import annotations

import os
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

_ROWS, _ROWS_OF_LISTS = 98_304, 8_192
_MOST = 0.9  # what of its share a thread has at once
_LEAST = 16  # the shortest part is such a share of what a thread would have
Part = tuple[int, int]


@lru_cache(maxsize=1)
def cores() -> int:
    """Threads that a batch may have: DERL_THREADS, else the cores this process may use."""
    given = os.environ.get("DERL_THREADS", "")
    if given.isdecimal() and int(given) > 0:
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads(rows: int, costly: bool) -> int:
    """How many threads a batch is worth; `costly` rows have lists or look at groups."""
    return max(1, min(cores(), rows // (_ROWS_OF_LISTS if costly else _ROWS)))


def executor(count: int, name: str) -> ThreadPoolExecutor:
    """So many threads of a name, started when they get work."""
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(count, thread_name_prefix=f"derl-dsl-{name}")


def cut(count: int, takers: int) -> list[Part]:
    """`count` things as runs of neighbours: most of each taker's share at once, the rest in turns.

    Where a part begins memory is waited for, so there are few.

    >>> cut(64, 2)
    [(0, 28), (28, 56), (56, 60), (60, 62), (62, 64)]
    """
    if takers == 1:
        return [(0, count)]
    most = max(1, int(_MOST * count / takers))
    ends = [min(count, k * most) for k in range(takers + 1)]
    least = max(1, count // (_LEAST * takers))
    while ends[-1] < count:
        left = count - ends[-1]
        ends.append(ends[-1] + min(left, max(least, left // takers)))
    return [(a, b) for a, b in pairwise(ends) if a < b]
