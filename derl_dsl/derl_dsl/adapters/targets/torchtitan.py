"""torchtitan's RL experiments: a `Rubric` that scores whole groups of rollouts."""

from __future__ import annotations

from derl_dsl.adapters.targets.base import Target

TARGET = Target(
    name="torchtitan",
    title="torchtitan RL",
    version="0.3",
    package="torchtitan",
    module="torchtitan",
    gives=("completion", "answer", "truncated"),
    others="env_rewards (lists: each turn's), the environment's input (ground_truth: the answer)",
    policies=("raise", "lowest"),
    groups=True,
    body='''\
import asyncio
from dataclasses import dataclass

from torchtitan.experiments.rl.rubrics import Rubric, RubricOutput


class @CLASS@(Rubric):
    """The rewards of a group of rollouts; an exception drops the group, and torchtitan says so.

    Rollouts that `truncation_reward` or `error_reward` pay are no part of the group.
    """

    @dataclass(kw_only=True, slots=True)
    class Config(Rubric.Config):
        pass

    def __init__(self, config):
        self._config = config  # no reward_fns: the reward below is all of them

    async def score_group(self, rollouts, env_input):
        fixed = [self._fixed(rollout.status) for rollout in rollouts]
        rows = [_row(r, env_input) for r, out in zip(rollouts, fixed, strict=True) if out is None]
        found = await asyncio.to_thread(scorer.score_rows, rows, len(rows) or None)
        outs = iter(_output(found[k]) for k in range(len(rows)))
        return [next(outs) if out is None else out for out in fixed]

    def _fixed(self, status):
        """What the rubric's own settings pay for such an end, if they do."""
        told = self._config
        if told.truncation_reward is not None and status.is_truncated():
            kept = {"truncated": told.truncation_reward}
            return RubricOutput(reward=told.truncation_reward, reward_breakdown=kept)
        if told.error_reward is not None and status.is_error():
            kept = {"errored": told.error_reward}
            return RubricOutput(reward=told.error_reward, reward_breakdown=kept)
        return None


def _row(rollout, env_input):
    """The columns of a rollout: what was said, what its environment paid, what it was given."""
    said = [t.completion_message for t in rollout.turns if t.completion_message]
    own = {"completion": said, "truncated": rollout.status.is_truncated()}
    fields = {name: getattr(env_input, name) for name in env_input.__dataclass_fields__}
    if "ground_truth" in fields:
        own["answer"] = fields["ground_truth"]
    paid = [turn.env_rewards for turn in rollout.turns]
    for name in scorer.lists:
        if paid and all(name in turn for turn in paid):
            own[name] = [turn[name] for turn in paid]
    return scorer.row(own, paid[-1] if paid else {}, fields)


def _output(row):
    """The reward of one rollout, and its parts as torchtitan's breakdown."""
    parts = {name: part for name, part in row.beside("failed").items() if part == part}
    return RubricOutput(
        reward=row.value, reward_breakdown={**parts, "failed": float(row.failed)}
    )
''',
    settings="""\
from @MODULE@ import @CLASS@
rubric=@CLASS@.Config(truncation_reward=None, error_reward=None)   # of the Rollouter's Config""",
)
