"""The rollouts of a training run, kept for `derl-dsl replay`: a Parquet file a sampling step.

There is room for so many rollouts in all; each step gets its share of it, in whole groups, the
first of the step. What cannot be written is told once and ends the keeping, never the training.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derl_dsl.score.observing import Call
from derl_dsl.score.reward import Reward, columns_of
from derl_runtime.data import DataError, write_rows

FOLDER = "rollouts"
_LOG = logging.getLogger(__name__)
_PLAIN = (str, bool, int, float, type(None))


class Rollouts:
    """Writes each call of a trainer to `folder`: at most `most` rollouts in `steps` steps.

    Columns: step (from 1), group, prompt, completion, what the reward reads and other plain columns
    of the call, `reward`, and `right` where the reward reads an outcome.
    """

    def __init__(self, reward: Reward, folder: Path, most: int, steps: int) -> None:
        self.reward, self.folder = reward, folder
        self.share = max(1, most // max(1, steps))
        self.step = 0
        self.open = True

    def __call__(self, call: Call) -> None:
        """Keep the share of one call; see `derl_dsl.score.observing`."""
        self.step += 1
        rows = kept(call.groups, self.share)
        if not self.open or not len(rows):
            return
        rank = os.environ.get("RANK", "0")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = self.folder / f"{self.step:06d}-{rank}.parquet"
            write_rows(file, self._columns(call, rows, rank))
        except (DataError, OSError) as error:
            self.open = False
            _LOG.warning("rollouts are not kept from step %d on: %s", self.step, error)

    def _columns(self, call: Call, rows: NDArray[np.int64], rank: str) -> dict[str, list[Any]]:
        read = {"prompt", "completion", *columns_of(self.reward)}
        found: dict[str, list[Any]] = {
            "step": [self.step] * len(rows),
            "group": [f"{self.step}.{rank}.{g}" for g in call.groups[rows].tolist()],
        }
        for name, values in call.columns.items():
            column = _chosen(values, rows, len(call.groups))
            if name in read or all(isinstance(v, _PLAIN) for v in column):
                found[name] = [_text(v) for v in column]
        found["reward"] = call.scores.values[rows].tolist()
        right = call.scores.inputs.get(self.reward.outcome or "")
        if right is not None:
            found["right"] = right[rows].tolist()
        return found


def kept(groups: NDArray[np.int64], share: int) -> NDArray[np.int64]:
    """The rows of the first whole groups that `share` has room for; of the first group at least.

    >>> kept(np.array([0, 0, 1, 1, 2, 2]), 5).tolist()
    [0, 1, 2, 3]
    """
    if not len(groups):
        return np.empty(0, dtype=np.int64)
    sizes = np.bincount(groups)
    room = np.flatnonzero(np.cumsum(sizes[sizes > 0]) <= share)
    last = np.unique(groups)[: max(1, len(room))][-1]
    return np.flatnonzero(groups <= last)


def _chosen(values: Any, rows: NDArray[np.int64], count: int) -> list[Any]:
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) != count:
        return [values] * len(rows)  # a number stands for a column of equal values
    return [values[k] for k in rows.tolist()]


def _text(value: Any) -> Any:
    """What Parquet can hold of a value: texts without lone surrogates."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, Mapping):
        return {str(k): _text(v) for k, v in value.items()}
    return [_text(v) for v in value] if isinstance(value, list | tuple) else value


@contextmanager
def keeping(reward: Reward, folder: Path, most: int, steps: int) -> Iterator[None]:
    """Keep the rollouts of the training in this block; none when `most` is 0."""
    if not most:
        yield
        return
    observer = Rollouts(reward, folder, most, steps)
    reward.observers.append(observer)
    try:
        yield
    finally:
        reward.observers.remove(observer)
