"""A scripted expert: it knows where things are, and proves that a game can be won."""

from __future__ import annotations

import random

from derl_trainers.tasks.environments.alfworld.twin import Twin

_TOOL = {
    "pick_clean_then_place_in_recep": ("sinkbasin", "clean"),
    "pick_heat_then_place_in_recep": ("microwave", "heat"),
    "pick_cool_then_place_in_recep": ("fridge", "cool"),
}


def plan(game: Twin, rng: random.Random | None = None, detours: int = 0) -> tuple[str, ...] | None:
    """Commands that win the game from its start, None when the script finds none.

    `detours` receptacles that may hold the target, drawn by `rng`, are looked into on the way: an
    agent that cannot know where things are has to. Leaves the game at its start.
    """
    game.reset()
    script = _Script(game, rng, detours)
    try:
        script.play()
        return tuple(script.done) if game.won else None
    except LookupError:
        return None
    finally:
        game.reset()


class _Script:
    def __init__(self, game: Twin, rng: random.Random | None, detours: int) -> None:
        self.game, self.rng, self.detours = game, rng, detours
        self.done: list[str] = []

    def do(self, command: str) -> None:
        """Take a command that must be admissible."""
        if command not in self.game.commands:
            raise LookupError(command)
        self.game.step(command)
        self.done.append(command)

    def go(self, r: str) -> None:
        """Go to where a receptacle is."""
        if self.game.location != self.game.place[r]:
            self.do(f"go to {self.game.names[r]}")

    def visit(self, r: str) -> None:
        """Go to a receptacle, and open it."""
        game = self.game
        self.go(r)
        if r in game.openable and r not in game.opened:
            self.do(f"open {game.names[r]}")

    def find(self, kind: str, but: set[str]) -> str:
        """Walk to an object of the kind that is none of `but`, and take it."""
        game = self.game
        at = {o: r for r in game.place for o in game.inside[r]}
        found = sorted(o for o, t in game.type.items() if t == kind and o not in but and o in at)
        if not found:
            raise LookupError(kind)
        target = found[0]
        if self.rng is not None:
            others = [r for r in game.place if (game.kind[r], kind) in game.fits]
            others = [r for r in others if not any(o in game.inside[r] for o in found)]
            for r in self.rng.sample(sorted(others), min(self.detours, len(others))):
                self.visit(r)
        self.visit(at[target])
        self.do(f"take {game.names[target]} from {game.names[at[target]]}")
        return target

    def play(self) -> None:
        """The whole task."""
        game, goal = self.game, self.game.goal
        if goal.kind == "look_at_obj_in_light":
            self.find(goal.target, set())
            lamp, r = min(
                (o, r) for r in game.place for o in game.inside[r] if game.type[o] == goal.place
            )
            self.go(r)
            self.do(f"use {game.names[lamp]}")
            return
        place = min(r for r in game.place if game.kind.get(r) == goal.place)
        moved: set[str] = set(game.inside[place])
        for _ in range(2 if goal.kind == "pick_two_obj_and_place" else 1):
            target = self.find(goal.target, moved)
            moved.add(target)
            self._prepare(target)
            self.visit(place)
            self.do(f"move {game.names[target]} to {game.names[place]}")

    def _prepare(self, target: str) -> None:
        """Clean, heat or cool what is held, where the task asks for it."""
        game = self.game
        if game.goal.kind not in _TOOL:
            return
        kind, verb = _TOOL[game.goal.kind]
        tool = min(r for r in game.place if game.kind.get(r) == kind)
        self.go(tool)
        self.do(f"{verb} {game.names[target]} with {game.names[tool]}")
