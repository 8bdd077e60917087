"""The PDDL of a game: read into facts, and the six goals by what they ask for.

The engine's planner is case-insensitive and lowers every name, so names here are in lower case.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

Fact = tuple[str, ...]

_TOKEN = re.compile(r"[()]|[^\s()]+")
_TYPED = re.compile(r"\(objecttype \?\w+ (\S+)type\)")
_PLACE = re.compile(r"\(receptacletype \?\w+ (\S+)type\)")


class GameError(ValueError):
    """A game that cannot be read; the message says which and why."""


class UnknownGoal(GameError):
    """A goal that is none of the six: only the official engine can judge it."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What a game asks for, in lower case.

    `kind` is of `KINDS`; `target` the type of object, `place` the type of receptacle, or for
    `look_at_obj_in_light` the type of lamp.
    """

    kind: str
    target: str
    place: str


@dataclass(frozen=True, slots=True)
class Problem:
    """The facts that hold at the start, and the goal (None when it is none of the six)."""

    facts: frozenset[Fact]
    goal: Goal | None


def read_problem(text: str) -> Problem:
    """The facts and the goal of a PDDL problem; raises GameError."""
    lowered = text.lower()
    start, goal = lowered.find("(:init"), lowered.find("(:goal")
    if start < 0 or goal < 0:
        raise GameError("the PDDL problem has no (:init …) or no (:goal …)")
    facts = frozenset(_atoms(lowered[start:goal]))
    return Problem(facts, read_goal(lowered[goal:]))


def _atoms(text: str) -> Iterator[Fact]:
    """The atoms of an init section; numeric fluents are left out, as the engine leaves them."""
    stack: list[list[str]] = []
    for token in _TOKEN.findall(text):
        if token == "(":
            stack.append([])
        elif token == ")":
            if not stack:
                return
            atom = stack.pop()
            if atom and atom[0] not in ("=", ":init", "distance", "totalcost") and stack:
                yield tuple(atom)
        elif stack:
            stack[-1].append(token)
    if stack:
        raise GameError("the brackets of the PDDL problem do not close")


def read_goal(text: str) -> Goal | None:
    """The goal, when it asks for what one of the six asks for and for nothing else."""
    types, places = _TYPED.findall(text), _PLACE.findall(text)
    asked = frozenset(_ASKED.findall(text)) - _LOGIC
    kind = _GOALS.get((asked, len(types)))
    if kind is None or len(set(places)) > 1:
        return None
    if kind == "look_at_obj_in_light":
        return Goal(kind, types[-1], types[0])
    return Goal(kind, types[0], places[0]) if len(set(types)) == 1 and places else None


_ASKED = re.compile(r"\(([a-z:]+)")
_LOGIC = {":goal", "and", "exists", "not"}
_PUT = frozenset({"objecttype", "receptacletype", "inreceptacle"})
_LIT = {"toggleable", "istoggled", "receptacleatlocation", "atlocation", "inreceptacle", "holds"}
# The predicates of a goal and how many objects it names, for each kind.
_GOALS = {
    (_PUT, 1): "pick_and_place_simple",
    (frozenset({"objecttype", *_LIT}), 2): "look_at_obj_in_light",
    (_PUT | {"cleanable", "isclean"}, 1): "pick_clean_then_place_in_recep",
    (_PUT | {"heatable", "ishot"}, 1): "pick_heat_then_place_in_recep",
    (_PUT | {"coolable", "iscool"}, 1): "pick_cool_then_place_in_recep",
    (_PUT, 2): "pick_two_obj_and_place",
}
# As the engine numbers them, from 1.
KINDS = (
    "pick_and_place_simple",
    "look_at_obj_in_light",
    "pick_clean_then_place_in_recep",
    "pick_heat_then_place_in_recep",
    "pick_cool_then_place_in_recep",
    "pick_two_obj_and_place",
)
