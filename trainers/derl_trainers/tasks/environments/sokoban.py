"""A third environment behind the same interface: reasoning-gym's Sokoban, move by move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

from derl_grammar.settings import setting
from derl_trainers.tasks.base import Task
from derl_trainers.tasks.environments.base import LEVELS, Environment, EnvironmentFault, Games, Turn
from derl_trainers.tasks.environments.played import PlayedTask, whole

MOVES = {"move up": "U", "move down": "D", "move left": "L", "move right": "R"}
_COMMANDS = tuple(sorted(MOVES))
# The side of the board and the number of boxes.
_SIZES = {"small": (6, 1), "middle": (7, 2), "large": (8, 3)}
_TESTED = {"L0": "small", "L1": "middle", "L2": "large"}
_LEGEND = "* you, % you on a goal, @ box, $ box on a goal, X goal, + wall, - floor"


@lru_cache(maxsize=256)
def _board(size: str, seed: int) -> tuple[str, str]:
    """The board as text, and moves that solve it."""
    from reasoning_gym import create_dataset

    side, boxes = _SIZES[size]
    row = create_dataset(
        "sokoban", seed=seed, size=1, min_w=side, max_w=side, min_h=side, max_h=side,
        min_boxes=boxes, max_boxes=boxes, max_depth=60,
    )[0]  # fmt: skip
    return row["metadata"]["gamestr"], row["answer"]


class Sokoban:
    """One board at a time, `size/seed`; the score is the share of boxes that stand on goals."""

    def __init__(self) -> None:
        self._game: Any = None

    def reset(self, game: str) -> Turn:
        """Start a board."""
        import numpy as np
        from reasoning_gym.games.contrib.sokoban.src.game import Game

        text, _ = _board(*self._parts(game))
        cells = [list(line) for line in text.replace(" ", "").strip().split("\n")]
        self._game = Game(height=len(cells), width=len(cells[0]))
        self._game.load_puzzle_matrix(np.array(cells))
        return self._turn(True, f"Push every box onto a goal. {_LEGEND}\n")

    def _parts(self, game: str) -> tuple[str, int]:
        size, _, seed = game.partition("/")
        if size not in _SIZES or not seed.isdigit():
            raise EnvironmentFault(f"{game}: no board; write {'|'.join(_SIZES)}/number")
        return size, int(seed)

    def step(self, action: str) -> Turn:
        """Move; a move into a wall is admissible and changes nothing."""
        if self._game is None:
            raise EnvironmentFault("the environment has no game: reset it first")
        key = MOVES.get(action.strip())
        if key is None:
            return self._turn(False, "Nothing happens.\n")
        self._game.player.update(key=key)
        return self._turn(True, "")

    def _turn(self, valid: bool, said: str) -> Turn:
        cells = self._game.get_matrix()
        done, left = int((cells == "$").sum()), int((cells == "@").sum())
        board = "\n".join(" ".join(row) for row in cells)
        won = left == 0
        return Turn(said + board, _COMMANDS, done / max(1, done + left), won, won, valid)

    def plan(self, game: str) -> Sequence[str]:
        """The moves of the generator's own solution."""
        verbs = {key: verb for verb, key in MOVES.items()}
        return tuple(verbs[key] for key in _board(*self._parts(game))[1])

    def close(self) -> None:
        """Forget the board."""
        self._game = None


def games(level: str, train: int, test: int) -> Games:
    """Small boards to train on; tests on small (L0), middle (L1) and large ones (L2)."""
    size = _TESTED[level]
    pool = tuple(f"small/{k}" for k in range(train))
    found = tuple(f"{size}/{train + k}" for k in range(test))
    kinds = {game: game.split("/")[0] for game in (*pool, *found)}
    return Games(pool[: train * 8 // 10], pool[train * 8 // 10 :], found, kinds)


@dataclass(frozen=True, slots=True)
class SokobanSection(PlayedTask):
    """Boards with boxes to push onto goals."""

    together: ClassVar[tuple[str, ...]] = LEVELS

    levels: tuple[str, ...] = setting(
        LEVELS, "what the final comparison tests: `L0` small boards, `L1` middle, `L2` large ones"
    )
    seed: int = setting(0, "of the order of the boards", least=0)
    size: int = setting(600, "boards of the search, split 8:2 for validation", least=10)
    test_size: int = setting(200, "boards of the final comparison, at each level", least=1)
    warmup_size: int = setting(
        300, "boards whose solution is shown to the policy `tiny`, and no reward sees", least=1
    )

    def environment(self) -> Environment:
        """A board at a time."""
        return Sokoban()

    def lesson(self, game: str, number: int) -> Sequence[str]:
        """The generator's own solution."""
        return Sokoban().plan(game)

    def load(self) -> Task:
        """The boards."""
        count = self.warmup_size + self.size + 2
        found = {
            level: games(level, (count * 10 + 7) // 8, self.test_size)
            for level in self.checked(self.levels)
        }
        return whole("Sokoban", found, self.warmup_size, self.size, self.test_size, self.seed)
