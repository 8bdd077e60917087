"""ALFWorld's games and its three levels, generated or official.

Ids are `part/kind/number` of generated games, and paths of official ones.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from derl_trainers.tasks.base import TaskError
from derl_trainers.tasks.environments.alfworld.problem import KINDS
from derl_trainers.tasks.environments.base import Games

# L2 trains on types 1 to 4 and is tested on cool-then-place and pick-two.
HELD_OUT = KINDS[4:]
PARTS = ("train", "validation", "valid_seen", "valid_unseen")


def games(level: str, counts: dict[str, int]) -> Games:
    """The generated games of a level; `counts` has how many of each part.

    L0 trains on all six kinds and tests on `valid_seen` (the floor plans of training), L1 on
    `valid_unseen` (other floor plans), L2 trains on four kinds and tests on the other two in
    `valid_unseen`.

    >>> found = games("L2", {"train": 8, "validation": 4, "valid_seen": 6, "valid_unseen": 4})
    >>> found.test
    ('valid_unseen/pick_cool_then_place_in_recep/0', 'valid_unseen/pick_two_obj_and_place/0', \
'valid_unseen/pick_cool_then_place_in_recep/1', 'valid_unseen/pick_two_obj_and_place/1')
    """
    trained = KINDS if level != "L2" else tuple(k for k in KINDS if k not in HELD_OUT)
    tested = KINDS if level != "L2" else HELD_OUT
    part = "valid_seen" if level == "L0" else "valid_unseen"
    train = _ids("train", trained, counts["train"])
    validation = _ids("validation", trained, counts["validation"])
    test = _ids(part, tested, counts[part])
    kinds = {game: game.split("/")[1] for game in (*train, *validation, *test)}
    return Games(train, validation, test, kinds)


def _ids(part: str, kinds: tuple[str, ...], count: int) -> tuple[str, ...]:
    return tuple(f"{part}/{kinds[k % len(kinds)]}/{k // len(kinds)}" for k in range(count))


def official(root: Path, level: str) -> Games:
    """The official games below `$ALFWORLD_DATA`; a tenth of train is kept for validation.

    Games that the engine skips (movable receptacles, sliced objects, not solvable) are left out.
    Raises TaskError when a part holds none.
    """
    trained = KINDS if level != "L2" else tuple(k for k in KINDS if k not in HELD_OUT)
    tested = KINDS if level != "L2" else HELD_OUT
    part = "valid_seen" if level == "L0" else "valid_unseen"
    found: dict[str, str] = {}
    pool = _found(root, "train", trained, found)
    test = _found(root, part, tested, found)
    train = tuple(g for k, g in enumerate(pool) if k % 10 != 9)
    return Games(train, pool[9::10], test, found)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise TaskError(f"{path}: no game that can be read: {error}") from None
    if not isinstance(found, dict):
        raise TaskError(f"{path}: no game that can be read: it holds no object")
    return found


def _found(root: Path, part: str, kinds: tuple[str, ...], known: dict[str, str]) -> tuple[str, ...]:
    folders = [root / "json_2.1.1" / part, root / part]
    folder = next((f for f in folders if f.is_dir()), None)
    if folder is None:
        raise TaskError(
            f"{root}: no folder of ALFWorld games: it has no json_2.1.1/{part}, which "
            "alfworld-download makes"
        )
    ids = []
    for path in sorted(folder.rglob("game.tw-pddl")):
        if "movable" in str(path) or "Sliced" in str(path):
            continue
        kind = _read(path.parent / "traj_data.json").get("task_type")
        if _read(path).get("solvable") and kind in kinds:
            ids.append(str(path))
            known[str(path)] = kind
    if not ids:
        raise TaskError(f"{folder}: holds no game of these kinds: {', '.join(kinds)}")
    return tuple(ids)
