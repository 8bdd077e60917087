"""Games in the official format, made from ALFWorld's own floor plans, affordances and goals.

The official games are downloads; the package brings what they were made from: 120 floor plans with
where each receptacle stands, what may lie where, what can be cleaned, heated and cooled, the goals
with their sentences, the PDDL domain and the grammar. A game here is a floor plan, a goal that it
allows, its objects laid out at random, and `solvable` as the expert's plan proves. Results on them
are labelled "generated ALFWorld": the official games were recorded in a simulator, and hard to
compare.
"""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from derl_trainers.tasks.base import TaskError
from derl_trainers.tasks.environments.alfworld.expert import plan
from derl_trainers.tasks.environments.alfworld.twin import Twin

# Scenes that no training game is in; the engine's own split of its 120 floor plans.
UNSEEN = tuple(base + n for base in (0, 200, 300, 400) for n in range(1, 7))
_START = "loc|0|0|0|30"
_LAMP = "DeskLamp"
_TRIES = 200


def _constants() -> Any:
    try:
        import alfworld.gen.constants as constants
    except ModuleNotFoundError:
        raise TaskError("alfworld is not installed: pip install 'derl-dsl[agents]'") from None
    return constants


@dataclass(frozen=True, slots=True)
class Scene:
    """A floor plan: its number, its receptacles with where to stand, and its kinds of objects."""

    number: int
    room: str
    receptacles: tuple[tuple[str, str, str], ...]
    objects: tuple[str, ...]


@dataclass(slots=True)
class _Room:
    """A scene being filled: receptacles kept (id, type, place), objects (id, type, receptacle)."""

    scene: Scene
    rng: random.Random
    receptacles: list[tuple[str, str, str]]
    objects: list[tuple[str, str, str]] = field(default_factory=list)

    def put(self, kind: str, places: Sequence[str]) -> bool:
        """One more object of a kind in one of the receptacles of these types; False without one."""
        fitting = [r for r, t, _ in self.receptacles if t in places]
        if not fitting:
            return False
        x, y, z = (self.rng.uniform(-3, 3), self.rng.uniform(0, 2), self.rng.uniform(-3, 3))
        name = f"{kind}|{x:+06.2f}|{y:+06.2f}|{z:+06.2f}"
        self.objects.append((name, kind, self.rng.choice(fitting)))
        return True


@cache
def scenes() -> Mapping[int, Scene]:
    """The floor plans of the package, by number; raises TaskError without it."""
    constants = _constants()
    folder = Path(constants.__file__).parent / "layouts"
    found = {}
    for number in sorted(constants.SCENE_NUMBERS):
        standing = json.loads((folder / f"FloorPlan{number}-openable.json").read_text("utf-8"))
        kinds = json.loads((folder / f"FloorPlan{number}-objects.json").read_text("utf-8"))
        receptacles = []
        for name, (x, z, turn, horizon) in sorted(standing.items()):
            parts = name.split("|")
            kind = parts[4] if len(parts) > 4 else parts[0]
            if kind in constants.RECEPTACLES and kind not in constants.MOVABLE_RECEPTACLES_SET:
                place = f"loc|{round(x * 4)}|{round(z * 4)}|{round(turn)}|{round(horizon)}"
                receptacles.append((name, kind, place))
        room = next(r for r, numbers in constants.SCENE_TYPE.items() if number in numbers)
        found[number] = Scene(number, room, tuple(receptacles), tuple(sorted(kinds)))
    return found


def generate(kind: str, part: str, index: int, seed: int = 0, receptacles: int = 0) -> Game:
    """One game of a kind of task: the same for the same arguments.

    `part` decides the floor plans: `valid_unseen` has those that no other part has. `receptacles`
    keeps a room small: at most so many of them, 0 keeps all. Raises TaskError.
    """
    rng = random.Random(f"{seed} {part} {kind} {index}")
    for _ in range(_TRIES):
        number = rng.choice(_fitting(kind, part == "valid_unseen"))
        made = _try(kind, scenes()[number], rng, receptacles)
        if made is not None:
            return made
    raise TaskError(f"no game of {kind} with {receptacles} receptacles in {_TRIES} tries")


