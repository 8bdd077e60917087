"""What the episodes of a group explored, step by step, beside each other: columns for rewards.

Episodes of a group start from one game and are played in lockstep, so they can be read as parallel
environments, as DPEPO (arXiv 2604.24320) has them. A transition is an action after the one before
it. Counts of step t look at no later step.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from derl_trainers.tasks.environments.episodes import Episode

# How often the episode did this before; had this transition before; how often the others of the
# group had it so far; how many of them do the same now; how many ways the group goes on from here.
EXPLORATION = ("repeats", "moves_repeated", "moves_shared", "doubles", "branches")


def exploration(group: Sequence[Episode]) -> list[dict[str, list[float]]]:
    """The columns of each episode of a group, a number a step; lost episodes count for nobody."""
    alive = [k for k, episode in enumerate(group) if not episode.fault]
    found: list[dict[str, list[float]]] = [{name: [] for name in EXPLORATION} for _ in group]
    actions = [Counter[str]() for _ in group]
    moves = [Counter[tuple[str, str]]() for _ in group]
    ways = _ways([group[k] for k in alive])
    for t in range(max((len(group[k].actions) for k in alive), default=0)):
        now = [k for k in alive if t < len(group[k].actions)]
        acted = {k: group[k].actions[t] for k in now}
        moved = {k: (group[k].actions[t - 1] if t else "", acted[k]) for k in now}
        same = Counter(acted.values())
        everyone = sum((moves[k] for k in alive), Counter[tuple[str, str]]())
        everyone.update(moved.values())
        for k in now:
            own = moves[k][moved[k]]
            row = (
                actions[k][acted[k]], own, everyone[moved[k]] - own - 1, same[acted[k]] - 1,
                len(ways[_seen(group[k], t)]),
            )  # fmt: skip
            for name, value in zip(EXPLORATION, row, strict=True):
                found[k][name].append(float(value))
        for k in now:
            actions[k][acted[k]] += 1
            moves[k][moved[k]] += 1
    return found


def _ways(episodes: Sequence[Episode]) -> dict[str, set[str]]:
    """What the group does after each thing that it sees."""
    found: dict[str, set[str]] = defaultdict(set)
    for episode in episodes:
        for t, action in enumerate(episode.actions):
            found[_seen(episode, t)].add(action)
    return found


def _seen(episode: Episode, t: int) -> str:
    return episode.observations[t - 1] if t else episode.first
