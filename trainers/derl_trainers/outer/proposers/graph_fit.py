"""`graph-fit`: the weights of the graph fitted by gradient to rewards that trained well.

The paper names the graph "fitted by regression or RL" and says no more; this is our reading of the
regression. On rollouts of the start policy a reward R is a vector: its values less the mean of
their group (the completions of one prompt), for GRPO sees no more of it, scaled to length 1. A
group's own deviation does not divide it, as in TRL: that would make the faintest difference in a
group count as much as any. Then, in each step,

1. a ridge regression finds beta: m_i = <R_i, beta> + what is common to the formulas of i's step,
   for the meta-rewards m_i so far, shrunk towards a multiple of the outcome;
2. the weights theta of the graph are fitted by gradient: maximise corr(R_theta, beta).

Solved in its dual form, beta = beta_0 + sum_i a_i R_i: the reward is to be like the formulas that
trained better than others of their step, unlike those that trained worse, and at first, when
nothing is known, like the outcome.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

import derl_dsl
from derl_primitives.suites import find_suite
from derl_trainers.outer.proposers.base import Context, Past, step_random
from derl_trainers.outer.proposers.graph import Network, Networked, Weights
from derl_trainers.outer.proposers.rollouts import Rollouts, sample_rollouts
from derl_trainers.settings.run import GraphSection

_MOST = 8.0  # the largest weight: tanh is flat long before
_RATE = 0.05  # of Adam
_DECAY = 1e-3  # of the squared weights: correlation alone would let them grow
_FLAT = 1e-9  # the norm of values that say nothing
_RIDGE = 0.3  # noise of a meta-reward, by what beta may explain
_OUTCOME = 0.5  # beta_0: how much more the outcome is taken to be worth than what it is not like


class GraphFit(Networked):
    """The optimum of the fit, and others near it."""

    def __init__(self, context: Context, rollouts: Rollouts | None = None) -> None:
        super().__init__(context)
        self._fit = None if rollouts is None else Fit(self.network, rollouts)

    def write(self, step: int, past: Sequence[Past]) -> list[str]:
        """The fitted formula first, then formulas of weights drawn around its own."""
        if self._fit is None:
            self._fit = Fit(self.network, sample_rollouts(self.context.policy.path, self.config))
        settings = self.config.proposer.graph
        rng = np.random.default_rng(step_random(self.config, step).getrandbits(64))
        weights = self._fit.best(self._fit.target(past), settings, rng)
        found = [text for text in [self.network.usable(weights)] if text is not None]
        while len(found) < self.config.meta.formulas:
            near = weights + rng.normal(0.0, settings.sigma, self.network.size)
            text = self.network.usable(near)
            if text is not None and text not in found:
                found.append(text)
        return found


class Fit:
    """The graph as a torch module over the rollouts, and what it is fitted to."""

    def __init__(self, network: Network, rollouts: Rollouts) -> None:
        self.network = network
        self.rollouts = rollouts
        self.names = [f"p{i}" for i in range(network.size)]
        text = network.program(self.names, _MOST)
        module = derl_dsl.compile(text, suite=network.suite).torch()
        self._call = module.bind(module.read(rollouts.columns))

    def target(self, past: Sequence[Past]) -> Tensor:
        """Beta, (B,): the direction in which rewards get better, as far as `past` tells."""
        scored = [(p, p.meta_reward) for p in past if p.key is not None]
        known = [(p, reward) for p, reward in scored if reward is not None]
        outcome = f"1 * {find_suite(self.network.suite).outcome}"
        rewards = self._vectors([outcome, *(p.formula for p, _ in known)])
        prior = _OUTCOME * rewards[0]
        x = _centred(rewards[1:], [p.step for p, _ in known])
        gained = torch.tensor([[reward] for _, reward in known], dtype=x.dtype).reshape(-1, 1)
        y = _centred(gained, [p.step for p, _ in known])[:, 0] - x @ prior
        dual = torch.linalg.solve(x @ x.T + _RIDGE * torch.eye(len(x), dtype=x.dtype), y)
        found: Tensor = prior + dual @ x
        return found

    def _vectors(self, formulas: Sequence[str]) -> Tensor:
        """Rewards as vectors of length 1, (K, B)."""
        rewards = [derl_dsl.compile(text, suite=self.network.suite) for text in formulas]
        columns, size = self.rollouts.columns, self.rollouts.group_size
        scores = derl_dsl.score_many(rewards, columns, group_size=size)
        seen = self._seen(torch.as_tensor(np.nan_to_num(scores)))
        unit: Tensor = seen / seen.norm(dim=-1, keepdim=True).clamp_min(_FLAT)
        return unit

    def best(self, target: Tensor, settings: GraphSection, rng: np.random.Generator) -> Weights:
        """The weights of the best of several fits by Adam, which start around the mean's."""
        starts = self.network.mean() + np.concatenate(
            [
                np.zeros((1, self.network.size)),
                rng.normal(0.0, settings.sigma, (settings.fit_starts - 1, self.network.size)),
            ]
        )
        fits = [self._fitted(start, target, settings.fit_steps) for start in starts]
        return max(fits, key=lambda fit: fit[0])[1]

    def _fitted(self, start: Weights, target: Tensor, steps: int) -> tuple[float, Weights]:
        """What a fit reaches, and its weights."""
        weights = torch.tensor(start, requires_grad=True)
        optimizer = torch.optim.Adam([weights], lr=_RATE)
        for _ in range(steps):
            optimizer.zero_grad()
            (-self._gain(weights, target)).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            with torch.no_grad():
                weights.clamp_(-_MOST, _MOST)
        with torch.no_grad():
            return float(self._gain(weights, target)), weights.detach().numpy()

    def _gain(self, weights: Tensor, target: Tensor) -> Tensor:
        """Correlation with the target, less what large weights cost."""
        values = self._call(dict(zip(self.names, weights.unbind(), strict=True)))["reward"]
        seen = self._seen(values)
        alike = seen @ target / (seen.norm() * target.norm()).clamp_min(_FLAT)
        gain: Tensor = alike - _DECAY * (weights**2).sum()
        return gain

    def _seen(self, values: Tensor) -> Tensor:
        """Values less the mean of their group, (…, B)."""
        groups = values.reshape(*values.shape[:-1], -1, self.rollouts.group_size)
        centred: Tensor = (groups - groups.mean(dim=-1, keepdim=True)).flatten(-2)
        return centred


def _centred(rows: Tensor, steps: Sequence[int]) -> Tensor:
    """Rows less the mean of those with the same step."""
    found = rows.clone()
    for step in set(steps):
        own = torch.tensor([s == step for s in steps])
        found[own] -= found[own].mean(dim=0)
    return found
