"""The reward of an inner run as TRL sees it: timed, and what cannot be trained on is named."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

_EMPTY_BATCHES = 3

Reward = Callable[..., Sequence[float | None]]


class RewardFault(RuntimeError):
    """A reward that cannot be trained on: it raised, or it scored no completion of a batch."""


class TimedReward:
    """A reward as TRL sees it: timed, its faults made clear, its tokens counted."""

    def __init__(self, reward: Reward) -> None:
        self.reward = reward
        self.seconds = 0.0
        self.tokens = 0
        self.batches = 0
        self.count = 0
        self.empty = 0  # batches in a row without any score
        self.__name__ = getattr(reward, "__name__", type(reward).__name__)

    def __call__(self, **columns: Any) -> list[float | None]:
        """The scores; RewardFault for what cannot be trained on."""
        start = time.perf_counter()
        try:
            scores = list(self.reward(**columns))
        except Exception as error:
            raise RewardFault(f"reward {self.__name__} raised {error!r}") from error
        finally:
            self.seconds += time.perf_counter() - start
        self.tokens += sum(map(len, columns["completion_ids"]))
        self.count = len(columns["completions"])
        self._check(scores, self.count)
        return scores

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
        # TRL reads NaN as None: a NaN would pass for "not applicable" without a word.
        bad = [score for score in known if not math.isfinite(score)]
        if bad:
            raise RewardFault(f"reward {self.__name__} gave {bad[0]} for {len(bad)} completions")

    def check_learnt(self) -> None:
        """Raise RewardFault when the reward has never given a score."""
        if self.batches and self.empty == self.batches:
            raise self._nothing(self.count)

    def _nothing(self, count: int) -> RewardFault:
        return RewardFault(
            f"reward {self.__name__} gave None (not applicable) for all {count} completions of "
            f"{self.empty} batches: there is nothing to learn from"
        )
