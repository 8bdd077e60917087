"""Atropos: a registered `RewardFunction` over a batch of completions.

Its `__call__` turns an exception into 0 for the whole batch; the file's class does not.
"""

from __future__ import annotations

from derl_dsl.adapters.targets.base import Target

TARGET = Target(
    name="atropos",
    title="Atropos",
    version="0.4",
    package="atroposlib",
    module="atroposlib",
    gives=("completion",),
    others="the keywords of the call, a list each or one value for all",
    policies=("lowest", "raise"),
    body='''\
from derl_dsl.adapters.rows import each
from atroposlib.envs.reward_fns import registry
from atroposlib.envs.reward_fns.reward_function import RewardFunction


@registry.register(name="@ID@")
class @CLASS@(RewardFunction):
    """The rewards of a batch of completions."""

    def compute(self, completions, **kwargs):
        return scorer.score_rows(each({**kwargs, "completion": completions})).values

    def __call__(self, completions, **kwargs):
        """As the base class, but an exception is not 0 for everybody."""
        rewards = self.compute(completions, **kwargs)
        weighted = [r * self.weight for r in rewards]
        if self.wandb_logger:
            self.log_metrics(rewards, weighted)
        return weighted
''',
    settings="""\
import @MODULE@   # registers it
registry.create("@ID@")   # atroposlib.envs.reward_fns.registry""",
)
