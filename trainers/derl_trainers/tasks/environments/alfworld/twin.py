"""A twin of the official engine in plain Python: the same texts, commands and results, much faster.

The engine grounds the PDDL domain, asks a planner's library which of the operators apply, and
derives each command's text from a grammar: .06 to .12 s a step. Here the thirteen actions of
ALFWorld's domain are written out. A test plays hundreds of games in both and holds every feedback,
list of commands and result of the twin to the engine's (`tests/environments/test_alfworld.py`);
games with goals that the twin does not know go to the engine.

What is not obvious, and comes from the engine:
- Names are given by sorting ids: of three apples the first id is `apple 3`.
- Lists in texts are sorted by id, not by name; commands are sorted as text.
- What was taken out of a receptacle and put elsewhere at the same place is listed once more by
  `look`, as lying next to it: the engine remembers that it is not in the first.
- Only the first text of a game lists the room: `look` in the middle of it sees nothing.
- Lamps can be used in closed drawers. Only what is held can be examined, for the domain's other
  condition is read otherwise than it is written.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from derl_trainers.tasks.environments.alfworld.problem import (
    Fact,
    GameError,
    Goal,
    UnknownGoal,
    read_problem,
)
from derl_trainers.tasks.environments.base import Turn

NOTHING = "Nothing happens."
_TASK = re.compile(r"Your task is to: (.*?)\"", re.S)
_HELP = re.compile(r'"rhs": "(\\nAvailable commands:.*?)"\n', re.S)
_SYMBOLS = {"_minus_": "-", "_plus_": "+", "_dot_": ".", "_comma_": ","}
_ALWAYS = ("help", "inventory", "look")


def names_of(ids: Iterable[str]) -> dict[str, str]:
    """The names that the engine shows, by id; ids without a place have no number."""
    ordered = sorted(ids)
    heads = {i: _head(i) for i in ordered}
    left = Counter(head for head in heads.values() if head is not None)
    found = {}
    for i in ordered:
        head = heads[i]
        if head is None:
            found[i] = _plain(i) + " "
        else:
            found[i] = f"{head} {left[head]}"
            left[head] -= 1
    return found


def _head(name: str) -> str | None:
    head, bar, _ = name.partition("_bar_")
    if not bar:
        return None
    return _plain(head) + ("basin" if "basin" in name else "")


def _plain(name: str) -> str:
    for word, symbol in _SYMBOLS.items():
        name = name.replace(word, symbol)
    return name


def _listed(names: list[str]) -> str:
    """A list as the grammar writes it: `a, b, and c`."""
    if not names:
        return "nothing"
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + ", and " + names[-1]


def _middle(receptacles: list[str]) -> str:
    return (
        "You are in the middle of a room. Looking quickly around you, you see "
        f"{_listed(receptacles)}."
    )


class Twin:
    """One game; `reset` starts it again.

    Raises UnknownGoal for a goal that the twin does not know, GameError for a game of another form.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        problem = read_problem(data["pddl_problem"])
        if problem.goal is None:
            raise UnknownGoal("the goal is none of ALFWorld's six")
        self.goal: Goal = problem.goal
        grammar = data["grammar"]
        task, usage = _TASK.search(grammar), _HELP.search(grammar)
        if task is None or usage is None:
            raise GameError("the grammar has no task or no help")
        self.task = task[1]
        self._help = usage[1].replace("\\n", "\n").lstrip("\n")  # the grammar skips leading breaks
        self._index(problem.facts)
        self.reset()

    def _index(self, facts: frozenset[Fact]) -> None:
        by: dict[str, list[Fact]] = defaultdict(list)
        for fact in sorted(facts):
            by[fact[0]].append(fact[1:])
        self._facts = by
        self.names = names_of({name for fact in facts for name in fact[1:]})
        self.place: dict[str, str] = {f[0]: f[1] for f in by["receptacleatlocation"]}
        self.at: dict[str, list[str]] = defaultdict(list)
        for r, spot in by["receptacleatlocation"]:
            self.at[spot].append(r)
        self.kind = {r: t.removesuffix("type") for r, t in by["receptacletype"]}
        self.type = {o: t.removesuffix("type") for o, t in by["objecttype"]}
        self.fits = {(r.removesuffix("type"), o.removesuffix("type")) for r, o in by["cancontain"]}
        self.openable, self.pickupable = _names(by["openable"]), _names(by["pickupable"])
        self.cleanable, self.heatable = _names(by["cleanable"]), _names(by["heatable"])
        self.coolable, self.sliceable = _names(by["coolable"]), _names(by["sliceable"])
        self.toggleable, self.bowls = _names(by["toggleable"]), _names(by["isreceptacleobject"])
        self._inner = list(by["inreceptacleobject"])
        self._going = {
            spot: [f"go to {self.names[r]}" for r, at in self.place.items() if at != spot]
            for spot in {*self.place.values(), by["atlocation"][0][1]}
        }
        self._receptacles = {self.names[r]: r for r in self.place}
        self._objects = {self.names[o]: o for o in self.type}

    # State

    def reset(self) -> Turn:
        """The game from its start."""
        by = self._facts
        self.location = by["atlocation"][0][1]
        self.inside: dict[str, set[str]] = defaultdict(set)
        for o, r in by["inreceptacle"]:
            self.inside[r].add(o)
        self.where: dict[str, str] = {f[0]: f[1] for f in by["objectatlocation"]}
        self.holding = by["holds"][0][1] if by["holds"] else None
        self.opened = set(_names(by["opened"]))
        self.clean, self.hot = set(_names(by["isclean"])), set(_names(by["ishot"]))
        self.cool, self.sliced = set(_names(by["iscool"])), set(_names(by["issliced"]))
        self.toggled = set(_names(by["istoggled"]))
        # What was taken out of a receptacle, which the engine remembers.
        self.absent: set[tuple[str, str]] = set()
        room = [f"a {self.names[r]}" for r in self.place]
        seen = self._look() if self.at[self.location] else _middle(room)
        intro = f"-= Welcome to TextWorld, ALFRED! =-\n\n{seen}\n\n"
        return self._turn(f"{intro}Your task is to: {self.task}", True)

    def _turn(self, text: str, valid: bool) -> Turn:
        won = self.won
        self.commands = self._admissible()
        return Turn(text, tuple(self.commands), self.progress, won, won, valid)

    def step(self, action: str) -> Turn:
        """Take an action; what is not admissible changes nothing."""
        action = action.strip()
        if action not in self.commands:
            return self._turn(NOTHING, False)
        verb, _, rest = action.partition(" ")
        return self._turn(_VERBS[verb](self, rest), True)

    def _open(self, r: str) -> bool:
        return r not in self.openable or r in self.opened

    # Commands

    def _admissible(self) -> list[str]:
        names, held, here = self.names, self.holding, self.at[self.location]
        found = [*_ALWAYS, *self._going[self.location]]
        for r in here:
            name, kind = names[r], self.kind.get(r)
            found.append(f"examine {name}")
            if r in self.openable:
                found.append(f"close {name}" if r in self.opened else f"open {name}")
            accessible = self._open(r)
            for o in self.inside[r]:
                if o in self.toggleable:
                    found.append(f"use {names[o]}")
                if accessible and held is None and o in self.pickupable:
                    found.append(f"take {names[o]} from {name}")
            if held is not None:
                found += self._with(held, name, kind)
                if accessible and (kind, self.type[held]) in self.fits:
                    found.append(f"move {names[held]} to {name}")
        if held is not None:
            found.append(f"examine {names[held]}")
            found += self._slicing(held)
        return sorted(set(found))

    def _with(self, held: str, name: str, kind: str | None) -> list[str]:
        able = {
            "sinkbasin": ("clean", self.cleanable),
            "microwave": ("heat", self.heatable),
            "fridge": ("cool", self.coolable),
        }.get(kind or "")
        if able is None or held not in able[1]:
            return []
        return [f"{able[0]} {self.names[held]} with {name}"]

    def _slicing(self, held: str) -> list[str]:
        if self.type[held] not in ("knife", "butterknife"):
            return []
        here = [o for o in self.sliceable if self.where.get(o) == self.location]
        return [f"slice {self.names[o]} with {self.names[held]}" for o in here]

    # Actions: what follows the verb, to the feedback

    def _go(self, rest: str) -> str:
        r = self._receptacles[rest.removeprefix("to ")]
        self.location = self.place[r]
        return f"You arrive at {self.names[r]}. {self._examine_receptacle(r)}"

    def _open_it(self, rest: str) -> str:
        r = self._receptacles[rest]
        self.opened.add(r)
        return f"You open the {rest}. {self._examine_receptacle(r)}"

    def _close_it(self, rest: str) -> str:
        self.opened.discard(self._receptacles[rest])
        return f"You close the {rest}."

    def _take(self, rest: str) -> str:
        name, _, place = rest.partition(" from ")
        o, r = self._objects[name], self._receptacles[place]
        self.inside[r].discard(o)
        self.absent.add((o, r))
        self.where.pop(o, None)
        self.holding = o
        return f"You pick up the {name} from the {place}."

    def _move(self, rest: str) -> str:
        name, _, place = rest.partition(" to ")
        o, r = self._objects[name], self._receptacles[place]
        self.inside[r].add(o)
        self.absent.discard((o, r))
        self.where[o] = self.location
        self.holding = None
        return f"You move the {name} to the {place}."

    def _clean(self, rest: str) -> str:
        name, _, place = rest.partition(" with ")
        self.clean.add(self._objects[name])
        return f"You clean the {name} using the {place}."

    def _heat(self, rest: str) -> str:
        name, _, place = rest.partition(" with ")
        self.hot.add(self._objects[name])
        self.cool.discard(self._objects[name])
        return f"You heat the {name} using the {place}."

    def _cool(self, rest: str) -> str:
        name, _, place = rest.partition(" with ")
        self.cool.add(self._objects[name])
        self.hot.discard(self._objects[name])
        return f"You cool the {name} using the {place}."

    def _use(self, rest: str) -> str:
        self.toggled.add(self._objects[rest])
        return f"You turn on the {rest}."

    def _slice(self, rest: str) -> str:
        name, _, knife = rest.partition(" with ")
        self.sliced.add(self._objects[name])
        return f"You sliced the {name} with the {knife}."

    def _inventory(self, _: str) -> str:
        if self.holding is None:
            return "You are not carrying anything."
        return f"You are carrying: a {self.names[self.holding]}."

    def _usage(self, _: str) -> str:
        return self._help

    def _look(self, _: str = "") -> str:
        here = self.at[self.location]
        if not here:
            return _middle([])
        beside = [
            f"a {self.names[o]}"
            for o in sorted(self.where)
            if self.where[o] == self.location
            for r in here
            if (o, r) in self.absent
        ]
        facing = _listed([self.names[r] for r in here])
        return f"You are facing the {facing}. Next to it, you see {_listed(beside)}."

    def _examine(self, rest: str) -> str:
        r = self._receptacles.get(rest)
        return self._examine_receptacle(r) if r else self._examine_object(self._objects[rest])

    def _examine_receptacle(self, r: str) -> str:
        name = self.names[r]
        if r in self.openable and r not in self.opened:
            return f"The {name} is closed."
        seen = _listed([f"a {self.names[o]}" for o in sorted(self.inside[r])])
        if r in self.openable:
            return f"The {name} is open. In it, you see {seen}."
        return f"On the {name}, you see {seen}."

    def _examine_object(self, o: str) -> str:
        name = self.names[o]
        if o in self.bowls:
            inner = _listed([f"a {self.names[i]}" for i, outer in self._inner if outer == o])
            return f"This is a normal {name}. In it, you see {inner}."
        clean, hot, cool, sliced = (o in s for s in (self.clean, self.hot, self.cool, self.sliced))
        cut = "sliced " if sliced else ""
        if clean and (hot or cool):
            return f"This is a {'hot' if hot else 'cool'} and clean {cut}{name}."
        if clean and sliced:
            return f"This is a clean sliced {name}."
        if hot:
            return f"This is a hot {cut}{name}."
        if cool and sliced:
            return f"This is a cool sliced {name}."
        if clean:
            return f"This is a clean {name}."
        if cool:
            return f"This is a cold {name}."
        if o in self.toggled and o in self.toggleable:
            return f"This {name} is on."
        return f"This is a sliced {name}." if sliced else f"There's nothing special about {name}."

    # The goal

    @property
    def won(self) -> bool:
        """Whether the goal holds now."""
        return self.progress == 1.0

    @property
    def progress(self) -> float:
        """The share of the goal's conditions that hold, in [0, 1]; 1 is the engine's `won`.

        Of the object that has most of them: found (held, or in place), in the state asked for, in
        place; of a pair, the two objects' conditions; under a lamp, holding it and the lamp on.
        """
        goal = self.goal
        if goal.kind == "look_at_obj_in_light":
            held = self.holding is not None and self.type[self.holding] == goal.target
            return (held + self._lit()) / 2
        if goal.kind == "pick_two_obj_and_place":
            done = self._placed()
            held = self.holding is not None and self.type[self.holding] == goal.target
            return min(1.0, (2 * min(done, 2) + (held and done < 2)) / 4)
        state = self._state()
        best = 0.0
        for o, kind in self.type.items():
            if kind == goal.target:
                ready = 0.0 if state is None else float(o in state)
                placed, near = float(self._in_place(o)), float(self.holding == o)
                if state is None:
                    best = max(best, placed + near / 2)
                else:
                    best = max(best, (max(near, placed) + ready + placed) / 3)
        return min(best, 1.0)

    def _state(self) -> set[str] | None:
        able = {
            "pick_clean_then_place_in_recep": self.clean & self.cleanable,
            "pick_heat_then_place_in_recep": self.hot & self.heatable,
            "pick_cool_then_place_in_recep": self.cool & self.coolable,
        }
        return able.get(self.goal.kind)

    def _in_place(self, o: str) -> bool:
        return any(o in self.inside[r] and self.kind.get(r) == self.goal.place for r in self.place)

    def _placed(self) -> int:
        """How many objects of the kind lie in one receptacle of the kind, at most."""
        counts = [
            sum(self.type[o] == self.goal.target for o in self.inside[r])
            for r in self.place
            if self.kind.get(r) == self.goal.place
        ]
        return max(counts, default=0)

    def _lit(self) -> bool:
        """Whether a lamp of the kind is on, where the agent is."""
        return any(
            o in self.toggled and self.type[o] == self.goal.place
            for r in self.at[self.location]
            for o in self.inside[r]
            if o in self.toggleable
        )


def _names(facts: list[Fact]) -> frozenset[str]:
    return frozenset(fact[0] for fact in facts)


_VERBS = {
    "go": Twin._go,
    "open": Twin._open_it,
    "close": Twin._close_it,
    "take": Twin._take,
    "move": Twin._move,
    "clean": Twin._clean,
    "heat": Twin._heat,
    "cool": Twin._cool,
    "use": Twin._use,
    "slice": Twin._slice,
    "inventory": Twin._inventory,
    "help": Twin._usage,
    "look": Twin._look,
    "examine": Twin._examine,
}
