"""OpenEnv: a `Rubric` over action and observation, or over the trajectory of a whole episode."""

from __future__ import annotations

from dataclasses import replace

from derl_dsl.adapters.targets.base import Target

TARGET = Target(
    name="openenv",
    title="OpenEnv",
    version="0.3",
    package="openenv-core",
    module="openenv",
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

TRAJECTORY = replace(
    TARGET,
    name="openenv-trajectory",
    title="OpenEnv, whole trajectories",
    others="the last action, observation and its metadata; lists from each step's",
    steps=True,
    body='''\
from openenv.core.rubrics import TrajectoryRubric


def _fields(thing):
    """The fields of an action or an observation, its metadata among them."""
    if isinstance(thing, str):
        return {"text": thing}
    if not isinstance(thing, dict):
        thing = thing.model_dump() if hasattr(thing, "model_dump") else dict(vars(thing))
    return {**(thing.get("metadata") or {}), **thing}


def _row(trajectory):
    """The columns of an episode: what was said, the last step's fields, each step's for a list."""
    steps = [(_fields(action), _fields(seen)) for action, seen in trajectory]
    texts = [
        next((a[k] for k in ("completion", "response", "message", "content", "text") if k in a), "")
        for a, _ in steps
    ]
    own = {"completion": [{"role": "assistant", "content": text} for text in texts]}
    for name in scorer.lists:
        found = [seen.get(name, action.get(name)) for action, seen in steps]
        if not isinstance(found[-1], list):
            own[name] = found
    action, seen = steps[-1]
    return scorer.row(own, seen, action)


class @CLASS@(TrajectoryRubric):
    """The reward at the episode's end; `compute_step_rewards` has one for each of its steps."""

    def score_trajectory(self, trajectory):
        found = scorer.score_rows([_row(trajectory)])[0]
        self.last_parts, self.last_failed = found.parts, found.failed
        return found.value

    def compute_step_rewards(self):
        if not self._trajectory:
            return []
        found = scorer.score_rows([_row(self._trajectory)])[0]
        return scorer.each_step(found, len(self._trajectory))
''',
    settings="""\
from @MODULE@ import @CLASS@
Environment.__init__(rubric=@CLASS@())   # in your environment's own __init__
rubric.compute_step_rewards()            # after the last step; then rubric.reset()""",
)
