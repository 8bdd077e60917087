"""Tasks that are played: their problems are games, and what is right is what was solved."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from derl_trainers.tasks.base import Example, OwnTask, Task, TaskError
from derl_trainers.tasks.environments.base import LEVELS, Environment, Games
from derl_trainers.tasks.environments.episodes import Episode
from derl_trainers.tasks.environments.exploration import EXPLORATION

# What an episode gives a reward: the columns of the suites `derl-agent` and `agent`. Those of
# `exploration.py` come from its group.
PLAYED_COLUMNS = ("solved", "actions", "observations", "tags", "valid", "scores", "step_scores")


@dataclass(frozen=True, slots=True)
class PlayedTask(OwnTask):
    """A task of games; an example's prompt is the id of its game, its source the level it tests."""

    gives: ClassVar[tuple[str, ...]] = (*PLAYED_COLUMNS, *EXPLORATION)
    teaches: ClassVar[bool] = True
    # Levels that can be tested after one and the same training.
    together: ClassVar[tuple[str, ...]] = ("L0", "L1")

    def environment(self) -> Environment:
        """One more environment, which plays any of the task's games."""
        raise NotImplementedError

    def lesson(self, game: str, number: int) -> Sequence[str]:
        """Commands of an expert that win a game, for the warm start of the policy `tiny`."""
        raise NotImplementedError

    def trial(self, source: str) -> dict[str, Any]:
        """The columns of an episode in which nothing was done."""
        return {**Episode("", "", "", "").columns(source), **{name: [] for name in EXPLORATION}}

    def checked(self, levels: tuple[str, ...]) -> tuple[str, ...]:
        """The levels in their order; raises TaskError where one training cannot serve them all."""
        unknown = [level for level in levels if level not in LEVELS]
        if unknown or not levels:
            raise TaskError(f"levels: expected some of {', '.join(LEVELS)}, not {list(levels)}")
        apart = [level for level in levels if level not in self.together]
        if apart and len(set(levels)) > 1:
            raise TaskError(
                f"levels: {apart[0]} trains on other games than the rest; give it a run of its own"
            )
        return tuple(level for level in LEVELS if level in levels)


def whole(
    name: str, by_level: dict[str, Games], warmup: int, size: int, test: int, seed: int
) -> Task:
    """The task of some levels that train on the same games, cut to size in an order by `seed`.

    `size` counts what is trained on and validated, `test` the games of each level; 0 is all.
    Raises TaskError where there are fewer games than asked for.
    """
    first = next(iter(by_level.values()))
    kinds = {game: kind for games in by_level.values() for game, kind in games.kinds.items()}
    pool = _drawn(first.train, 0, seed)
    if len(pool) < warmup + 10:
        raise TaskError(f"warmup_size: {warmup} of {len(pool)} games leave too few to train on")
    lessons, pool = pool[:warmup], pool[warmup:]
    kept = min(size, len(pool) + len(first.validation)) if size else 0
    trained = _cut(pool, kept * 8 // 10)
    validation = _cut(_drawn(first.validation, 0, seed), kept - kept * 8 // 10)

    def examples(games: Sequence[str], level: str) -> tuple[Example, ...]:
        return tuple(Example(g, "", {"kind": kinds[g], "level": level}) for g in games)

    tests = tuple(
        Example(g, "", {"kind": kinds[g], "level": level}, source=level)
        for level, games in by_level.items()
        for g in _cut(_drawn(games.test, 0, seed), test)
    )
    return Task(
        name=name,
        warmup=examples(lessons, ""),
        train=examples(trained, ""),
        validation=examples(validation, ""),
        test=tests,
    )


def _drawn(games: Sequence[str], count: int, seed: int) -> list[str]:
    order = list(games)
    random.Random(f"games {seed}").shuffle(order)
    return _cut(order, count)


def _cut(games: list[str], count: int) -> list[str]:
    return games[:count] if count else games
