"""AReaL: a function named by import path, or one that an agent's own `run` returns rewards with."""

from __future__ import annotations

from dataclasses import replace

from derl_dsl.adapters.targets.base import Target

TARGET = Target(
    name="areal",
    title="AReaL",
    version="1.0",
    package="areal",
    module="areal",
    gives=("completion", "prompt", "completion_ids"),
    others="the dataset's columns",
    policies=("lowest", "raise"),
    tokens=True,
    body='''\
from derl_dsl.adapters.texts import without_stop


def @NAME@(prompt, completions, prompt_ids, completion_ids, **data):
    """The reward of one completion."""
    own = {"prompt": prompt, "completion": without_stop(completions)}
    own["completion_ids"] = completion_ids
    return scorer.score(own, data).value
''',
    settings="""\
RLVRWorkflow(reward_fn="@MODULE@.@NAME@", ...)   # a call of 15 s scores 0 there, and it says so""",
)

AGENT = replace(
    TARGET,
    name="areal-agent",
    title="AReaL's agents",
    gives=(),
    others="the keywords of the call",
    policies=("raise", "lowest"),
    tokens=False,
    steps=True,
    body='''\
import asyncio


async def @NAME@(ids, **columns):
    """What an agent's `run` returns: the reward of each of its completions, by their ids in order.

    A completion's is its step of `steps`; the rollout's own is paid with the last one. An exception
    rejects the trajectory.
    """
    found = await asyncio.to_thread(scorer.score, columns)
    if scorer.reward.graph.steps is None:
        return {ids[-1]: found.value}
    paid = scorer.each_step(found, len(ids))
    paid[-1] += found.value
    return dict(zip(ids, paid, strict=True))
''',
    settings="""\
from @MODULE@ import @NAME@
return await @NAME@(ids, ...)   # your agent's run ends so; ids: [r.id for r in responses]""",
)
