"""Who looks on while a trainer calls a reward: what a call was, and the groups of its rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from derl_dsl.score.groups import WHOLE_CALL, Groups, Trainer
from derl_dsl.score.steps import Steps
from derl_grammar.records import record

Array = NDArray[np.float64]


class Scored(Protocol):
    """The scores of a call, as `derl_dsl.score.reward.Scores` has them."""

    @property
    def values(self) -> Array:
        """The rewards, (B,)."""

    @property
    def parts(self) -> dict[str, Array]:
        """The named parts, (B,) each."""

    @property
    def inputs(self) -> dict[str, Array]:
        """The numbers that the reward reads, (B,) each."""

    @property
    def steps(self) -> Steps | None:
        """The step rewards of each row; None for a program without."""

    @property
    def failed(self) -> NDArray[np.bool_]:
        """Rows that a fault left without a reward, (B,)."""


@record
class Call:
    """One call of a trainer: its columns and scores, (B,) numbers of the groups from 0, `step` the
    optimizer step it was made at (None: not said), and where metrics are logged, if anywhere."""

    columns: Mapping[str, Any]
    scores: Scored
    groups: NDArray[np.int64]
    step: int | None
    log_metric: Callable[[str, float], None] | None


Observer = Callable[[Call], None]


def observe(
    observers: Sequence[Observer],
    columns: Mapping[str, Any],
    scores: Scored,
    groups: Groups,
    trainer: Trainer | None,
    state: Any,
    log_metric: Any,
) -> None:
    """Tell observers of a call; not of those that evaluate."""
    if trainer is not None and not getattr(trainer.model, "training", True):
        return
    size = groups if groups is not None or trainer is None else trainer.num_generations
    numbers = groups_of(columns, size, len(scores.values))
    step = getattr(state, "global_step", None)
    call = Call(columns, scores, numbers, step, log_metric)
    for observer in observers:
        observer(call)


def groups_of(columns: Mapping[str, Any], groups: Groups, rows: int) -> NDArray[np.int64]:
    """Numbers of the groups of the rows: as `groups` says, else neighbours with equal prompts."""
    if groups == WHOLE_CALL:
        return np.zeros(rows, dtype=np.int64)
    if isinstance(groups, int) and rows % groups == 0:
        return np.arange(rows) // groups
    if isinstance(groups, str) and groups in columns:
        keys = list(map(str, columns[groups]))
        known = {key: k for k, key in enumerate(dict.fromkeys(keys))}
        return np.array([known[key] for key in keys], dtype=np.int64)
    prompts = list(columns.get("prompt", range(rows)))
    starts = [a != b for a, b in zip(prompts[1:], prompts, strict=False)]
    return np.cumsum([0, *starts])[:rows].astype(np.int64)
