"""The reward of an inner run as TRL sees it: timed, and what cannot be trained on is named."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from derl_dsl.graph.shared import shared_nodes
from derl_runtime.faults import words_of

_EMPTY_BATCHES = 3
_LARGEST = 3.4028234e38  # of float32
_WIDE = 100  # times what a batch spans: a proven range so wide hides what rewards differ by
_ROUNDING = 1e-12  # differences that float64 alone makes, beside the way to the nearer end

Reward = Callable[..., Sequence[float | None]]


class RewardFault(RuntimeError):
    """A reward that cannot be trained on: it raised, or it scored no completion of a batch."""


class Diverged(RuntimeError):
    """A training that came to no policy: its weights are no numbers any more."""


def unit_of(reward: Reward) -> tuple[float, float] | None:
    """The least value of a reward and the spread above it, as proven; None where none is proven.

    TRL takes float32 and divides by the group's deviation + 1e-4. Scaled to spread 1, `a * R + b`
    is the same to it for every a > 0 and b, up to rounding.
    """
    certificate = getattr(reward, "certificate", None)
    if certificate is None or certificate.constant:
        return None
    lo, spread = certificate.lo, certificate.hi - certificate.lo
    return (lo, spread) if math.isfinite(lo) and 0 < spread < math.inf else None


def shares(reward: Reward) -> bool:
    """Whether a reward has a part with one value for a whole group, as `group_mean(g2)` has."""
    graph = getattr(reward, "graph", None)
    if graph is None:
        return False
    found = shared_nodes(graph, graph.outputs["reward"])
    return any(graph.inputs([i]) for i in found)


def narrowed(
    unit: tuple[float, float], least: float, most: float, wide: float = _WIDE
) -> tuple[float, float]:
    """What a batch is scaled by whose scores lie from `least` to `most`, `unit` being proven.

    Its own span where the proven one is far wider, as that of a length, of `exp(x)` or `1 / x` is:
    under the 1e-4, and past the digits of float32, all its scores would be one. Differences that
    rounding makes are not drawn apart.

    >>> narrowed((-1e6, 1e6 + 1), 0.97, 0.99), narrowed((0.0, 2.0), 0.97, 0.99)
    ((0.97, 0.02...), (0.0, 2.0))
    """
    lo, spread = unit
    width = most - least
    # Rounding can put the end of what is proven below the score that reaches it.
    noise = _ROUNDING * max(0.0, min(most - lo, lo + spread - least))
    return (least, width) if noise < width < spread / wide else unit


def _of_all(own: list[Any]) -> tuple[list[Any], int]:
    """What all processes have, one after the other, and where what is this one's own begins."""
    if os.environ.get("WORLD_SIZE", "1") == "1":
        return own, 0
    from accelerate.utils import gather_object  # torch, which is there when this is called

    parts = gather_object([own])
    before = parts[: int(os.environ["RANK"])]
    return [one for part in parts for one in part], sum(map(len, before))


def _ends(scores: Sequence[float | None]) -> tuple[float, float]:
    """The least and the largest score of a batch, over all processes."""
    known = [score for score in scores if score is not None]
    ends, _ = _of_all([(min(known, default=math.inf), max(known, default=-math.inf))])
    return min(least for least, _ in ends), max(most for _, most in ends)


