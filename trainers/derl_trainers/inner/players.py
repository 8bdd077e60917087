"""Who plays: a policy and as many environments as a batch needs, for training and for scoring."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from derl_trainers.inner.dialogue import Dialogue, Write
from derl_trainers.inner.episodes import Lockstep
from derl_trainers.inner.games import Rollout, grouped_columns
from derl_trainers.policy.answers import greedy_right, written
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
    """Games in play; `rollouts` is the last batch, `history` what came of each; `scored` the last
    scoring's.

    `seconds` is what playing took in training, `environment_seconds` the environments' part of it.
    """

    def __init__(
        self, task: PlayedTask, training: Training, tokenizer: PreTrainedTokenizerBase
    ) -> None:
        self.task, self.training = task, training
        self.tokenizer = tokenizer
        self.words = Words(tokenizer) if Words.fits(tokenizer) else None
        self.kinds: dict[str, str] = {}
        self.environments: list[Environment] = []
        self.rollouts: list[Rollout] = []
        self.scored: list[Rollout] = []
        self.history: list[Played] = []
        self.seconds = self.environment_seconds = 0.0

    def __call__(self, prompts: list[str], trainer: Any) -> dict[str, Any]:
        """TRL's `rollout_func`: one transcript and one row of columns for each prompt."""
        start = time.perf_counter()
        kinds, levels = [self.kinds.get(game, "") for game in prompts], [""] * len(prompts)
        if self.words is not None:
            model = trainer.accelerator.unwrap_model(trainer.model)
            player: Lockstep | Dialogue = self._lockstep(model, self.words, len(prompts), False)
            rollouts = _in_eval(model, lambda: player.play(prompts, kinds, levels))
        else:
            # Whatever TRL samples with: transformers, or vLLM.
            player = self._dialogue(
                lambda asked: trainer._generate_single_turn(asked, None, {}, 1), len(prompts)
            )
            rollouts = player.play(prompts, kinds, levels)
        spent = player.table.seconds
        self.environment_seconds += spent
        self.rollouts = rollouts
        faults = [r.episode.fault for r in rollouts if r.episode.fault]
        if faults:
            logger.warning("%d of %d episodes were lost: %s", len(faults), len(prompts), faults[0])
        solved = float(np.mean([r.episode.solved for r in rollouts]))
        self.history.append(Played(solved, len(faults)))
        self.seconds += time.perf_counter() - start
        # An episode that was lost before its first step still needs a token, which counts nothing.
        end = [int(self.tokenizer.eos_token_id)]
        return {
            "prompt_ids": [r.prompt or end for r in rollouts],
            "completion_ids": [r.completion or end for r in rollouts],
            "logprobs": [r.logprobs or [0.0] for r in rollouts],
            "env_mask": [r.mask or [0] for r in rollouts],
            **grouped_columns(
                rollouts, self.training.inner.agent.step_scores, self.training.inner.num_generations
            ),
        }

    def episodes(
        self, model: PreTrainedModel, examples: Sequence[Example], greedy: bool
    ) -> list[Rollout]:
        """One episode a game, outside of training; the model's mode is left as it was."""
        if not examples:
            return []
        count = len(examples)
        if self.words is not None:
            player: Lockstep | Dialogue = self._lockstep(model, self.words, count, greedy)
        else:
            temperature = None if greedy else self.training.inner.temperature
            write = partial(written, model, self.tokenizer, self._answer, temperature)
            player = self._dialogue(lambda asked: (write(asked), None), count)
        games = [e.prompt for e in examples]
        kinds = [e.columns["kind"] for e in examples]
        levels = [e.columns["level"] for e in examples]
        return _in_eval(model, lambda: player.play(games, kinds, levels))

    @property
    def _answer(self) -> int:
        return self.training.inner.max_completion_length

    def _seats(self, count: int) -> list[Environment]:
        while len(self.environments) < count:
            self.environments.append(self.task.environment())
        return self.environments

    def _lockstep(self, model: PreTrainedModel, words: Words, count: int, greedy: bool) -> Lockstep:
        inner = self.training.inner
        seats = self._seats(count)
        return Lockstep(model, words, seats, inner.agent, inner.temperature, greedy)

    def _dialogue(self, write: Write, count: int) -> Dialogue:
        agent, system = self.training.inner.agent, self.training.policy.system
        seats = self._seats(count)
        return Dialogue(write, self.tokenizer, seats, agent, system, self._answer)

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
        rows = players.episodes(model, part, greedy=True)
        for _ in range(_TRIES - 1):
            lost = [k for k, row in enumerate(rows) if row.episode.fault]
            again = players.episodes(model, [part[k] for k in lost], greedy=True)
            for k, row in zip(lost, again, strict=True):
                rows[k] = row
        gone = next((row.episode for row in rows if row.episode.fault), None)
        if gone is not None:
            raise EnvironmentFault(f"{gone.game} was lost {_TRIES} times: {gone.fault}")
        found += rows
    players.scored = found
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


def _in_eval(model: PreTrainedModel, play: Callable[[], list[Rollout]]) -> list[Rollout]:
    was_training = model.training
    model.eval()
    try:
        return play()
    finally:
        model.train(was_training)
