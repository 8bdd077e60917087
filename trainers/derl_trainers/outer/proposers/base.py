"""What writes the formulas of a search, and what it may know: one interface for all kinds."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import ClassVar

from derl_trainers.outer.optimizer import (
    MetaOptimizer,
    build_meta_optimizer,
    load_meta_optimizer,
)
from derl_trainers.outer.run import Run
from derl_trainers.runs.jobs import Policy
from derl_trainers.settings.proposers import PROPOSERS
from derl_trainers.settings.run import RunConfig


@dataclass(frozen=True, slots=True)
class Past:
    """One formula of an earlier step and what came of it.

    `key` is the equivalence key, None if the formula failed the checker; `message` is then that of
    its first error. `meta_reward` is None where the machine failed its inner run.
    """

    step: int
    formula: str
    key: str | None
    meta_reward: float | None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """What a proposer may need: the run, the start policy, the folder of its cold-started model."""

    run: Run
    policy: Policy
    cold: Path | None

    @property
    def config(self) -> RunConfig:
        """The settings of the run."""
        return self.run.config

    @property
    def suite(self) -> str:
        """The suite whose names formulas may use."""
        return self.run.config.suite

    def meta(self) -> MetaOptimizer:
        """The language model of `[meta]`: cold-started where the proposer wants it so."""
        config = self.run.config
        if self.cold is None:
            return build_meta_optimizer(config.meta, config.suite, config.seed)
        return load_meta_optimizer(config.meta, config.suite, self.cold)


class Proposer:
    """Writes the formulas of each outer step, and learns from their meta-rewards.

    `cold` says whether it begins with a cold-started language model.
    """

    cold: ClassVar[bool] = False

    def __init__(self, context: Context) -> None:
        self.context = context
        self.config = context.config

    @classmethod
    def check(cls, config: RunConfig) -> None:
        """Raise ConfigError where it does not go with the suite or the model."""

    @property
    def done(self) -> int:
        """The steps that it need not take again: those with all their meta-rewards."""
        return self.context.run.store.steps_scored()

    def propose(self, step: int, past: Sequence[Past]) -> list[str]:
        """The texts of `step`; what was said before a run was killed holds."""
        return self.context.run.store.completions(step) or self.write(step, past)

    def write(self, step: int, past: Sequence[Past]) -> list[str]:
        """The group of `step` (from 1): as many texts as `[meta] formulas` says.

        The same step and past give the same texts in any process, whatever was asked before: a
        killed run is resumed by replay. `past` holds all formulas of the steps before, in order.
        """
        raise NotImplementedError

    def learn(self, step: int, rewards: Sequence[float | None]) -> None:
        """Hear the meta-rewards of the group; most read them from the past when they are asked."""

    def finish(self, step: int) -> None:
        """The search came to its end after `step`."""

    def close(self) -> None:
        """Give up what is under way."""


def proposer_class(config: RunConfig) -> type[Proposer]:
    """The class of `[proposer] kind`, imported when it is asked for."""
    module, _, name = PROPOSERS[config.proposer.kind].place.partition(":")
    found: type[Proposer] = getattr(import_module(module), name)
    return found


def make_proposer(context: Context) -> Proposer:
    """The proposer of `[proposer] kind`."""
    return proposer_class(context.config)(context)


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
