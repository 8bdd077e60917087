"""torchtitan's RL experiments: an async `RewardFn` of a rollout and its environment's input."""

from __future__ import annotations

from derl_dsl.adapters.targets.base import Target

TARGET = Target(
    name="torchtitan",
    title="torchtitan RL",
    version="b5bcd76c6",
    package=None,
    gives=("completion", "answer"),
    others="the fields of the environment's input (its ground_truth is the answer)",
    policies=("raise", "lowest"),
    body='''\
import asyncio
from dataclasses import dataclass

from torchtitan.experiments.rl.rubrics import RewardFn


class @CLASS@(RewardFn):
    """One rollout's reward; an exception is torchtitan's error_reward, never a 0 of ours."""

    @dataclass(kw_only=True, slots=True)
    class Config(RewardFn.Config):
        pass

    async def __call__(self, rollout, env_input):
        said = [t.completion_message for t in rollout.turns if t.completion_message]
        own = {"completion": said}
        fields = {name: getattr(env_input, name) for name in env_input.__dataclass_fields__}
        if "ground_truth" in fields:
            own["answer"] = fields["ground_truth"]
        return (await asyncio.to_thread(scorer.score, own, fields)).value
''',
    settings="""\
from @MODULE@ import @CLASS@
reward_fns=[@CLASS@.Config()]   # of the rubric in your config""",
)
