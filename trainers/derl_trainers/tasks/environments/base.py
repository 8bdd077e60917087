"""What an environment is: a game is reset by its id, and answers actions with text.

Three environments stand behind this interface: ALFWorld, ScienceWorld, and Sokoban.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

LEVELS = ("L0", "L1", "L2")


class EnvironmentFault(RuntimeError):
    """An environment that raised, hung or died: its episode is lost, and no score is made up."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What an agent sees after an action, and what the environment says of it.

    `score` is the share of the task done so far, in [0, 1], by the environment's own sub-goals;
    `valid` whether the action was one of the admissible commands before it.
    """

    observation: str
    commands: tuple[str, ...]
    score: float
    won: bool = False
    done: bool = False
    valid: bool = True


class Environment(Protocol):
    """One game at a time; `close` may be called twice."""

    def reset(self, game: str) -> Turn:
        """Start a game by its id; raises EnvironmentFault when it cannot be loaded."""

    def step(self, action: str) -> Turn:
        """Take an action, which may be any text; raises EnvironmentFault."""

    def close(self) -> None:
        """Give back what the environment holds."""


@dataclass(frozen=True, slots=True)
class Games:
    """The games of a level: ids to train on and to be tested on, and the kind of task of each.

    No id is in two parts.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    kinds: Mapping[str, str]


class Expert(Protocol):
    """A scripted player, for warm starts and for proofs that a game can be won."""

    def plan(self, game: str) -> Sequence[str]:
        """Commands that win the game."""
