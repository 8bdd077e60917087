"""The search itself: rounds of independent tasks that start from what all have found so far."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from itertools import count
from multiprocessing import get_context
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derl_dsl.tools.search.archive import Archive, Entry, cell_of
from derl_dsl.tools.search.forest import Forest
from derl_dsl.tools.search.packing import Packer
from derl_dsl.tools.search.problem import Rollouts
from derl_dsl.tools.search.screen import Figures, Screen
from derl_dsl.tools.search.tried import LAST, Tried
from derl_dsl.tools.search.vary import Variation
from derl_dsl.tools.search.vocabulary import Feature
from derl_grammar.records import record

# Tasks of a round and programs of a task: fixed, so that the number of workers changes nothing.
ISLANDS = 8
TASK = 6250
# A task varies so many of the programs that were kept.
_PARENTS = 200
_FRESH, _CROSSED = 0.1, 0.2
_LITTER = 12
# A task that finds nothing new this often in a row has tried all there is.
_EXHAUSTED = 1000
# Scores that stay within a hundredth of what is possible would drown in rounding.
_NARROW = 0.01


@record
class Settings:
    """How long to search: `budget` programs, or `seconds`; programs of at most `size`."""

    budget: int | None
    seconds: float | None
    size: int
    seed: int
    workers: int


@record
class Task:
    """One island of one round: `parents` are what the rounds before have kept."""

    seed: str
    count: int
    parents: tuple[Entry, ...]


@record
class Done:
    """What a task kept; `codes` and `prints` are of all programs that it screened."""

    kept: tuple[Entry, ...]
    codes: NDArray[np.int64]
    prints: NDArray[np.uint64]
    finite: int


@record
class Searched:
    """All rounds: `screened` programs ran, `distinct` of them differ, as `rewards` scores do."""

    kept: tuple[Entry, ...]
    screened: int
    distinct: int
    rewards: int
    finite: int
    seconds: float


class Island:
    """What a process needs for its tasks: features and rollouts, bound once."""

    def __init__(
        self, features: Sequence[Feature], rollouts: Rollouts, size: int, tried: Tried | None = None
    ) -> None:
        self.tried = (tried or Tried()).bits
        self.features = features
        self.size = size
        self.screen = Screen(features, rollouts)

    def run(self, task: Task) -> Done:
        """Screen the programs of one task."""
        # Terms live until the task ends and have no cycles: looking for garbage takes a tenth.
        collects = gc.isenabled()
        gc.disable()
        try:
            return _Run(self, task).done()
        finally:
            if collects:
                gc.enable()


class _Run:
    """One task: proposes, screens in chunks, keeps."""

    def __init__(self, island: Island, task: Task) -> None:
        self.screen = island.screen
        self.tried = island.tried
        self.task = task
        self.packer = Packer()
        self.forest = Forest(island.features, island.size, self.packer)
        self.random = random.Random(task.seed)
        self.variation = Variation(self.forest, self.random)
        self.archive = Archive(task.parents)
        chosen = self.random.sample(task.parents, min(_PARENTS, len(task.parents)))
        self.pool = [self.forest.plant(e.tree) for e in chosen]
        self.size = island.size
        self.seen: set[int] = set(self.pool)
        self.codes: list[int] = []
        self.prints: list[NDArray[np.uint64]] = []
        self.finite = 0
        self.turns, self.parent = 0, -1

    def done(self) -> Done:
        while len(self.codes) < self.task.count:
            wanted = min(self.screen.chunk, self.task.count - len(self.codes))
            terms = self._proposed(wanted)
            if not terms:
                break
            # One program with a row of output for each term: what terms share is computed once.
            program = self.packer.pack(self.forest.lower(terms)[1])
            self._judge(terms, self.screen.figures(program))
        prints = np.concatenate([np.zeros(0, np.uint64), *self.prints])
        codes = np.array(self.codes, dtype=np.int64)
        return Done(tuple(self.archive.entries), codes, prints, self.finite)

    def _proposed(self, count: int) -> list[int]:
        """New terms, none of them seen in this task or a round before."""
        found: list[int] = []
        known, tried = self.forest.terms, self.tried
        failed = 0
        while len(found) < count and failed < _EXHAUSTED:
            term = self._one()
            if term is None or term in self.seen:
                failed += 1
                continue
            self.seen.add(term)
            code = known[term].code
            if tried[(code & LAST) >> 3] >> (code & 7) & 1:
                failed += 1
                continue
            failed = 0
            self.codes.append(code)
            found.append(term)
        return found

    def _one(self) -> int | None:
        draw = self.random.random()
        if draw < _FRESH or len(self.pool) < 2:
            size = 2 + int(self.random.random() * self.size * 0.7)
            term = self.variation.fresh("N", size)
        elif draw < _CROSSED:
            term = self.variation.crossed(self._parent(), self._any())
        else:
            term = self.variation.mutated(self._parent())
        return None if term is None else self.variation.as_number(term)

    def _parent(self) -> int:
        """A program of the archive; the same a few times in a row, so that siblings share work."""
        self.turns -= 1
        if self.turns < 0:
            self.turns = _LITTER
            self.parent = self._any()
        return self.parent

    def _any(self) -> int:
        return self.pool[int(self.random.random() * len(self.pool))]

    def _judge(self, terms: Sequence[int], figures: Figures) -> None:
        """Put what is good into the archive, and what got in among the parents."""
        known = self.forest.terms
        self.prints.append(figures.prints)
        self.finite += int(figures.finite.sum())
        spans = np.array([known[t].span[1] - known[t].span[0] for t in terms])
        wide = figures.finite & (figures.width > _NARROW * spans)
        orders, signals = figures.order.tolist(), figures.signal.tolist()
        prints = figures.prints.tolist()
        for k in np.flatnonzero(wide).tolist():
            term, order = terms[k], orders[k]
            if order < 0.5:
                # Against the order is in order with a minus.
                order = 1 - order
                turned = self.forest.turned(term)
                if turned is None:
                    continue
                term = turned
            at = known[term]
            cell = cell_of(at.size, signals[k])
            if order > self.archive.least(cell):
                self._offer(term, order, signals[k], prints[k])

    def _offer(self, term: int, order: float, signal: float, print_: int) -> None:
        at = self.forest.terms[term]
        # Most fail here, before a tree is made of them.
        if self.archive.has_better(print_, at.size, (-order, -signal, at.size, at.code)):
            return
        entry = Entry(order, signal, at.size, print_, at.code, self.forest.tree(term))
        if self.archive.offer(entry):
            self.pool.append(term)


_island: Island | None = None


def _start(features: Sequence[Feature], rollouts: Rollouts, size: int, shared: Any) -> None:
    global _island  # one for each worker process
    _island = Island(features, rollouts, size, Tried(shared))


def _work(task: Task) -> Done:
    assert _island is not None
    return _island.run(task)


@contextmanager
def _runner(
    features: Sequence[Feature], rollouts: Rollouts, settings: Settings, tried: Tried
) -> Iterator[Callable[[Sequence[Task]], Iterable[Done]]]:
    """What runs the tasks of a round, results in order: here, or in worker processes."""
    # A process takes about as long to start as a task to run.
    tasks = ISLANDS if settings.budget is None else settings.budget // (2 * TASK)
    workers = min(settings.workers, ISLANDS, max(1, tasks))
    if workers == 1:
        island = Island(features, rollouts, settings.size, tried)
        yield lambda tasks: map(island.run, tasks)
        return
    arguments = (features, rollouts, settings.size, tried.shared)
    with ProcessPoolExecutor(workers, get_context("spawn"), _start, arguments) as pool:
        try:
            yield lambda tasks: pool.map(_work, tasks)
        finally:
            pool.shutdown(cancel_futures=True)


def explore(
    features: Sequence[Feature],
    rollouts: Rollouts,
    settings: Settings,
    told: Callable[[int], None] = lambda screened: None,
) -> Searched:
    """Search: rounds of tasks, each round from what all before it have kept.

    The same seed and budget give the same result with any number of workers. `told` hears how many
    programs each task has screened.
    """
    began = monotonic()
    kept: tuple[Entry, ...] = ()
    codes: list[NDArray[np.int64]] = []
    prints: list[NDArray[np.uint64]] = []
    screened, finite = 0, 0
    tried = Tried()
    with _runner(features, rollouts, settings, tried) as run:
        for number in count():
            tasks = _tasks(number, settings, screened, monotonic() - began, kept)
            archive = Archive(kept)
            before = screened
            wanted = before + sum(task.count for task in tasks)
            for done in run(tasks):
                for entry in done.kept:
                    archive.offer(entry)
                codes.append(done.codes)
                prints.append(done.prints)
                screened += len(done.codes)
                finite += done.finite
                told(len(done.codes))
            # Only between rounds, so that all tasks of a round know the same.
            tried.add(np.concatenate(codes[-max(1, len(tasks)) :] or [np.zeros(0, np.int64)]))
            learned, kept = kept != tuple(archive.entries), tuple(archive.entries)
            # The end of the budget, or of what there is to try.
            if screened == before or (screened < wanted and not learned):
                break
    distinct = len(np.unique(np.concatenate(codes))) if codes else 0
    rewards = len(np.unique(np.concatenate(prints))) if prints else 0
    return Searched(kept, screened, distinct, rewards, finite, monotonic() - began)


def _tasks(
    number: int, settings: Settings, screened: int, seconds: float, parents: tuple[Entry, ...]
) -> list[Task]:
    """The tasks of a round; none when the budget is used up, or the time after the first."""
    left = ISLANDS * TASK
    if settings.budget is not None:
        left = min(left, settings.budget - screened)
    if number and settings.seconds is not None and seconds >= settings.seconds:
        left = 0
    counts = [left // ISLANDS + (k < left % ISLANDS) for k in range(ISLANDS)]
    return [Task(f"{settings.seed} {number} {k}", n, parents) for k, n in enumerate(counts) if n]
