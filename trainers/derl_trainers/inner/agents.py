"""Multi-turn GRPO: a policy that plays games, a reward over whole episodes and over their steps.

TRL's GRPOTrainer runs it through `rollout_func`: prompts are ids of games, each repeated for its
group; an episode comes back as one transcript with an `env_mask`, so no gradient flows through what
the game said. The reward gets the columns of the suites `derl-agent` and `agent`. An episode that
its environment lost has no score: it is left out of its group's mean and spread, and moves nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from datasets import Dataset
from transformers import PreTrainedModel, PrinterCallback
from trl import GRPOTrainer

from derl_dsl.score.reward import Reward
from derl_trainers.inner.advantages import FORMULAS
from derl_trainers.inner.episodes import Lockstep, Rollout
from derl_trainers.inner.grpo import grpo_config
from derl_trainers.policy.quiet import quiet
from derl_trainers.policy.words import Words
from derl_trainers.tasks.environments.base import Environment
from derl_trainers.tasks.environments.episodes import Source

logger = logging.getLogger(__name__)
Make = Callable[[], Environment]


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """One multi-turn run: every step plays `prompts x num_generations` episodes.

    The advantage of a token of step t is `A + weight * S_t`: A is GRPO's for the episode, S_t the
    step's by `advantage` (`inner/advantages.py`); "none" leaves the steps out, and so does a reward
    without `steps = ...`.
    """

    steps: int = 10
    prompts: int = 8
    num_generations: int = 8
    updates: int = 1
    learning_rate: float = 3e-5
    temperature: float = 1.0
    beta: float = 0.0
    limit: int = 30
    longest: int = 1024
    step_scores: Source = "environment"
    advantage: Literal["none", "rlvmr", "gigpo"] = "none"
    weight: float = 1.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class AgentResult:
    """A finished run: per step the share solved and the episodes lost, and where time went (s)."""

    solved: tuple[float, ...]
    lost: tuple[int, ...]
    seconds: float
    rollout_seconds: float
    environment_seconds: float


def columns_of(rollouts: Sequence[Rollout], source: Source) -> dict[str, list[Any]]:
    """The columns of a batch of episodes; None throughout for an episode that was lost."""
    rows = [None if r.episode.fault else r.episode.columns(source) for r in rollouts]
    names = ("solved", "actions", "observations", "tags", "valid", "scores", "step_scores")
    return {name: [None if row is None else row[name] for row in rows] for name in names}


class _Players:
    """Games in play: as many environments as a batch needs, and what the last batch was."""

    def __init__(
        self, make: Make, kinds: Mapping[str, str], words: Words, config: AgentConfig
    ) -> None:
        self.make, self.kinds, self.words, self.config = make, kinds, words, config
        self.environments: list[Environment] = []
        self.rollouts: list[Rollout] = []
        self.seconds = self.environment_seconds = 0.0
        self.solved: list[float] = []
        self.lost: list[int] = []

    def __call__(self, prompts: list[str], trainer: Any) -> dict[str, Any]:
        """TRL's `rollout_func`."""
        start = time.perf_counter()
        model = trainer.accelerator.unwrap_model(trainer.model)
        rollouts = self.play(model, prompts, greedy=False)
        self.rollouts = rollouts
        faults = [r.episode.fault for r in rollouts if r.episode.fault]
        if faults:
            logger.warning("%d of %d episodes were lost: %s", len(faults), len(prompts), faults[0])
        self.solved.append(float(np.mean([r.episode.solved for r in rollouts])))
        self.lost.append(len(faults))
        self.seconds += time.perf_counter() - start
        # An episode that was lost before its first step still needs a token, which counts nothing.
        end = [self.words.end]
        return {
            "prompt_ids": [r.prompt for r in rollouts],
            "completion_ids": [r.completion or end for r in rollouts],
            "logprobs": [[0.0] * len(r.completion or end) for r in rollouts],
            "env_mask": [r.mask or [0] for r in rollouts],
            **columns_of(rollouts, self.config.step_scores),
        }

    def play(self, model: PreTrainedModel, games: Sequence[str], greedy: bool) -> list[Rollout]:
        """One episode a game, the model's mode left as it was."""
        while len(self.environments) < len(games):
            self.environments.append(self.make())
        training = model.training
        model.eval()
        config = self.config
        lockstep = Lockstep(
            model, self.words, self.environments, config.limit, config.longest,
            config.temperature, greedy,
        )  # fmt: skip
        try:
            return lockstep.play(games, [self.kinds.get(g, "") for g in games])
        finally:
            model.train(training)
            self.environment_seconds += lockstep.seconds

    def close(self) -> None:
        """Give the environments back."""
        for environment in self.environments:
            environment.close()


