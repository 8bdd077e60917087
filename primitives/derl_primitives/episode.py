"""Primitives over the steps of an agent's episode: one list per rollout, one value per step."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import pairwise

from derl_primitives.primitive import primitive

_SOURCE = "step rewards of RLVMR (arXiv 2507.22844)"
Actions = Sequence[Sequence[str]]
Numbers = Sequence[Sequence[float]]


@primitive("(actions: list[text]) -> list[bool]", cost="scan", source=_SOURCE, circling="once")
def is_new(actions: Actions) -> list[list[bool]]:
    """For each step whether its action did not occur before in the episode.

    >>> is_new([["look", "open", "look"], []])
    [[True, True, False], []]
    """
    found = []
    for steps in actions:
        seen: set[Hashable] = set()
        found.append([not (a in seen or seen.add(a)) for a in steps])  # type: ignore[func-returns-value]
    return found


@primitive("(actions: list[text]) -> list[bool]", cost="scan", source=_SOURCE)
def changes(actions: Actions) -> list[list[bool]]:
    """For each step whether its action differs from the one before; false at the first step.

    >>> changes([["look", "look", "open"], ["look"]])
    [[False, False, True], [False]]
    """
    return [[a != b for a, b in pairwise([*steps[:1], *steps])] for steps in actions]


@primitive("(flags: list[bool]) -> list[bool]", cost="scan", source=_SOURCE)
def previous(flags: Sequence[Sequence[bool]]) -> list[list[bool]]:
    """For each step the condition at the step before; false at the first step.

    >>> previous([[True, False, False], [True]])
    [[False, True, False], [False]]
    """
    return [[False, *map(bool, steps[:-1])] if len(steps) else [] for steps in flags]


@primitive(
    "(scores: list[number[0, 1]]) -> list[number[-1, 1]]",
    cost="scan",
    source="potential differences of Ng, Harada, Russell (ICML 1999), without discount",
    circling="cancels",
)
def gain(scores: Numbers) -> list[list[float]]:
    """For each step how far a measure rose since the step before; at the first step since 0.

    >>> gain([[0.25, 0.25, 0.0, 1.0], []])
    [[0.25, 0.0, -0.25, 1.0], []]
    """
    return [[float(b) - float(a) for a, b in pairwise([0.0, *steps])] for steps in scores]
