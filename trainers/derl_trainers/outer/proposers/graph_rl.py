"""`graph-rl`: the weights of the graph drawn from a Gaussian that REINFORCE moves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from derl_trainers.outer.proposers.base import Past, group_advantages, step_random
from derl_trainers.outer.proposers.graph import Networked, Weights

_WIDEST = 5.0  # how far, up or down, the standard deviations may go from where they began


@dataclass(frozen=True, slots=True)
class Gaussian:
    """A normal distribution over the weights, each on its own; mean and log of the deviation."""

    mean: Weights
    log_sigma: Weights


class GraphRL(Networked):
    """A policy over weights, updated once by the group of every step.

    The gradient of REINFORCE with group-normalised advantages, taken in the natural metric of the
    Gaussian, where it is `sigma * mean(A * eps)` for the mean and `mean(A * (eps**2 - 1)) / 2` for
    the log of sigma: separable natural evolution strategies (Wierstra et al. 2014), with their rate
    for sigma. The paper names the graph "fitted by RL" and says no more; this is our reading. It
    starts at the mean of the scores.
    """

    def write(self, step: int, past: Sequence[Past]) -> list[str]:
        """Formulas of weights drawn from the policy, which is first brought up to this step."""
        policy = self.start()
        for earlier in range(1, step):
            group = [item for item in past if item.step == earlier]
            policy = self._updated(policy, self._draw(earlier, policy), group)
        return list(self._draw(step, policy))

    def start(self) -> Gaussian:
        """The policy of the first step."""
        sigma = math.log(self.config.proposer.graph.sigma)
        return Gaussian(self.network.mean(), np.full(self.network.size, sigma))

    def _draw(self, step: int, policy: Gaussian) -> dict[str, Weights]:
        """The formulas of a step, each with its draw of a standard normal."""
        rng = step_random(self.config, step)
        found: dict[str, Weights] = {}
        while len(found) < self.config.meta.formulas:
            eps = np.array([rng.gauss() for _ in range(self.network.size)])
            text = self.network.usable(policy.mean + np.exp(policy.log_sigma) * eps)
            if text is not None:
                found[text] = eps
        return found

    def _updated(
        self, policy: Gaussian, drawn: dict[str, Weights], group: Sequence[Past]
    ) -> Gaussian:
        pairs = [(drawn[p.formula], a) for p, a in group_advantages(group) if p.formula in drawn]
        if not pairs:
            return policy
        settings, size = self.config.proposer.graph, self.network.size
        eps = np.array([e for e, _ in pairs])
        advantages = np.array([a for _, a in pairs])[:, None]
        sigma = np.exp(policy.log_sigma)
        mean = policy.mean + settings.learning_rate * sigma * (advantages * eps).mean(axis=0)
        rate = (3 + math.log(size)) / (5 * math.sqrt(size))
        moved = policy.log_sigma + rate / 2 * (advantages * (eps**2 - 1)).mean(axis=0)
        first, width = math.log(settings.sigma), math.log(_WIDEST)
        return Gaussian(mean, np.clip(moved, first - width, first + width))
