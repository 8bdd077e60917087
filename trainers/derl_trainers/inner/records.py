"""Episodes as plain values, for the store and the report: what was done, seen, and earned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from derl_dsl.score.observing import Scored
from derl_dsl.score.reward import Reward
from derl_dsl.score.reward import columns_of as read
from derl_trainers.inner.games import Rollout, columns_of
from derl_trainers.tasks.environments.exploration import EXPLORATION

_TRAINED, _SCORED = 8, 12  # episodes that a run keeps of its last sampling, and of its last scoring
_LONGEST = 600  # characters of an observation


def records(
    trained: Sequence[Rollout],
    scores: Scored | None,
    scored: Sequence[Rollout],
    reward: Reward | None,
    source: str,
) -> list[dict[str, Any]]:
    """Some episodes of the last sampling, with the scores that trained them, and of the scoring.

    Those that were scored are chosen in turn from each level, solved or not; what the reward gives
    them is computed here, where it needs no group.
    """
    found = [
        _record(r, "training", source, _of(scores, k)) for k, r in enumerate(trained[:_TRAINED])
    ]
    chosen = _spread(scored)
    again = None
    alone = reward is not None and not (reward.uses_groups or {*EXPLORATION} & {*read(reward)})
    if reward is not None and alone and chosen:
        again = reward.score(columns_of(chosen, source))
    return found + [_record(r, "scored", source, _of(again, k)) for k, r in enumerate(chosen)]


def _spread(rollouts: Sequence[Rollout]) -> list[Rollout]:
    groups: dict[tuple[str, bool], list[Rollout]] = {}
    for rollout in rollouts:
        groups.setdefault((rollout.episode.level, rollout.episode.solved), []).append(rollout)
    share = max(1, _SCORED // max(1, len(groups)))
    return [rollout for group in groups.values() for rollout in group[:share]]


def _of(scores: Any, k: int) -> dict[str, Any]:
    """What a reward gave row k: the reward, its parts and what it reads, its step rewards."""
    if scores is None or k >= len(scores.values):
        return {}
    numbers = {**scores.inputs, **scores.parts}
    steps = scores.steps[k] if scores.steps is not None else None
    return {
        "reward": _known(scores.values[k]),
        "parts": {name: _known(values[k]) for name, values in numbers.items()},
        "step_rewards": None if steps is None else [float(v) for v in steps],
    }


def _known(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "\u2026"


def _record(rollout: Rollout, phase: str, source: str, earned: dict[str, Any]) -> dict[str, Any]:
    episode = rollout.episode
    lost = bool(episode.fault)
    return {
        "phase": phase, "game": episode.game, "kind": episode.kind, "level": episode.level,
        "solved": None if lost else episode.solved, "fault": episode.fault,
        "first": _cut(episode.first), "actions": list(episode.actions),
        "observations": [_cut(o) for o in episode.observations],
        "tags": list(episode.tags), "valid": list(episode.valid), "scores": list(episode.scores),
        "step_scores": [] if lost else episode.step_scores(source), **earned,
    }  # fmt: skip