def _least(scores: Sequence[float | None], size: int) -> list[float]:
    """The least score of each completion's group, `size` neighbours; 0 where it has none."""
    known = [math.inf if score is None else score for score in scores]
    # A group may straddle processes: each of them then needs the others' scores.
    every, start = (known, 0) if len(known) % size == 0 else _of_all(known)
    groups = (every[k : k + size] for k in range(0, len(every), size))
    least = [low if (low := min(group)) < math.inf else 0.0 for group in groups]
    return [least[k // size] for k in range(start, start + len(known))]


def _differ(scores: Sequence[float | None], prompts: Sequence[Any]) -> bool:
    """Whether the scores of any problem differ in float32; its rollouts stand side by side."""
    groups = groupby(zip(prompts, scores, strict=True), key=lambda pair: pair[0])
    return any(
        len({np.float32(score) for _, score in group if score is not None}) > 1
        for _, group in groups
    )


class TimedReward:
    """A reward as TRL sees it: timed, its faults made clear, its tokens counted.

    By `unit` (least value, spread), or what it is narrowed to, scores are scaled to lie within 0
    and 1; None hands them on as they are. With `group`, neighbours that are one, what a group
    shares goes first, which may be thousands of times what it differs by; 0 is none. `used` is what
    the last batch was scaled by.
    """

    def __init__(
        self, reward: Reward, unit: tuple[float, float] | None = None, group: int = 0
    ) -> None:
        self.reward = reward
        self.unit = unit
        self.group = group
        self.used = unit or (0.0, 1.0)
        self.seconds = 0.0
        self.tokens = 0
        self.batches = 0
        self.count = 0
        self.empty = 0  # batches in a row without any score
        self.differed = False  # whether any group's scores of the last batch did, as float32
        self.__name__ = getattr(reward, "__name__", type(reward).__name__)

    def __call__(self, **columns: Any) -> list[float | None]:
        """The scores; RewardFault for what cannot be trained on."""
        start = time.perf_counter()
        try:
            scores = list(self.reward(**columns))
        except Exception as error:
            raise RewardFault(f"reward {self.__name__} raised {words_of(error)}") from error
        finally:
            self.seconds += time.perf_counter() - start
        self.tokens += sum(map(len, columns["completion_ids"]))
        self.count = len(columns["completions"])
        if self.unit is not None:
            apart = self.group and len(scores) == self.count
            scores = self._apart(scores) if apart else self._scaled(scores)
        self._check(scores, self.count)
        self.differed = _differ(scores, columns.get("prompts", [None] * self.count))
        return scores

    def _scaled(self, scores: list[float | None]) -> list[float | None]:
        assert self.unit is not None
        lo, spread = self.used = narrowed(self.unit, *_ends(scores))
        return [None if score is None else (score - lo) / spread for score in scores]

    def _apart(self, scores: list[float | None]) -> list[float | None]:
        """Scores above the least of their group, scaled by the widest group: the rest is shared.

        What is proven of the whole says nothing of what is left. `used` has the mean of what went.
        """
        assert self.unit is not None
        least = _least(scores, self.group)
        above = [None if s is None else s - low for s, low in zip(scores, least, strict=True)]
        went, _ = _of_all([low for s, low in zip(scores, least, strict=True) if s is not None])
        lo, spread = self.unit
        size = max(abs(lo), abs(lo + spread))
        _, width = narrowed((-size, 2 * size), 0.0, _ends(above)[1], 1.0)
        self.used = (math.fsum(went) / max(1, len(went)), width)
        return [None if score is None else score / width for score in above]

    def _check(self, scores: list[float | None], count: int) -> None:
        """Raise RewardFault unless there is one finite score or None a completion.

        One batch of None alone may be chance, e.g. where no completion has a box yet; many are not.
        """
        if len(scores) != count:
            raise RewardFault(
                f"reward {self.__name__} gave {len(scores)} scores for {count} completions"
            )
        known = [score for score in scores if score is not None]
        self.batches += 1
        self.empty = 0 if known else self.empty + 1
        if self.empty == _EMPTY_BATCHES:
            raise self._nothing(count)
        # TRL reads NaN as None: a NaN would pass for "not applicable" without a word; and what is
        # too large for its float32 makes advantages NaN, which it turns into 0.
        bad = [score for score in known if not abs(score) <= _LARGEST]
        if bad:
            raise RewardFault(
                f"reward {self.__name__} gave {bad[0]:g} for {len(bad)} completions: float32, "
                "which TRL computes in, has no such number"
            )

    def check_learnt(self) -> None:
        """Raise RewardFault when the reward has never given a score."""
        if self.batches and self.empty == self.batches:
            raise self._nothing(self.count)

    def _nothing(self, count: int) -> RewardFault:
        return RewardFault(
            f"reward {self.__name__} gave None (not applicable) for all {count} completions of "
            f"{self.empty} batches: there is nothing to learn from"
        )
