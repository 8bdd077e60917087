"""ScienceWorld behind the interface of an environment: solved means score 100."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import permutations
from typing import TypeVar

from derl_trainers.tasks.environments.base import EnvironmentFault, Turn
from derl_trainers.tasks.environments.scienceworld.jvm import Machine, machine
from derl_trainers.tasks.environments.scienceworld.simulator import Game, Simulator, Took

T = TypeVar("T")
LISTINGS = ("valid", "possible", "none")
_REFUSED = ("No known action matches that input.", "Unknown action.")
_ROOMS = (
    "art studio", "bathroom", "bedroom", "foundry", "greenhouse", "hallway", "kitchen",
    "living room", "outside", "workshop",
)  # fmt: skip
# What the simulator's own list says where its actions are told in short.
_SAID = {
    "dunk OBJ in OBJ": "dunk OBJ into OBJ", "go OBJ": "go to OBJ",
    "pour OBJ in OBJ": "pour OBJ into OBJ", "teleport OBJ": "teleport to OBJ",
}  # fmt: skip
_CHOICE = re.compile(r"^(\d+):", re.M)


@lru_cache(maxsize=512)
def combined(actions: tuple[str, ...], things: tuple[str, ...]) -> tuple[str, ...]:
    """The commands that actions make with things, none with one thing twice.

    >>> combined(("move OBJ to OBJ", "wait"), ("chair", "box"))
    ('move box to chair', 'move chair to box', 'wait')
    """
    found = set()
    for action in actions:
        parts = _SAID.get(action, action).split("OBJ")
        named = _ROOMS if action.startswith("teleport") else things
        for chosen in permutations(named, len(parts) - 1):
            found.add("".join(a + b for a, b in zip(parts, (*chosen, ""), strict=True)))
    return tuple(sorted(found - {"reset task"}))


class ScienceWorld:
    """One environment; many share a Java process, where none is given.

    `listing` says which commands a turn lists. `valid` are those of the simulator, which takes most
    of a step's time; `possible` are its actions with all things in sight, made here in a tenth of
    it: some do nothing, and things in things lack. With `none` they are empty.
    `score` is the environment's own over 100, not below 0.
    """

    def __init__(self, listing: str = "valid", process: Machine | None = None) -> None:
        self._given = process
        self._machine = process or machine()
        self._listing = listing
        self._game: Game | None = None
        self._number = 0
        self._last = Turn("", (), 0.0)

    def _do(self, what: str, work: Callable[[Simulator, Game], T]) -> T:
        game = self._game
        if game is None:
            raise EnvironmentFault("the environment has no game: reset it first")
        return self._machine.do(self._number, what, lambda simulator: work(simulator, game))

    def reset(self, game: str) -> Turn:
        """Start a game, `task/variation`."""
        task, variation = _parts(game)
        self.close()
        self._machine = self._given or machine()
        self._game, self._number = self._machine.game(task, variation)
        # The first move, as the package makes it: before it nothing is scored.
        look = self._taken("look around")
        told = self._do("the task's words", Simulator.told)
        self._last = replace(look, observation=f"{told}\n{look.observation}", valid=True)
        return self._last

    def step(self, action: str) -> Turn:
        """Take an action."""
        answer = self._do("a question", lambda simulator, game: simulator.answer(game, action))
        if answer is None:
            self._last = self._taken(action)
        else:
            known = self._listing != "valid" or action in self._last.commands
            self._last = replace(self._last, observation=answer, valid=known)
        return self._last

    def _taken(self, action: str) -> Turn:
        named = self._listing == "possible"
        took = self._do("a step", lambda simulator, game: simulator.took(game, action, named))
        before = self._last.commands
        known = action in before if self._listing == "valid" else not took.text.startswith(_REFUSED)
        score = round(100 * took.score)
        over = took.over or score < 0
        # Of a game that is over, the last list stays.
        commands = before if over else self._listed(took)
        share = max(score, 0) / 100
        return Turn(took.text, commands, share, score >= 100, over or score >= 100, known)

    def _listed(self, took: Took) -> tuple[str, ...]:
        """The commands that follow a step."""
        if self._listing == "none":
            return ()
        if self._listing == "valid":
            told = json.loads(self._do("the list of commands", Simulator.valid))
            return tuple(sorted({one["action"] for one in told["validActions"]}))
        if took.text.startswith("Ambiguous request"):
            return tuple(_CHOICE.findall(took.text))
        things = json.loads(took.things).values()
        actions = self._do("the list of actions", Simulator.actions)
        return combined(actions, tuple(sorted(set(things))))

    def plan(self, game: str) -> Sequence[str]:
        """The simulator's own gold path, which takes seconds to make."""
        task, variation = _parts(game)
        number = self._machine.started()
        return self._machine.do(number, "a gold path", lambda s: s.gold(task, variation))

    def close(self) -> None:
        """Forget the game; the Java process goes on for the others."""
        if self._game is not None:
            self._machine.release(self._number, self._game)
        self._game = None
        self._last = Turn("", (), 0.0)


def _parts(game: str) -> tuple[str, int]:
    task, _, variation = game.partition("/")
    if not variation.isdecimal():
        raise EnvironmentFault(f"{game}: no game of ScienceWorld; write task/variation")
    return task, int(variation)
