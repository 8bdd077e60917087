"""The figures of a run against those of its first steps: when they call for an alarm.

The first `warm` steps say what is usual and how far it varies. After them the mean over a window of
steps is compared with it; what stays beyond its threshold for `patience` steps is an alarm, told
once until it has passed for two windows. Thresholds are two at once: as far as chance does not go
(so many standard errors), and as far as it matters.

Reward without outcome is the one that has no fixed beginning: a policy may find the hole late,
after it has honestly improved. So what is watched is the reward above what the share of right
answers explains (in units of what being right is worth at first), less that share; a rise of it
from any earlier window is reward that right answers did not earn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from derl_dsl.tools.watch.alarms import Alarm
from derl_dsl.tools.watch.figures import Step
from derl_grammar.records import record

_NAN = float("nan")
# Above this share of right answers, flat groups are what success looks like.
_SOLVED = 0.85


@record
class Reading:
    """What one check found: whether it is beyond its threshold, the figures, since when."""

    beyond: bool
    figure: float = _NAN
    usual: float = _NAN
    of: str = ""
    since: int | None = None


@dataclass(slots=True)
class _Streak:
    beyond: int = 0
    quiet: int = 0
    began: int = 0
    told: bool = False


@dataclass
class Watcher:
    """Takes the figures of one step after the other; `spread` is the reward's proven range, by
    which its rise is judged where no right answer was seen at first."""

    spread: float = 1.0
    warm: int = 8
    window: int = 5
    patience: int = 3
    errors: float = 5.0
    seen: list[Step] = field(default_factory=list)
    alarms: list[Alarm] = field(default_factory=list)
    _streaks: dict[str, _Streak] = field(default_factory=dict)

    def add(self, step: Step) -> list[Alarm]:
        """The alarms that this step raises."""
        self.seen.append(step)
        if len(self.seen) < self.warm + self.window:
            return []
        found = []
        for kind, check in _CHECKS.items():
            alarm = self._heard(kind, step, check(self))
            found += [] if alarm is None else [alarm]
        self.alarms += found
        return found

    def _heard(self, kind: str, step: Step, reading: Reading) -> Alarm | None:
        streak = self._streaks.setdefault(kind, _Streak())
        if not reading.beyond:
            streak.beyond, streak.quiet = 0, streak.quiet + 1
            streak.told = streak.told and streak.quiet < 2 * self.window
            return None
        streak.quiet = 0
        if streak.beyond == 0:
            streak.began = self.seen[max(0, len(self.seen) - self.window)].step
        streak.beyond += 1
        if streak.told or streak.beyond < self.patience:
            return None
        streak.told = True
        since = streak.began if reading.since is None else reading.since
        return Alarm(kind, step.step, since, reading.figure, reading.usual, reading.of)

    # What the checks read

    def first(self, values: Sequence[float]) -> tuple[float, float]:
        """Mean of a figure over the first steps, and the standard error of a window's mean."""
        known = np.array([v for v in values[: self.warm] if not math.isnan(v)])
        if len(known) < 3:
            return _NAN, _NAN
        return float(known.mean()), float(known.std(ddof=1)) / math.sqrt(self.window)

    def last(self, values: Sequence[float]) -> float:
        """Mean of a figure over the last window."""
        known = [v for v in values[-self.window :] if not math.isnan(v)]
        return float(np.mean(known)) if known else _NAN

    def column(self, name: str) -> list[float]:
        """A figure of every step so far."""
        return [getattr(step, name) for step in self.seen]

    @property
    def solved(self) -> bool:
        """Whether nearly all answers are right."""
        return self.last(self.column("right")) > _SOLVED

    @property
    def better(self) -> bool:
        """Whether more answers are right over three windows than in the first steps; False if
        nobody knows."""
        right = np.array(self.column("right"))
        first, last = right[: self.warm], right[self.warm :][-3 * self.window :]
        if np.isnan(right).any() or len(last) < self.window:
            return False
        return bool(last.mean() > first.mean())


