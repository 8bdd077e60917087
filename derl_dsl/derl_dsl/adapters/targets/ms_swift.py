"""ms-swift: a class of outcome rewards, registered by name; it is called positionally."""

from __future__ import annotations

from derl_dsl.adapters.targets.base import Target

TARGET = Target(
    name="ms-swift",
    title="ms-swift",
    version="4.6",
    package="ms-swift",
    gives=("completion", "progress"),
    others="the dataset's columns (its gold is often called solution: name it answer)",
    policies=("skip", "raise", "lowest"),
    progress=True,
    body='''\
from swift.rewards import ORM, orms


class @CLASS@(ORM):
    """ms-swift calls it with the completions of a batch."""

    def __call__(self, completions, **columns):
        state = columns.pop("trainer_state", None)
        if state is not None:
            columns["progress"] = state.global_step / max(1, state.max_steps)
        single = {k: v for k, v in columns.items() if not isinstance(v, list)}
        lists = {k: v for k, v in columns.items() if isinstance(v, list)}
        rows = [
            {"completion": text, **single, **{k: v[i] for k, v in lists.items()}}
            for i, text in enumerate(completions)
        ]
        return scorer.score_rows(rows).values


orms["@NAME@"] = @CLASS@
''',
    settings="""\
swift rlhf --rlhf_type grpo --external_plugins @FILE@ --reward_funcs @NAME@ ...""",
)