@dataclass(frozen=True, slots=True)
class Game:
    """A game: `data` is what `game.tw-pddl` holds, `trajectory` is `traj_data.json`."""

    data: Mapping[str, Any]
    trajectory: Mapping[str, Any]

    def write(self, folder: Path) -> Path:
        """Write both files as the engine looks for them; the path of the game."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "traj_data.json").write_text(json.dumps(self.trajectory), encoding="utf-8")
        path = folder / "game.tw-pddl"
        path.write_text(json.dumps(self.data), encoding="utf-8")
        return path


@cache
def _fitting(kind: str, unseen: bool) -> tuple[int, ...]:
    """The floor plans that a kind of task can be played in."""
    rooms = _constants().GOALS_VALID[kind]
    return tuple(
        n
        for n, scene in scenes().items()
        if (n in UNSEEN) == unseen
        and scene.room in rooms
        and (kind != "look_at_obj_in_light" or _LAMP in scene.objects)
    )


@cache
def _places() -> Mapping[str, tuple[str, ...]]:
    """The types of receptacles that an object may lie in, by its type."""
    found: dict[str, list[str]] = defaultdict(list)
    constants = _constants()
    for receptacle, kinds in sorted(constants.VAL_RECEPTACLE_OBJECTS.items()):
        if receptacle not in constants.MOVABLE_RECEPTACLES_SET:
            for kind in kinds:
                found[kind].append(receptacle)
    return {kind: tuple(types) for kind, types in found.items()}


def _ability(kind: str) -> frozenset[str] | None:
    actions = _constants().VAL_ACTION_OBJECTS
    return {
        "pick_clean_then_place_in_recep": frozenset(actions["Cleanable"]),
        "pick_heat_then_place_in_recep": frozenset(actions["Heatable"]),
        "pick_cool_then_place_in_recep": frozenset(actions["Coolable"]),
    }.get(kind)


_TOOLS = {
    "pick_clean_then_place_in_recep": "SinkBasin",
    "pick_heat_then_place_in_recep": "Microwave",
    "pick_cool_then_place_in_recep": "Fridge",
}


def _try(kind: str, scene: Scene, rng: random.Random, most: int) -> Game | None:
    """A game in this scene, None when it does not come out."""
    able, tool = _ability(kind), _TOOLS.get(kind)
    here = {t for _, t, _ in scene.receptacles}
    if tool is not None and tool not in here:
        return None
    kinds = [k for k in scene.objects if k in _places() and here & set(_places()[k])]
    targets = [k for k in kinds if able is None or k in able]
    lit = kind == "look_at_obj_in_light"
    pairs = [(k, t) for k in targets for t in _places()[k] if t in here and t != tool]
    if lit:
        pairs = [(k, _LAMP) for k in targets]
    if not pairs:
        return None
    target, place = rng.choice(pairs)
    room = _Room(scene, rng, _kept(scene, rng, most, {tool, place}))
    free = [t for t in _places()[target] if t != place]
    for _ in range(2 if kind == "pick_two_obj_and_place" else 1):
        if not room.put(target, free):
            return None
    if lit and not room.put(_LAMP, ("Desk", "SideTable", "Dresser", "Shelf", "CoffeeTable")):
        return None
    for other in kinds:
        for _ in range(rng.choice((0, 1, 1, 2)) if other != target else rng.choice((0, 0, 1))):
            room.put(other, _places()[other] if other != target else free)
    return _finished(kind, target, place, room)


def _kept(
    scene: Scene, rng: random.Random, most: int, needed: set[str | None]
) -> list[tuple[str, str, str]]:
    """Some of the receptacles, one of each needed type among them."""
    every = list(scene.receptacles)
    if not most or len(every) <= most:
        return every
    rng.shuffle(every)
    every.sort(key=lambda r: r[1] not in needed)
    firsts = {r[1]: r for r in reversed(every) if r[1] in needed}
    rest = [r for r in every if r not in firsts.values()]
    rng.shuffle(rest)
    return sorted([*firsts.values(), *rest[: most - len(firsts)]])


def _finished(kind: str, target: str, place: str, room: _Room) -> Game | None:
    import alfworld.gen.goal_library as goals
    from alfworld.info import ALFRED_PDDL_PATH, ALFRED_TWL2_PATH

    lit = kind == "look_at_obj_in_light"
    words = {"obj": target, "recep": "" if lit else place, "toggle": place if lit else ""}
    sentence = room.rng.choice(goals.gdict[kind]["templates"]).format(
        **{k: v.lower() for k, v in words.items()}
    )
    goal = goals.gdict[kind]["pddl"].format(**words).replace("#", "-")
    data = {
        "pddl_domain": _text(ALFRED_PDDL_PATH),
        "grammar": _text(ALFRED_TWL2_PATH).replace("UNKNOWN GOAL", sentence),
        "pddl_problem": _problem(room, goal),
        "solvable": True,
    }
    walkthrough = plan(Twin(data))
    if walkthrough is None:
        return None
    trajectory = {
        "task_type": kind,
        "task_desc": sentence,
        "scene": {"floor_plan": f"FloorPlan{room.scene.number}", "scene_num": room.scene.number},
        "pddl_params": {
            "object_target": target, "parent_target": words["recep"], "object_sliced": False,
            "toggle_target": words["toggle"], "mrecep_target": "",
        },
        "turk_annotations": {"anns": [{"task_desc": sentence}]},
    }  # fmt: skip
    return Game({**data, "walkthrough": list(walkthrough)}, trajectory)


@cache
def _text(path: str) -> str:
    return Path(path).read_text(encoding="utf-8")


def _fix(text: str) -> str:
    """Ids as PDDL can write them, as the package's own generator does."""
    for symbol, word in (("|", "bar"), ("-", "minus"), ("+", "plus"), (".", "dot"), (",", "comma")):
        text = text.replace(symbol, f"_{word}_")
    return text


