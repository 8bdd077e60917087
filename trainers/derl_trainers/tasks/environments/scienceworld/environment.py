"""ScienceWorld behind the interface of an environment: solved means score 100."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import permutations
from typing import Any

from derl_trainers.tasks.environments.base import EnvironmentFault, Turn
from derl_trainers.tasks.environments.scienceworld.jvm import Machine, machine

SIMPLIFICATION = "easy"
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
    """One environment; sixteen share one Java process, where none is given.

    `listing` says which commands a turn lists. `valid` are those of the simulator, which takes most
    of a step's time; `possible` are its actions with all things in sight, made here in a tenth of
    it: some do nothing, and things in things lack. With `none` they are empty.
    `score` is the environment's own over 100, not below 0.
    """

    def __init__(self, listing: str = "valid", process: Machine | None = None) -> None:
        self._given = process
        self._machine = process or machine()
        self._listing = listing
        self._simulator: Any = None
        self._number = 0
        self._commands: tuple[str, ...] = ()
        self._actions: tuple[str, ...] = ()

    def _call(self, method: str, *args: Any) -> Any:
        return self._machine.call(self._number, self._simulator, method, *args)

    def _loaded(self, game: str, gold: bool) -> None:
        task, _, variation = game.partition("/")
        if not variation.isdigit():
            raise EnvironmentFault(f"{game}: no game of ScienceWorld; write task/variation")
        if self._simulator is None or not self._machine.serves(self._number):
            self._machine = self._given or machine()
            self._simulator, self._number = self._machine.simulator()
        reply = self._call("load", task, int(variation), SIMPLIFICATION, gold)
        if isinstance(reply, str) and reply.startswith("ERROR"):
            raise EnvironmentFault(f"{game}: {reply}")

    def reset(self, game: str) -> Turn:
        """Start a game, `task/variation`."""
        try:
            self._loaded(game, gold=False)
        except EnvironmentFault:
            self.close()
            raise
        if self._listing == "possible":
            self._actions = tuple(self._call("getPossibleActions"))
        # The first move, as the package makes it: before it the score is that of the game before.
        look = self._call("step", "look around")
        return self._turn(f"{self._call('freeActionTaskDesc')}\n{look}", True)

    def step(self, action: str) -> Turn:
        """Take an action."""
        if self._simulator is None:
            raise EnvironmentFault("the environment has no game: reset it first")
        said = str(self._call("step", action))
        listed = self._listing == "valid"
        known = action in self._commands if listed else not said.startswith(_REFUSED)
        return self._turn(said, known)

    def _turn(self, text: str, valid: bool) -> Turn:
        score = round(100 * float(self._call("getScore")))
        over = bool(self._call("getCompleted")) or score < 0
        if not over:
            self._commands = self._listed(text)
        share = max(score, 0) / 100
        return Turn(text, self._commands, share, score >= 100, over or score >= 100, valid)

    def _listed(self, text: str) -> tuple[str, ...]:
        """The commands that follow a text."""
        if self._listing == "none":
            return ()
        if self._listing == "valid":
            # As JSON: each entry of a list of Java's is a call of its own.
            told = json.loads(self._call("getValidActionObjectCombinationsJSON"))
            return tuple(sorted({one["action"] for one in told["validActions"]}))
        if text.startswith("Ambiguous request"):
            return tuple(_CHOICE.findall(text))
        things = json.loads(self._call("getPossibleObjectReferentLUTJSON")).values()
        return combined(self._actions, tuple(sorted(set(things))))

    def plan(self, game: str) -> Sequence[str]:
        """The simulator's own gold path, which takes seconds to make."""
        self._loaded(game, gold=True)
        return tuple(self._call("getGoldActionSequence"))

    def close(self) -> None:
        """Forget the game; the Java process goes on for the others."""
        if self._simulator is not None:
            self._machine.release(self._number, self._simulator)
        self._simulator = None
