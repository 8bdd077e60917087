"""ALFWorld as a task: official games where they are, else generated ones."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from derl_grammar.settings import setting
from derl_trainers.tasks.base import Task, TaskError
from derl_trainers.tasks.contents import content
from derl_trainers.tasks.environments.alfworld import levels
from derl_trainers.tasks.environments.alfworld.environment import Alfworld
from derl_trainers.tasks.environments.base import Environment, Games
from derl_trainers.tasks.environments.played import PlayedTask, whole

_VARIABLE = "ALFWORLD_DATA"


@dataclass(frozen=True, slots=True)
class AlfworldSection(PlayedTask):
    """Household games in text; needs `derl-dsl[agents]`."""

    levels: tuple[str, ...] = setting(
        ("L0", "L1"),
        "what the final comparison tests: `L0` the rooms of training, `L1` other rooms, `L2` (in a "
        "run of its own) two kinds of task that are not trained",
    )
    data: str = setting(
        "",
        "folder of the official games; empty is that of the variable ALFWORLD_DATA, and where "
        "that is not set, games are generated",
    )
    seed: int = setting(0, "which games are generated, and their order", least=0)
    receptacles: int = setting(
        8, "in a generated room; 0 = all that its floor plan has", least=0, most=64
    )
    size: int = setting(
        600, "games of the search, split 8:2 for validation; 0 = all official ones", least=0
    )
    test_size: int = setting(
        200, "games of the final comparison, at each level; 0 = all official ones", least=0
    )
    warmup_size: int = setting(
        300, "games that an expert plays to the policy `tiny`, and no reward sees", least=0
    )

    @property
    def folder(self) -> str:
        """Where the official games lie; empty where games are generated."""
        # The package alfworld sets the variable itself, to a folder that may hold no games.
        given = os.environ.get(_VARIABLE, "")
        holds = any((Path(given) / part).is_dir() for part in ("json_2.1.1", "train"))
        return self.data or (given if given and holds else "")

    def depends(self) -> dict[str, Any]:
        """Its settings, and what the official games are."""
        found = PlayedTask.depends(self)
        return {**found, "data": content(self.folder) if self.folder else ""}

    def environment(self) -> Environment:
        """A game at a time, in this process."""
        return Alfworld(self.seed, self.receptacles)

    def lesson(self, game: str, number: int) -> Sequence[str]:
        """The scripted expert's way; two of three games with detours."""
        return Alfworld(self.seed, self.receptacles).plan(game, detours=number % 3)

    def load(self) -> Task:
        """The games; raises TaskError without the extra or the folder."""
        for package in ("alfworld", "textworld"):
            if importlib.util.find_spec(package) is None:
                raise TaskError(f"{package} is not installed: pip install 'derl-dsl[agents]'")
        chosen = self.checked(self.levels)
        found = {level: self._games(level) for level in chosen}
        name = "ALFWorld" if self.folder else "generated ALFWorld"
        return whole(name, found, self.warmup_size, self.size, self.test_size, self.seed)

    def _games(self, level: str) -> Games:
        if self.folder:
            return levels.official(Path(self.folder).expanduser(), level)
        if not self.size or not self.test_size:
            raise TaskError(
                f"[task.alfworld] size and test_size: 0 is all official games, and {_VARIABLE} "
                "names no folder"
            )
        # Six kinds in turn; what the warm start shows is trained on by no reward.
        counts = {
            "train": self.warmup_size + self.size * 8 // 10,
            "validation": self.size - self.size * 8 // 10,
            "valid_seen": self.test_size,
            "valid_unseen": self.test_size,
        }
        return levels.games(level, counts)