def _problem(room: _Room, goal: str) -> str:
    constants = _constants()
    actions = constants.VAL_ACTION_OBJECTS
    receptacles = [(_fix(r), t, _fix(spot)) for r, t, spot in room.receptacles]
    objects = [(_fix(o), t, _fix(r)) for o, t, r in room.objects]
    stand = {r: spot for r, _, spot in receptacles}
    start = _fix(_START)
    while start in stand.values():
        start += "0"
    # The domain names these types, whether the room has such things or not.
    rtypes = sorted({t for _, t, _ in receptacles} | {"SinkBasin", "Microwave", "Fridge"})
    otypes = sorted({t for _, t, _ in objects} | {"Knife", "ButterKnife"})
    declared = ["agent1 - agent"]
    declared += [f"{o} - object" for o, _, _ in objects]
    declared += [f"{r} - receptacle" for r, _, _ in receptacles]
    declared += [f"{t}Type - otype" for t in otypes] + [f"{t}Type - rtype" for t in rtypes]
    declared += [f"{place} - location" for place in sorted({*stand.values(), start})]
    facts = [f"(atLocation agent1 {start})"]
    for r, t, place in receptacles:
        facts += [f"(receptacleType {r} {t}Type)", f"(receptacleAtLocation {r} {place})"]
        if t in constants.OPENABLE_CLASS_SET:
            facts.append(f"(openable {r})")
    for o, t, r in objects:
        facts += [f"(objectType {o} {t}Type)", f"(inReceptacle {o} {r})"]
        facts.append(f"(objectAtLocation {o} {stand[r]})")
        facts.append(f"(toggleable {o})" if t == _LAMP else f"(pickupable {o})")
        if t in constants.MOVABLE_RECEPTACLES_SET:
            facts.append(f"(isReceptacleObject {o})")
        for action in ("Cleanable", "Heatable", "Coolable", "Sliceable"):
            if t in actions[action]:
                facts.append(f"({action.lower()} {o})")
    for o in otypes:
        facts += [f"(canContain {r}Type {o}Type)" for r in rtypes if r in _places().get(o, ())]
    lines = "\n        ".join
    return (
        f"(define (problem generated)\n    (:domain alfred)\n    (:objects\n        "
        f"{lines(declared)}\n    )\n    (:init\n        (= (total-cost) 0)\n        {lines(facts)}"
        f"\n    )\n{goal}"
    )
