"""Multi-turn GRPO: a policy that plays games, a reward over whole episodes and over their steps.

TRL's GRPOTrainer runs it through `rollout_func`: prompts are ids of games, each repeated for its
group; an episode comes back as one transcript with an `env_mask`, so no gradient flows through what
the game said. The reward gets the columns of the suites `derl-agent` and `agent`. An episode that
its environment lost has no score: it is left out of its group's mean and spread, and moves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from datasets import Dataset

from derl_dsl.score.observing import Call, Scored
from derl_dsl.score.reward import Reward
from derl_trainers.inner.advantages import FORMULAS
from derl_trainers.inner.diverged import CheckedTrainer
from derl_trainers.inner.games import Rollout
from derl_trainers.inner.players import Players
from derl_trainers.inner.records import records
from derl_trainers.settings.sections import InnerSection
from derl_trainers.tasks.base import Example


class Stepped:
    """Looks on while a trainer calls a reward, and keeps the last batch's step rewards."""

    def __init__(self, reward: Reward) -> None:
        self.reward = reward
        self.scores: Scored | None = None

    def __call__(self, call: Call) -> None:
        """See `derl_dsl.score.observing`."""
        self.scores = call.scores

    @property
    def steps(self) -> Any:
        """The step rewards of each row; None for a reward without."""
        return None if self.scores is None else self.scores.steps


@contextmanager
def stepping(reward: Any) -> Iterator[Stepped | None]:
    """A compiled reward with its steps kept while it trains; None for a plain function."""
    if not isinstance(reward, Reward):
        yield None
        return
    stepped = Stepped(reward)
    reward.observers.append(stepped)
    try:
        yield stepped
    finally:
        reward.observers.remove(stepped)


class AgentTrainer(CheckedTrainer):
    """GRPOTrainer whose advantages differ from step to step."""

    players: Players
    stepped: Stepped | None = None
    inner: InnerSection

    @property
    def generate_seconds(self) -> float:
        """What playing took."""
        return self.players.seconds

    def told(self) -> dict[str, Any]:
        """What a result says of games that were played in training."""
        players = self.players
        stepped, source = self.stepped, self.inner.agent.step_scores
        scores, reward = (None, None) if stepped is None else (stepped.scores, stepped.reward)
        kept = records(players.rollouts, scores, players.scored, reward, source)
        return {
            "episodes": tuple(kept),
            "environment_seconds": players.environment_seconds,
            "lost": sum(one.lost for one in players.history),
        }

    def give_back(self) -> None:
        """Give the environments back: the next run takes its own."""
        self.players.close()

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        steps = self.stepped.steps if self.stepped is not None else None
        if self.inner.agent.advantage != "none" and steps is not None:
            width = output["completion_ids"].shape[1]
            more = step_advantages(self.players.rollouts, steps, self.inner, width)
            output["advantages"] = output["advantages"][:, None] + more.to(output["advantages"])
        return output


def step_advantages(
    rollouts: Sequence[Rollout], steps: Sequence[Any], inner: InnerSection, width: int
) -> torch.Tensor:
    """`weight * S_t` at the tokens of step t, (B, width); 0 where the agent did not write."""
    if len(rollouts) % inner.num_generations:
        raise ValueError(
            f"{len(rollouts)} episodes of one process are no whole groups of "
            f"{inner.num_generations}: use a number of processes that divides [inner] prompts"
        )
    found = torch.zeros((len(rollouts), width))
    formula = FORMULAS[inner.agent.advantage]
    for start in range(0, len(rollouts), inner.num_generations):
        rows = [
            k
            for k in range(start, start + inner.num_generations)
            if steps[k] is not None and not rollouts[k].episode.fault
        ]
        labels = [_labels(rollouts[k], inner.agent.advantage) for k in rows]
        values = formula([np.asarray(steps[k]) for k in rows], labels)
        for k, row in zip(rows, values, strict=True):
            numbers = torch.tensor(rollouts[k].step, dtype=torch.long)
            written = numbers >= 0
            per_step = torch.as_tensor(row, dtype=torch.float32)
            found[k, : len(numbers)][written] = inner.agent.weight * per_step[numbers[written]]
    return found


def _labels(rollout: Rollout, advantage: str) -> list[str]:
    """What a step is compared by: its tag, or what the agent saw before it."""
    episode = rollout.episode
    if advantage == "rlvmr":
        return list(episode.tags)
    return [episode.first, *episode.observations[:-1]][: len(episode.actions)]


def agent_trainer(
    players: Players,
    stepped: Stepped | None,
    inner: InnerSection,
    train: Sequence[Example],
    **shared: Any,
) -> AgentTrainer:
    """The trainer of one run, ready to train; `shared` is what TRL's trainer takes in any case."""
    players.kinds = {example.prompt: example.columns["kind"] for example in train}
    trainer = AgentTrainer(
        train_dataset=Dataset.from_list([{"prompt": example.prompt} for example in train]),
        rollout_func=players,
        **shared,
    )
    trainer.players, trainer.stepped, trainer.inner = players, stepped, inner
    return trainer