def _unearned(watch: Watcher) -> Reading:
    paid = unexplained(watch)
    if paid is None:
        return Reading(False)
    above = [p - step.right for p, step in zip(paid, watch.seen, strict=True)]
    means = np.convolve(above, np.ones(watch.window) / watch.window, "valid")
    last, earlier = means[-1], means[: len(means) - watch.window]
    if not len(earlier):
        return Reading(False)
    low = int(earlier.argmin())
    _, error = watch.first(above)
    rise = last - earlier[low]
    reward = watch.column("reward")
    before = float(np.nanmean(reward[low : low + watch.window]))
    pays_more = watch.last(reward) - before > 0.1 * _worth(watch)
    beyond = rise > max(0.25, watch.errors * math.sqrt(2) * error) and pays_more
    # It began where the rise left a tenth of itself behind for good.
    left = np.flatnonzero(np.array(means[low:]) <= earlier[low] + 0.1 * rise)
    since = watch.seen[min(len(watch.seen) - 1, low + int(left[-1]) + watch.window // 2 + 1)].step
    return Reading(beyond, watch.last(reward), before, since=since)


def unexplained(watch: Watcher) -> list[float] | None:
    """At each step the reward above what its right answers explain, in units of their worth at
    first; None where no outcome is known."""
    if all(math.isnan(step.right) for step in watch.seen[: watch.warm]):
        return None
    worth = _worth(watch)
    wrong = _mean([s.paid_wrong for s in watch.seen[: watch.warm]])
    base = watch.seen[0].reward if math.isnan(wrong) else wrong
    return [(s.reward - base) / worth - s.right for s in watch.seen]


def _worth(watch: Watcher) -> float:
    """What being right was worth in the first steps, of the same kind of rollout; the proven range
    where there is no telling."""
    first = watch.seen[: watch.warm]
    worth = _mean([s.paid_right for s in first]) - _mean([s.paid_wrong for s in first])
    return worth if worth > 1e-9 else max(watch.spread, 1e-9)


def _mean(values: Sequence[float]) -> float:
    known = [v for v in values if not math.isnan(v)]
    return float(np.mean(known)) if known else _NAN


def _dominates(watch: Watcher) -> Reading:
    right = watch.last(watch.column("carried_right"))
    if watch.solved or right > 0.25:
        return Reading(False)
    for name in watch.seen[-1].carried:
        shares = [s.carried.get(name, _NAN) for s in watch.seen]
        last, (usual, error) = watch.last(shares), watch.first(shares)
        if last > 0.8 and usual < 0.6 and last - usual > watch.errors * error:
            return Reading(True, last, usual, name)
    return Reading(False)


def _length(watch: Watcher) -> Reading:
    lengths = watch.column("length")
    last, (usual, error) = watch.last(lengths), watch.first(lengths)
    if not usual > 0 or math.isnan(last):
        return Reading(False)
    far = last > 1.5 * usual or last < usual / 1.5
    beyond = far and abs(last - usual) > watch.errors * error and not watch.better
    return Reading(beyond, last, usual)


def _flat(watch: Watcher) -> Reading:
    dead = watch.column("dead")
    last, (usual, error) = watch.last(dead), watch.first(dead)
    beyond = last > 0.9 and usual < 0.7 and last - usual > watch.errors * error
    return Reading(beyond and not watch.solved, last, usual)


def _collapse(watch: Watcher) -> Reading:
    spreads = watch.column("spread")
    last, (usual, error) = watch.last(spreads), watch.first(spreads)
    beyond = usual > 0 and last < 0.2 * usual and usual - last > watch.errors * error
    return Reading(beyond and not watch.solved, last, usual)


def _faults(watch: Watcher) -> Reading:
    failed = watch.column("failed")
    last, (usual, error) = watch.last(failed), watch.first(failed)
    rows = watch.seen[-1].rollouts * watch.window
    chance = math.sqrt(max(usual, 1 / rows) / rows)
    beyond = last - usual > max(0.02, watch.errors * max(error, chance))
    return Reading(beyond, last, usual)


_CHECKS = {
    "reward without outcome": _unearned,
    "one part dominates": _dominates,
    "length drifts": _length,
    "groups go flat": _flat,
    "variance collapses": _collapse,
    "faults rise": _faults,
}
