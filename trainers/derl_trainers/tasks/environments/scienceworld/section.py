"""ScienceWorld as a task: all variations of its tasks, or those of some."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from derl_grammar.near import did_you_mean
from derl_grammar.settings import setting
from derl_trainers.tasks.base import Task, TaskError
from derl_trainers.tasks.environments.base import Environment, Games
from derl_trainers.tasks.environments.played import PlayedTask, whole
from derl_trainers.tasks.environments.scienceworld import levels
from derl_trainers.tasks.environments.scienceworld.environment import LISTINGS, ScienceWorld
from derl_trainers.tasks.environments.scienceworld.jvm import lacks


@dataclass(frozen=True, slots=True)
class ScienceWorldSection(PlayedTask):
    """Science experiments in text; needs `derl-dsl[agents]` and Java 17."""

    levels: tuple[str, ...] = setting(
        ("L0", "L1"),
        "what the final comparison tests: `L0` dev variations of the trained tasks, `L1` their "
        "test variations, `L2` (in a run of its own) ten tasks that are not trained",
    )
    tasks: tuple[str, ...] = setting((), "only these tasks of it; empty is all of the level")
    listing: str = setting(
        "valid",
        "commands of each turn, which the policy `tiny` picks from: the simulator's `valid` ones, "
        "most of a step's time; `possible`, its actions with all things in sight, far quicker, of "
        "which some do nothing; `none` for a policy that writes",
        choices=LISTINGS,
    )
    seed: int = setting(0, "of the order of the games", least=0)
    size: int = setting(0, "games of the search, split 8:2 for validation; 0 = all", least=0)
    test_size: int = setting(0, "games of the final comparison, at each level; 0 = all", least=0)
    warmup_size: int = setting(
        100, "games whose gold path is shown to the policy `tiny`, and no reward sees", least=0
    )

    def environment(self) -> Environment:
        """A game at a time, in the Java process that all share."""
        return ScienceWorld(self.listing)

    def lesson(self, game: str, number: int) -> Sequence[str]:
        """The simulator's own gold path."""
        environment = ScienceWorld(listing="none")
        try:
            return environment.plan(game)
        finally:
            environment.close()

    def load(self) -> Task:
        """The games; raises TaskError for a task that is none, and where Java lacks."""
        missing = lacks()
        if missing is not None:
            raise TaskError(missing)
        for task in self.tasks:
            if task not in levels.VARIATIONS:
                hint = did_you_mean(task, levels.VARIATIONS, "tasks:")
                raise TaskError(f"[task.scienceworld] tasks: no task {task!r}; {hint}")
        found = {level: self._games(level) for level in self.checked(self.levels)}
        return whole("ScienceWorld", found, self.warmup_size, self.size, self.test_size, self.seed)

    def _games(self, level: str) -> Games:
        found = levels.games(level)
        if not self.tasks:
            return found
        chosen = set(self.tasks)
        parts = [
            tuple(g for g in part if found.kinds[g] in chosen)
            for part in (found.train, found.validation, found.test)
        ]
        if not all(parts):
            raise TaskError(f"[task.scienceworld] tasks: {level} has none of them to train or test")
        return Games(parts[0], parts[1], parts[2], found.kinds)
