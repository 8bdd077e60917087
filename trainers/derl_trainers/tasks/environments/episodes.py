"""Episodes: what an agent did in a game, step by step, and the scores that its steps earn.

Step scores come from two sources. Tags, as in RLVMR (arXiv 2507.22844), by string checks, weight 1:
`<planning>` 1 in an episode that is solved, `<explore>` 1 for an action that is new in the episode,
`<reflection>` 1 when the action before was invalid and this one differs, `<monitor>` 0; a step with
another layout 0. Or the environment: how far its score rose with the step, for policies that write
no tags (ours, not RLVMR's).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from derl_trainers.tasks.environments.base import Turn

TAGS = ("planning", "explore", "reflection", "monitor")
LONGEST_ACTION = 256
LONGEST_OBSERVATION = 4000
_TAG = "|".join(TAGS)
_FORMAT = re.compile(
    rf"\s*<(?P<tag>{_TAG})>(?P<thought>.*?)</(?P=tag)>\s*<action>(?P<action>.*?)</action>\s*", re.S
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Move:
    """What an agent wrote, read: its tag ("" when the layout is another) and its action."""

    tag: str
    action: str


def read_move(text: str) -> Move:
    """Tag and action of an agent's text; of another layout the last `<action>`, or the whole text.

    Actions are cut at 256 characters, which no environment's command reaches.

    >>> read_move("<explore>the desk</explore><action>go to desk 1</action>")
    Move(tag='explore', action='go to desk 1')
    >>> read_move("open drawer 1")
    Move(tag='', action='open drawer 1')
    """
    found = _FORMAT.fullmatch(text)
    if found is not None and text.count("<action>") == 1:
        return Move(found["tag"], _clean(found["action"], LONGEST_ACTION))
    actions = re.findall(r"<action>(.*?)</action>", text, re.S)
    return Move("", _clean(actions[-1] if actions else text, LONGEST_ACTION))


def _clean(text: str, longest: int) -> str:
    """A text without control characters, cut; line breaks and tabs stay."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text.strip())[:longest]


def shown(observation: str) -> str:
    """An observation as an agent reads it: no control characters, cut at 4,000."""
    return _clean(observation, LONGEST_OBSERVATION)


@dataclass(slots=True)
class Episode:
    """One game as it was played: a list entry per step.

    `observations[t]` is what followed `actions[t]`; `first` is what the game began with. `scores`
    is the environment's score after each step. `fault` says why an episode was lost; it then has
    no step scores and must not be trained on.
    """

    game: str
    kind: str
    level: str
    first: str
    actions: list[str] = field(default_factory=list)
    observations: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    valid: list[bool] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    solved: bool = False
    fault: str = ""

    def add(self, move: Move, turn: Turn) -> None:
        """One more step."""
        self.actions.append(move.action)
        self.tags.append(move.tag)
        self.observations.append(shown(turn.observation))
        self.valid.append(turn.valid)
        self.scores.append(turn.score)
        self.solved = turn.won

    def step_scores(self, source: str) -> list[float]:
        """A score in [0, 1] for each step, from tags or from the environment."""
        if source == "tags":
            return list(_by_tags(self))
        before = [0.0, *self.scores]
        return [max(0.0, b - a) for a, b in zip(before, self.scores, strict=False)]

    def columns(self, source: str) -> dict[str, Any]:
        """What the suites `derl-agent` and `agent` read of an episode."""
        return {
            "solved": self.solved,
            "actions": list(self.actions),
            "observations": list(self.observations),
            "tags": list(self.tags),
            "valid": list(self.valid),
            "scores": list(self.scores),
            "step_scores": self.step_scores(source),
        }


def _by_tags(episode: Episode) -> Iterator[float]:
    seen: set[str] = set()
    for t, (tag, action) in enumerate(zip(episode.tags, episode.actions, strict=True)):
        new = action not in seen
        seen.add(action)
        mended = t > 0 and not episode.valid[t - 1] and action != episode.actions[t - 1]
        earned: Mapping[str, bool] = {
            "planning": episode.solved,
            "explore": new,
            "reflection": mended,
        }
        yield float(earned.get(tag, False))
