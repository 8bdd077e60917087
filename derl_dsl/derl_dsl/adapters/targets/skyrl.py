"""SkyRL-gym: a single-turn environment that pays at its one step."""

from __future__ import annotations

from derl_dsl.adapters.targets.base import Target

TARGET = Target(
    name="skyrl-gym",
    title="SkyRL-gym",
    version="0.4",
    package="skyrl-gym",
    module="skyrl_gym",
    gives=("completion", "prompt", "answer"),
    others="reward_spec (its ground_truth is the answer), else the sample's own fields",
    policies=("lowest", "raise"),
    body='''\
from derl_dsl.adapters.rows import beside
from skyrl_gym.envs.base_text_env import BaseTextEnv, BaseTextEnvStepOutput
from skyrl_gym.envs.registration import register


class @CLASS@(BaseTextEnv):
    """One answer, one reward; its parts are in the metadata."""

    def __init__(self, env_config=None, extras=None):
        super().__init__()
        self.extras = dict(extras or {})

    def step(self, action):
        spec = self.extras.get("reward_spec") or {}
        own = {"completion": action}
        if "ground_truth" in spec:
            own["answer"] = spec["ground_truth"]
        found = scorer.score(own, spec, self.extras, self.extras.get("extra_info"))
        told = beside(scorer.numbers(found), "failed")
        parts = {name: part for name, part in told.items() if part is not None}
        parts["failed"] = float(found.failed)
        return BaseTextEnvStepOutput(observations=[], reward=found.value, done=True, metadata=parts)


register(id="@ID@", entry_point=@CLASS@)
''',
    settings="""\
import @MODULE@   # registers the environment, in the entry script and in its Ray workers
environment.env_class=@ID@""",
)
