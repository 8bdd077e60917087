"""ALFWorld behind the interface of an environment: the twin where it knows the goal, else stock."""

from __future__ import annotations

import json
import random
import tempfile
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from derl_trainers.tasks.base import TaskError
from derl_trainers.tasks.environments.alfworld.expert import plan
from derl_trainers.tasks.environments.alfworld.generate import generate
from derl_trainers.tasks.environments.alfworld.problem import UnknownGoal
from derl_trainers.tasks.environments.alfworld.stock import Stock, read_game
from derl_trainers.tasks.environments.alfworld.twin import Twin
from derl_trainers.tasks.environments.base import EnvironmentFault, Turn


class Alfworld:
    """One game at a time, by its id: of a generated game, or the path of an official one."""

    def __init__(self, seed: int = 0, receptacles: int = 0) -> None:
        self._seed, self._receptacles = seed, receptacles
        self._game: Twin | _Engine | None = None

    def reset(self, game: str) -> Turn:
        """Start a game; raises EnvironmentFault when it cannot be read."""
        try:
            data = self._data(game)
            try:
                self._game = Twin(data)
            except UnknownGoal:
                # The engine knows every goal; it is only slower.
                self._game = _Engine(data)
        except (TaskError, ValueError, LookupError) as error:
            raise EnvironmentFault(f"{game}: {error}") from error
        return self._game.reset()

    def step(self, action: str) -> Turn:
        """Take an action."""
        if self._game is None:
            raise EnvironmentFault("the environment has no game: reset it first")
        return self._game.step(action)

    def _data(self, game: str) -> Mapping[str, Any]:
        if game.endswith(".tw-pddl"):
            return read_game(Path(game))
        return _generated(game, self._seed, self._receptacles)

    def plan(self, game: str, detours: int = 0) -> Sequence[str]:
        """The expert's commands; with `detours` it looks into other receptacles first."""
        rng = random.Random(f"{self._seed} {game}")
        found = plan(Twin(self._data(game)), rng, detours)
        if found is None:
            raise EnvironmentFault(f"{game}: the expert finds no way")
        return found

    def close(self) -> None:
        """Forget the game."""
        self._game = None


# Groups start from one game many times; 512 games of 100 kB are what a step of training needs.
@lru_cache(maxsize=512)
def _generated(game: str, seed: int, receptacles: int) -> Mapping[str, Any]:
    part, _, rest = game.partition("/")
    kind, _, number = rest.partition("/")
    if not number.isdigit():
        raise TaskError("no game of ALFWorld; write part/kind/number, or the path of a .tw-pddl")
    return generate(kind, part, int(number), seed, receptacles).data


class _Engine:
    """The official engine as turns; its sub-goals are unknown, so the score is the outcome."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        with tempfile.TemporaryDirectory(prefix="derl-alfworld-") as folder:
            path = Path(folder) / "game.tw-pddl"
            path.write_text(json.dumps(data), encoding="utf-8")
            self._stock = Stock(path)
        self._commands: tuple[str, ...] = ()

    def reset(self) -> Turn:
        state = self._stock.reset()
        return self._turn(state, True)

    def step(self, action: str) -> Turn:
        valid = action.strip() in self._commands
        state, _, _ = self._stock.step(action)
        return self._turn(state, valid)

    def _turn(self, state: Mapping[str, Any], valid: bool) -> Turn:
        self._commands = tuple(state["admissible_commands"])
        won = bool(state["won"])
        return Turn(state["feedback"], self._commands, float(won), won, won, valid)
