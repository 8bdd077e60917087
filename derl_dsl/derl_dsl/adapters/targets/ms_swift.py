"""ms-swift: a class of outcome rewards, registered by name; it is called positionally."""

from __future__ import annotations

from derl_dsl.adapters.targets.base import Target

TARGET = Target(
    name="ms-swift",
    title="ms-swift",
    version="4.6",
    package="ms-swift",
    module="swift",
    gives=("completion", "completion_ids", "truncated", "progress"),
    others="the dataset's columns (its gold is often called solution: name it answer)",
    policies=("skip", "raise", "lowest"),
    groups=True,
    progress=True,
    tokens=True,
    body='''\
from swift.rewards import ORM, orms

from derl_dsl.adapters.rows import each, whole_groups


class @CLASS@(ORM):
    """ms-swift calls it with the completions of a batch; a group is the rows of one prompt_id."""

    def __call__(self, completions, **columns):
        state = columns.pop("trainer_state", None)
        if state is not None:
            columns["progress"] = state.global_step / max(1, state.max_steps)
        if "is_truncated" in columns:
            columns["truncated"] = columns["is_truncated"]
        if "response_token_ids" in columns:
            turns = columns["response_token_ids"]
            columns["completion_ids"] = [sum(map(list, row), []) for row in turns]
        rows = each({**columns, "completion": completions})
        ids = None
        if scorer.reward.uses_groups:
            size = getattr(self.args, "num_generations", 0)
            evaluated = getattr(self.args, "num_generations_eval", None) or size
            ids = whole_groups(columns.get("prompt_id"), size, evaluated)
        return scorer.score_rows(rows, ids).values


orms["@ID@"] = @CLASS@
''',
    settings="""\
swift rlhf --rlhf_type grpo --external_plugins @FILE@ --reward_funcs @ID@ ...""",
)
