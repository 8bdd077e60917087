"""TRL: the reward is a function of `reward_funcs`; AsyncGRPO calls it with less, one group a call.

axolotl (`trl.reward_funcs: [module.name]`) and unsloth train with TRL underneath and take the file
of `trl` as it is.
"""

from __future__ import annotations

from derl_dsl.adapters.targets.base import Target

TRL = Target(
    name="trl",
    title="TRL",
    version="1.16",
    package="trl",
    module="trl",
    gives=("completion", "prompt", "completion_ids", "progress"),
    others="the dataset's columns",
    policies=("skip", "raise", "lowest"),
    groups=True,
    progress=True,
    tokens=True,
    body="""\
@NAME@ = scorer.function()  # for reward_funcs; its parts are logged as parts/…
""",
    settings="""\
from @MODULE@ import @NAME@
GRPOTrainer(reward_funcs=[@NAME@], ...)   # RLOOTrainer too
axolotl:  trl: {reward_funcs: [@MODULE@.@NAME@]}
unsloth:  as TRL""",
)

ASYNC_GRPO = Target(
    name="trl-async-grpo",
    title="TRL's AsyncGRPO",
    version="1.16",
    package="trl",
    module="trl",
    gives=("completion", "prompt", "completion_ids"),
    others="the dataset's columns",
    policies=("skip", "raise", "lowest"),
    groups=True,
    tokens=True,
    body="""\
# Each call is one whole group; there is no log_metric: the parts' means go to the log, at INFO.
@NAME@ = scorer.function(groups="*")
""",
    settings="""\
from @MODULE@ import @NAME@
AsyncGRPOTrainer(reward_funcs=[@NAME@], ...)   # trl.experimental.async_grpo""",
)
