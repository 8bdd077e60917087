"""ScienceWorld's tasks, how many variations of each are for what, and the three levels.

Variations are numbered train, dev, test, in this order without gaps; a test holds the table to the
package's own lists.
"""

from __future__ import annotations

from derl_trainers.tasks.environments.base import Games

# Variations of each task: train, dev, test (scienceworld 1.2.3).
VARIATIONS: dict[str, tuple[int, int, int]] = {
    "boil": (14, 7, 9),
    "change-the-state-of-matter-of": (14, 7, 9),
    "chemistry-mix": (16, 8, 8),
    "chemistry-mix-paint-secondary-color": (18, 9, 9),
    "chemistry-mix-paint-tertiary-color": (18, 9, 9),
    "find-animal": (150, 75, 75),
    "find-living-thing": (150, 75, 75),
    "find-non-living-thing": (150, 75, 75),
    "find-plant": (150, 75, 75),
    "freeze": (14, 7, 9),
    "grow-fruit": (62, 31, 33),
    "grow-plant": (62, 31, 33),
    "identify-life-stages-1": (6, 3, 5),
    "identify-life-stages-2": (4, 2, 4),
    "inclined-plane-determine-angle": (84, 42, 42),
    "inclined-plane-friction-named-surfaces": (692, 346, 348),
    "inclined-plane-friction-unnamed-surfaces": (80, 40, 42),
    "lifespan-longest-lived": (62, 31, 32),
    "lifespan-longest-lived-then-shortest-lived": (62, 31, 32),
    "lifespan-shortest-lived": (62, 31, 32),
    "measure-melting-point-known-substance": (218, 109, 109),
    "measure-melting-point-unknown-substance": (150, 75, 75),
    "melt": (14, 7, 9),
    "mendelian-genetics-known-plant": (60, 30, 30),
    "mendelian-genetics-unknown-plant": (240, 120, 120),
    "power-component": (10, 5, 5),
    "power-component-renewable-vs-nonrenewable-energy": (10, 5, 5),
    "test-conductivity": (450, 225, 225),
    "test-conductivity-of-unknown-substances": (300, 150, 150),
    "use-thermometer": (270, 135, 135),
}
LEFT_OUT = ("use-thermometer",)
HELD_OUT = (
    "change-the-state-of-matter-of",
    "chemistry-mix-paint-tertiary-color",
    "find-plant",
    "grow-plant",
    "identify-life-stages-2",
    "inclined-plane-friction-unnamed-surfaces",
    "lifespan-longest-lived-then-shortest-lived",
    "measure-melting-point-unknown-substance",
    "mendelian-genetics-unknown-plant",
    "test-conductivity-of-unknown-substances",
)
_USED = tuple(task for task in VARIATIONS if task not in LEFT_OUT)


def games(level: str) -> Games:
    """The games of a level, as `task/variation`, as DERL follows RLVMR.

    L0 has the train variations of 29 tasks and tests on their dev variations, L1 tests on
    their test variations, L2 trains on 19 tasks and tests on the test variations of the other ten.
    Validation is the dev variations of the tasks trained on; at L0, which tests on those, every
    fifth of train is kept for it.

    >>> found = games("L2")
    >>> len(found.train), len(found.test)
    (2242, 549)
    """
    trained = tuple(t for t in _USED if level != "L2" or t not in HELD_OUT)
    train = _part(trained, 0)
    if level == "L0":
        kept = [g for k, g in enumerate(train) if k % 5 != 4]
        return Games(tuple(kept), train[4::5], _part(_USED, 1), _kinds())
    tested = HELD_OUT if level == "L2" else _USED
    return Games(train, _part(trained, 1), _part(tested, 2), _kinds())


def _part(tasks: tuple[str, ...], part: int) -> tuple[str, ...]:
    found = []
    for task in tasks:
        start = sum(VARIATIONS[task][:part])
        found += [f"{task}/{start + k}" for k in range(VARIATIONS[task][part])]
    return tuple(found)


def _kinds() -> dict[str, str]:
    return {f"{t}/{k}": t for t, counts in VARIATIONS.items() for k in range(sum(counts))}
