"""Large batches on all cores: how many threads a batch is cut for, and the pool that runs them.

Rows are independent of one another, groups aside, and blocks are cut where groups end: so each
thread has a run of blocks of its own, and the bits are those of one thread. A thread is worth its
waking from some tens of thousands of rows on, or some thousands where rows have lists or groups.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise

_ROWS, _ROWS_OF_LISTS = 98_304, 8_192


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


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, cores() - 1), thread_name_prefix="derl-dsl-rows")


def together(work: Sequence[Callable[[], object]]) -> list[object]:
    """The results of all, one computed here and the others in threads."""
    if len(work) == 1:
        return [work[0]()]
    others = [_pool().submit(one) for one in work[1:]]
    return [work[0](), *(other.result() for other in others)]


def shares(count: int, parts: int) -> list[tuple[int, int]]:
    """`count` things in as many runs of neighbours, none of them empty."""
    parts = max(1, min(parts, count))
    ends = [count * k // parts for k in range(parts + 1)]
    return list(pairwise(ends))


if hasattr(os, "register_at_fork"):
    # A forked process has the pool but none of its threads.
    os.register_at_fork(after_in_child=_pool.cache_clear)
