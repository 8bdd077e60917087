"""ScienceWorld behind the interface of an environment: solved means score 100."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from derl_trainers.tasks.environments.base import EnvironmentFault, Turn
from derl_trainers.tasks.environments.scienceworld.jvm import Machine, machine

SIMPLIFICATION = "easy"
_REFUSED = "No known action matches that input."


class ScienceWorld:
    """One environment; sixteen share one Java process, where none is given.

    `listing` says whether each turn lists the valid commands, which takes most of a step's time;
    without it `commands` is empty. `score` is the environment's own over 100, not below 0.
    """

    def __init__(self, listing: bool = True, process: Machine | None = None) -> None:
        self._given = process
        self._machine = process or machine()
        self._listing = listing
        self._simulator: Any = None
        self._number = 0
        self._commands: tuple[str, ...] = ()

    def _call(self, method: str, *args: Any) -> Any:
        return self._machine.call(self._number, self._simulator, method, *args)

    def _loaded(self, game: str, gold: bool) -> None:
        task, _, variation = game.partition("/")
        if not variation.isdigit():
            raise EnvironmentFault(f"{game}: no game of ScienceWorld; write task/variation")
        if self._simulator is None or not self._machine.serves(self._number):
            self._machine = self._given or machine()
            self._simulator, self._number = self._machine.simulator()
        for reply in (
            self._call("load", task, int(variation), SIMPLIFICATION, gold),
            self._call("reset"),
        ):
            if isinstance(reply, str) and reply.startswith("ERROR"):
                raise EnvironmentFault(f"{game}: {reply}")

    def reset(self, game: str) -> Turn:
        """Start a game, `task/variation`."""
        try:
            self._loaded(game, gold=False)
        except EnvironmentFault:
            self.close()
            raise
        # The first move, as the package makes it: before it the score is that of the game before.
        look = self._call("step", "look around")
        return self._turn(f"{self._call('freeActionTaskDesc')}\n{look}", True)

    def step(self, action: str) -> Turn:
        """Take an action."""
        if self._simulator is None:
            raise EnvironmentFault("the environment has no game: reset it first")
        said = str(self._call("step", action))
        known = action in self._commands if self._commands else not said.startswith(_REFUSED)
        return self._turn(said, known)

    def _turn(self, text: str, valid: bool) -> Turn:
        score = round(100 * float(self._call("getScore")))
        over = bool(self._call("getCompleted")) or score < 0
        if self._listing and not over:
            self._commands = tuple(sorted(set(self._call("getValidActionObjectCombinations"))))
        share = max(score, 0) / 100
        return Turn(text, self._commands, share, score >= 100, over or score >= 100, valid)

    def plan(self, game: str) -> Sequence[str]:
        """The simulator's own gold path, which takes seconds to make."""
        self._loaded(game, gold=True)
        return tuple(self._call("getGoldActionSequence"))

    def close(self) -> None:
        """Forget the game; the Java process goes on for the others."""
        if self._simulator is not None:
            self._machine.release(self._number, self._simulator)
        self._simulator = None
