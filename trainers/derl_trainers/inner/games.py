"""Rollouts in games: an episode with its transcript in tokens, and the games that are in play."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from derl_trainers.tasks.environments.base import Environment, EnvironmentFault, Turn
from derl_trainers.tasks.environments.episodes import Episode, Move, shown
from derl_trainers.tasks.environments.exploration import EXPLORATION, exploration
from derl_trainers.tasks.environments.guard import guarded
from derl_trainers.tasks.environments.played import PLAYED_COLUMNS


@dataclass(slots=True)
class Rollout:
    """One episode, and its transcript after the prompt.

    `mask` is 1 at the tokens that the agent chose; `step` numbers the step of each that it wrote,
    -1 elsewhere. What it wrote without a choice is no token to learn from.
    `logprobs` are what an engine of its own sampled by (vLLM), 0 where nobody says.
    """

    episode: Episode
    prompt: list[int] = field(default_factory=list)
    completion: list[int] = field(default_factory=list)
    mask: list[int] = field(default_factory=list)
    step: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)

    def extend(
        self,
        tokens: Sequence[int],
        number: int,
        logprobs: Sequence[float] | None = None,
        chosen: Sequence[int] | None = None,
    ) -> None:
        """More of the transcript: of step `number`, or -1 for what the agent did not write.

        `chosen` is 1 where there was a choice; without it, at all that the agent wrote.
        """
        self.completion += tokens
        self.logprobs += [0.0] * len(tokens) if logprobs is None else logprobs
        self.mask += [int(number >= 0)] * len(tokens) if chosen is None else chosen
        self.step += [number] * len(tokens)


def columns_of(rollouts: Sequence[Rollout], source: str) -> dict[str, list[Any]]:
    """The columns of a batch of episodes; None throughout for an episode that was lost."""
    rows = [None if r.episode.fault else r.episode.columns(source) for r in rollouts]
    return {name: [None if row is None else row[name] for row in rows] for name in PLAYED_COLUMNS}


def grouped_columns(rollouts: Sequence[Rollout], source: str, size: int) -> dict[str, list[Any]]:
    """The same, and what each episode explored beside the others of its group of `size`."""
    found = columns_of(rollouts, source)
    rows: list[dict[str, list[float]]] = []
    for start in range(0, len(rollouts), size):
        rows += exploration([r.episode for r in rollouts[start : start + size]])
    for name in EXPLORATION:
        found[name] = [
            None if r.episode.fault else row[name] for r, row in zip(rollouts, rows, strict=True)
        ]
    return found


class Table:
    """The games of a batch: the last turn of each, None once it was lost; and what time they took.

    A call that raises, or does not answer within `deadline` seconds, loses its episode alone.
    """

    def __init__(self, environments: Sequence[Environment], deadline: float) -> None:
        self.environments, self.deadline = environments, deadline
        self.turns: list[Turn | None] = []
        self.seconds = 0.0

    def begun(
        self, games: Sequence[str], kinds: Sequence[str], levels: Sequence[str]
    ) -> list[Rollout]:
        """A rollout of each game, at its first turn."""
        rollouts = []
        self.turns = []
        for k, game in enumerate(games):
            episode = Episode(game, kinds[k], levels[k], "")
            environment = self.environments[k]
            turn = self._called(episode, partial(environment.reset, game))
            episode.first = shown(turn.observation) if turn else ""
            self.turns.append(turn)
            rollouts.append(Rollout(episode))
        return rollouts

    def act(self, k: int, episode: Episode, move: Move) -> Turn | None:
        """Game k's answer to a move, noted in its episode; None when it was lost."""
        turn = self._called(episode, partial(self.environments[k].step, move.action))
        if turn is not None:
            episode.add(move, turn)
        self.turns[k] = turn
        return turn

    def _called(self, episode: Episode, call: Callable[[], Turn]) -> Turn | None:
        start = time.perf_counter()
        try:
            return guarded(call, self.deadline)
        except EnvironmentFault as error:
            episode.fault = str(error)
            return None
        finally:
            self.seconds += time.perf_counter() - start
