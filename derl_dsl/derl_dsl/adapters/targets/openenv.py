"""OpenEnv: a `Rubric` over action and observation."""

from __future__ import annotations

from derl_dsl.adapters.targets.base import Target

TARGET = Target(
    name="openenv",
    title="OpenEnv",
    version="0.3",
    package="openenv-core",
    gives=("completion",),
    others="the fields of the action, the observation and its metadata",
    policies=("lowest", "raise"),
    body='''\
from openenv.core.rubrics import Rubric


def _fields(thing):
    """The fields of an action or an observation, whatever it is made of."""
    if isinstance(thing, dict):
        return thing
    return thing.model_dump() if hasattr(thing, "model_dump") else dict(vars(thing))


class @CLASS@(Rubric):
    """The reward of an action; `last_parts` and `last_failed` are of the last call."""

    def forward(self, action, observation):
        own = {"completion": action} if isinstance(action, str) else _fields(action)
        if "completion" not in own:
            texts = [own[k] for k in ("response", "message", "content", "text") if k in own]
            own = {**own, "completion": texts[0]} if texts else own
        seen = _fields(observation)
        found = scorer.score(own, seen, seen.get("metadata"))
        self.last_parts, self.last_failed = found.parts, found.failed
        return found.value
''',
    settings="""\
from @MODULE@ import @CLASS@
Environment.__init__(rubric=@CLASS@())   # in your environment's own __init__""",
)
