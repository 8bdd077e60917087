"""Who plays: a policy and as many environments as a batch needs, for training and for scoring."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from derl_trainers.inner.episodes import Lockstep
from derl_trainers.inner.games import Rollout, columns_of
from derl_trainers.policy.greedy import greedy_right
from derl_trainers.policy.words import Words
from derl_trainers.settings.sections import Training
from derl_trainers.tasks.base import Example, Scorer
from derl_trainers.tasks.environments.base import Environment, EnvironmentFault
from derl_trainers.tasks.environments.played import PlayedTask

logger = logging.getLogger(__name__)
_TRIES = 3  # of a game that is scored: a share of games that were not lost would hide those


@dataclass(frozen=True, slots=True)
class Played:
    """What came of one sampling: share solved, episodes lost."""

    solved: float
    lost: int


class Players:
    """Games in play; `rollouts` is the last batch, `history` what came of each.

    `seconds` is what playing took in training, `environment_seconds` the environments' part of it.
    """

    def __init__(
        self, task: PlayedTask, training: Training, tokenizer: PreTrainedTokenizerBase
    ) -> None:
        self.task, self.training = task, training
        self.words = Words(tokenizer)
        self.kinds: dict[str, str] = {}
        self.environments: list[Environment] = []
        self.rollouts: list[Rollout] = []
        self.history: list[Played] = []
        self.seconds = self.environment_seconds = 0.0

    def __call__(self, prompts: list[str], trainer: Any) -> dict[str, Any]:
        """TRL's `rollout_func`: one transcript and one row of columns for each prompt."""
        start = time.perf_counter()
        model = trainer.accelerator.unwrap_model(trainer.model)
        kinds = [self.kinds.get(game, "") for game in prompts]
        rollouts, spent = self.play(model, prompts, kinds, [""] * len(prompts), greedy=False)
        self.environment_seconds += spent
        self.rollouts = rollouts
        faults = [r.episode.fault for r in rollouts if r.episode.fault]
        if faults:
            logger.warning("%d of %d episodes were lost: %s", len(faults), len(prompts), faults[0])
        solved = float(np.mean([r.episode.solved for r in rollouts]))
        self.history.append(Played(solved, len(faults)))
        self.seconds += time.perf_counter() - start
        # An episode that was lost before its first step still needs a token, which counts nothing.
        end = [self.words.end]
        return {
            "prompt_ids": [r.prompt or end for r in rollouts],
            "completion_ids": [r.completion or end for r in rollouts],
            "logprobs": [[0.0] * len(r.completion or end) for r in rollouts],
            "env_mask": [r.mask or [0] for r in rollouts],
            **columns_of(rollouts, self.training.inner.agent.step_scores),
        }

    def play(
        self,
        model: PreTrainedModel,
        games: Sequence[str],
        kinds: Sequence[str],
        levels: Sequence[str],
        greedy: bool,
    ) -> tuple[list[Rollout], float]:
        """One episode a game, the model's mode left as it was; and the environments' seconds."""
        while len(self.environments) < len(games):
            self.environments.append(self.task.environment())
        inner, was_training = self.training.inner, model.training
        model.eval()
        player = Lockstep(
            model, self.words, self.environments, inner.agent, inner.temperature, greedy
        )
        try:
            return player.play(games, kinds, levels), player.table.seconds
        finally:
            model.train(was_training)

    def close(self) -> None:
        """Give the environments back."""
        for environment in self.environments:
            environment.close()
        self.environments.clear()


def solved(
    players: Players, model: PreTrainedModel, examples: Sequence[Example]
) -> tuple[NDArray[np.bool_], list[Rollout]]:
    """Which games the policy solves greedily, (B,), and how it played them.

    A game that its environment lost is played again; EnvironmentFault when it is lost three times.
    """
    found: list[Rollout] = []
    batch = players.training.eval_batch
    for start in range(0, len(examples), batch):
        part = list(examples[start : start + batch])
        rows = _played(players, model, part)
        for _ in range(_TRIES - 1):
            lost = [k for k, row in enumerate(rows) if row.episode.fault]
            for k, row in zip(lost, _played(players, model, [part[k] for k in lost]), strict=True):
                rows[k] = row
        gone = next((row.episode for row in rows if row.episode.fault), None)
        if gone is not None:
            raise EnvironmentFault(f"{gone.game} was lost {_TRIES} times: {gone.fault}")
        found += rows
    return np.array([row.episode.solved for row in found], dtype=bool), found


def right_of(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    scorer: Scorer,
    training: Training,
) -> NDArray[np.bool_]:
    """Which of `examples` the greedy policy gets right, (B,): answers, or games that it solves."""
    if training.task.played is None:
        return greedy_right(model, tokenizer, examples, scorer, training)
    players = Players(training.task.played, training, tokenizer)
    try:
        return solved(players, model, examples)[0]
    finally:
        players.close()


def _played(players: Players, model: PreTrainedModel, part: Sequence[Example]) -> list[Rollout]:
    if not part:
        return []
    kinds = [e.columns["kind"] for e in part]
    levels = [e.columns["level"] for e in part]
    return players.play(model, [e.prompt for e in part], kinds, levels, greedy=True)[0]