class _Scored:
    """The reward as TRL calls it; keeps the step rewards of the last batch."""

    def __init__(self, reward: Reward, group: int) -> None:
        self.reward, self.group = reward, group
        self.steps: list[Any] | None = None
        self.__name__ = "reward"

    def __call__(self, **columns: Any) -> list[float | None]:
        """The scores of the batch's episodes."""
        scores = self.reward.score(columns, group_size=self.group)
        self.steps = scores.steps
        return [None if v != v else v for v in scores.values.tolist()]


class AgentTrainer(GRPOTrainer):  # type: ignore[misc]
    """GRPOTrainer whose advantages differ from step to step."""

    players: _Players
    scored: _Scored

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        config = self.players.config
        if config.advantage != "none" and self.scored.steps is not None:
            width = output["completion_ids"].shape[1]
            more = step_advantages(self.players.rollouts, self.scored.steps, config, width)
            output["advantages"] = output["advantages"][:, None] + more.to(output["advantages"])
        return output


def step_advantages(
    rollouts: Sequence[Rollout], steps: Sequence[Any], config: AgentConfig, width: int
) -> torch.Tensor:
    """`weight * S_t` at the tokens of step t, (B, width); 0 where the agent did not write."""
    found = torch.zeros((len(rollouts), width))
    for start in range(0, len(rollouts), config.num_generations):
        rows = [
            k
            for k in range(start, start + config.num_generations)
            if steps[k] is not None and not rollouts[k].episode.fault
        ]
        labels = [_labels(rollouts[k], config.advantage) for k in rows]
        values = FORMULAS[config.advantage]([np.asarray(steps[k]) for k in rows], labels)
        for k, row in zip(rows, values, strict=True):
            numbers = torch.tensor(rollouts[k].step)
            written = numbers >= 0
            per_step = torch.as_tensor(row, dtype=torch.float32)
            found[k, : len(numbers)][written] = config.weight * per_step[numbers[written]]
    return found


def _labels(rollout: Rollout, advantage: str) -> list[str]:
    """What a step is compared by: its tag, or what the agent saw before it."""
    episode = rollout.episode
    if advantage == "rlvmr":
        return list(episode.tags)
    return [episode.first, *episode.observations[:-1]][: len(episode.actions)]


def agent_trainer(
    reward: Reward,
    model: PreTrainedModel,
    words: Words,
    make: Make,
    games: Sequence[str],
    kinds: Mapping[str, str],
    config: AgentConfig,
    scratch: str,
) -> AgentTrainer:
    """The trainer of one run, ready to train."""
    scored = _Scored(reward, config.num_generations)
    players = _Players(make, kinds, words, config)
    episodes = config.prompts * config.num_generations
    arguments = grpo_config(
        scratch,
        config.seed,
        log_every=config.updates,
        trl={},
        max_steps=config.steps * config.updates,
        per_device_train_batch_size=episodes // config.updates,
        steps_per_generation=config.updates,
        num_generations=config.num_generations,
        max_completion_length=config.longest,
        temperature=config.temperature,
        learning_rate=config.learning_rate,
        beta=config.beta,
    )
    trainer = AgentTrainer(
        model=model,
        reward_funcs=scored,
        args=arguments,
        train_dataset=Dataset.from_list([{"prompt": game} for game in games]),
        processing_class=words.tokenizer,
        rollout_func=players,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.players, trainer.scored = players, scored
    return trainer


def train_agent(
    reward: Reward,
    model: PreTrainedModel,
    words: Words,
    make: Make,
    games: Sequence[str],
    kinds: Mapping[str, str],
    config: AgentConfig,
    scratch: str,
) -> AgentResult:
    """Train the policy in place on the games; `make` makes one more environment."""
    start = time.perf_counter()
    with quiet():
        trainer = agent_trainer(reward, model, words, make, games, kinds, config, scratch)
        try:
            trainer.train()
        finally:
            trainer.players.close()
    model.eval()
    players = trainer.players
    return AgentResult(
        tuple(players.solved), tuple(players.lost), time.perf_counter() - start,
        players.seconds, players.environment_seconds,
    )  # fmt: skip


def success(
    model: PreTrainedModel,
    words: Words,
    make: Make,
    games: Sequence[str],
    config: AgentConfig,
    batch: int = 64,
) -> tuple[float, int]:
    """The share of games that the policy solves greedily, of those not lost, and how many were."""
    players = _Players(make, {}, words, config)
    try:
        rollouts = [
            r
            for k in range(0, len(games), batch)
            for r in players.play(model, games[k : k + batch], greedy=True)
        ]
    finally:
        players.close()
    kept = [r.episode.solved for r in rollouts if not r.episode.fault]
    return (float(np.mean(kept)) if kept else 0.0), len(rollouts) - len(kept)
