"""Large batches on all cores: how a batch is cut, and the pool whose threads take what is left.

Rows are independent of one another, groups aside, and blocks are cut where groups end: so the bits
are those of one thread, whoever computes a block. A thread wakes late and others may have its core:
parts are taken one after the other, long ones first. A thread is worth its waking from some tens of
thousands of rows on, or some thousands where rows have lists or groups.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

_ROWS, _ROWS_OF_LISTS = 98_304, 8_192
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


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return executor(max(1, cores() - 1), "rows")


def executor(count: int, name: str) -> ThreadPoolExecutor:
    """So many threads of a name, started when they get work."""
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(count, thread_name_prefix=f"derl-dsl-{name}")


def together(work: Sequence[Callable[[Iterator[Part]], object]], parts: list[Part]) -> list[object]:
    """What each returns that takes parts until none is left: one here, the others in threads."""
    left = iter(parts)
    others = [_pool().submit(one, left) for one in work[1:]]
    mine = work[0](left)
    # One that has not begun by now would find nothing to do.
    return [mine, *(other.result() for other in others if not other.cancel())]


def cut(count: int, takers: int) -> list[Part]:
    """`count` things as runs of neighbours, each an equal share of what is left by then.

    >>> cut(16, 2)
    [(0, 8), (8, 12), (12, 14), (14, 15), (15, 16)]
    """
    if takers == 1:
        return [(0, count)]
    least = max(1, count // (_LEAST * takers))
    ends = [0]
    while ends[-1] < count:
        left = count - ends[-1]
        ends.append(ends[-1] + min(left, max(least, left // takers)))
    return list(pairwise(ends))


if hasattr(os, "register_at_fork"):
    # A forked process has the pool but none of its threads.
    os.register_at_fork(after_in_child=_pool.cache_clear)
