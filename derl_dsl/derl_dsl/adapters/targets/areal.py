"""AReaL: a function named by import path, pickled to a pool of processes."""

from __future__ import annotations

from derl_dsl.adapters.targets.base import Target

TARGET = Target(
    name="areal",
    title="AReaL",
    version="1.0",
    package="areal",
    gives=("completion", "prompt", "completion_ids"),
    others="the dataset's columns",
    policies=("lowest", "raise"),
    tokens=True,
    body='''\
def @NAME@(prompt, completions, prompt_ids, completion_ids, **data):
    """The reward of one completion."""
    own = {"prompt": prompt, "completion": completions, "completion_ids": completion_ids}
    return scorer.score(own, data).value
''',
    settings="""\
RLVRWorkflow(reward_fn="@MODULE@.@NAME@", ...)""",
)
