"""verl: `compute_score`, called for one rollout at a time.

Its own reward managers (`RewardManagerBase.run_single`) are given single rollouts as well, so group
functions have no place there.
"""

from __future__ import annotations

from derl_dsl.adapters.targets.base import Target

TARGET = Target(
    name="verl",
    title="verl",
    version="0.9",
    package="verl",
    module="verl",
    gives=("completion", "answer", "data_source"),
    others="ground_truth where it is a mapping, else extra_info",
    policies=("lowest", "raise"),
    quoting="hydra",
    body='''\
from derl_dsl.adapters.rows import beside


def compute_score(data_source, solution_str, ground_truth, extra_info=None, **kwargs):
    """The score of one rollout, `acc` (the outcome, else the score), parts, failed inputs."""
    own = {"completion": solution_str, "data_source": data_source}
    if not isinstance(ground_truth, dict):
        own["answer"] = ground_truth
        ground_truth = {}
    found = scorer.score(own, ground_truth, extra_info or {})
    acc = found.value if found.outcome is None else found.outcome
    parts = beside(scorer.numbers(found), "score", "acc", "failed")
    return {"score": found.value, "acc": acc, **parts, "failed": float(found.failed)}
''',
    settings="""\
reward.custom_reward_function.path=@FILE@
reward.custom_reward_function.name=compute_score
algorithm.filter_groups.metric=acc                    # DAPO's filter, where it is used
'+algorithm.gdpo_reward_keys=[@PARTS@]'   # GDPO: one advantage a part""",
)
