"""What writes the formulas of a search, and what it may know: one interface for all kinds."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from derl_trainers.settings.run import ConfigError, RunConfig

if TYPE_CHECKING:
    from derl_trainers.outer.optimizer import MetaOptimizer

# kind -> module and class; a module is imported when its kind is asked for.
_KINDS = {
    "frozen": ("frozen", "Frozen"),
    "prompted": ("prompted", "Prompted"),
    "evolution": ("evolution", "Evolution"),
    "graph-rl": ("graph_rl", "GraphRL"),
    "graph-fit": ("graph_fit", "GraphFit"),
}


@dataclass(frozen=True, slots=True)
class Past:
    """One formula of an earlier step and what came of it.

    `key` is the equivalence key, None if the formula failed the checker; `message` is then that of
    its first error. `meta_reward` is None where the inner run broke.
    """

    step: int
    formula: str
    key: str | None
    meta_reward: float | None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """What a proposer may need: the start policy's folder, the cold-started language model, suite.

    `meta` loads the language model when it is called.
    """

    policy: str
    meta: Callable[[], MetaOptimizer]
    suite: str


class Proposer(Protocol):
    """Writes the formulas of each outer step."""

    def propose(self, step: int, past: Sequence[Past]) -> list[str]:
        """The group of `step` (from 1): as many texts as `[meta] formulas` says.

        The same step and past give the same texts in any process, whatever was asked before: a
        killed run is resumed by replay. `past` holds all formulas of the steps before, in order.
        """


def make_proposer(config: RunConfig, context: Context) -> Proposer:
    """The proposer of `[proposer] kind`, for every kind but `grpo`, which is TRL's own loop.

    Raises ConfigError where the kind does not go with the suite or the model.
    """
    if config.proposer.kind not in _KINDS:
        raise ConfigError(
            f"[proposer] kind: {config.proposer.kind!r} is trained by the outer GRPO, not asked"
        )
    module, name = _KINDS[config.proposer.kind]
    made: Proposer = getattr(import_module(f"derl_trainers.outer.proposers.{module}"), name)(
        config, context
    )
    return made


def step_random(config: RunConfig, step: int) -> random.Random:
    """The random numbers of one step; the same in every process."""
    return random.Random(f"{config.seed}/{step}")


def step_seed(config: RunConfig, step: int) -> int:
    """A seed of torch for one step; the same in every process."""
    return step_random(config, step).getrandbits(62)


def group_advantages(past: Sequence[Past]) -> list[tuple[Past, float]]:
    """The usable formulas that were scored, each with its advantage in the group of its step.

    As in GRPO: less the group's mean, by its standard deviation. Groups that tell nothing apart
    are left out, and so are runs that broke.
    """
    groups: dict[int, list[tuple[Past, float]]] = {}
    for item in past:
        if item.key is not None and item.meta_reward is not None:
            groups.setdefault(item.step, []).append((item, item.meta_reward))
    found = []
    for _, group in sorted(groups.items()):
        mean = sum(r for _, r in group) / len(group)
        std = (sum((r - mean) ** 2 for _, r in group) / len(group)) ** 0.5
        if std > 1e-9:
            found += [(item, (r - mean) / std) for item, r in group]
    return found


def distinct(past: Sequence[Past]) -> list[tuple[str, float]]:
    """Formulas with different keys, the first text of each, with the mean of its meta-rewards.

    The best first, equally good ones in the order of their steps; failed ones are left out.
    """
    texts: dict[str, str] = {}
    found: dict[str, list[float]] = {}
    for item in past:
        if item.key is not None and item.meta_reward is not None:
            texts.setdefault(item.key, item.formula)
            found.setdefault(item.key, []).append(item.meta_reward)
    scored = [(texts[key], sum(rewards) / len(rewards)) for key, rewards in found.items()]
    return sorted(scored, key=lambda pair: -pair[1])
