"""A third environment behind the same interface: reasoning-gym's Sokoban, move by move."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from derl_trainers.tasks.environments.base import EnvironmentFault, Games, Turn

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
