"""OpenRLHF: `reward_func(queries, prompts, labels)` in a file, one rollout a call, in a thread.

An exception there is logged and the reward is None, so faults score the lowest value instead.
"""

from __future__ import annotations

from derl_dsl.adapters.targets.base import Target

TARGET = Target(
    name="openrlhf",
    title="OpenRLHF",
    version="0.11",
    package="openrlhf",
    module="openrlhf",
    gives=("completion", "prompt", "answer"),
    others="the label, where it is a mapping or a JSON object",
    policies=("lowest", "raise"),
    body='''\
import json

import torch

from derl_dsl.adapters.texts import after_prompt, without_stop


def reward_func(queries, prompts, labels, **kwargs):
    """Rewards, scores in [0, 1] (the outcome, else the reward's place in its range), parts."""
    rows = []
    for query, prompt, label in zip(queries, prompts, labels, strict=True):
        fields = label
        if isinstance(label, str) and label.lstrip().startswith("{"):
            try:
                fields = json.loads(label)
            except ValueError:
                fields = label  # a gold that begins with a brace
        text = without_stop(after_prompt(query, prompt))
        own = {"completion": text, "prompt": prompt, "answer": label}
        rows.append(scorer.row(fields if isinstance(fields, dict) else {}, own))
    found = scorer.score_rows(rows)
    rewards = torch.tensor(found.values)
    lo, hi = scorer.reward.certificate.lo, scorer.reward.certificate.hi
    scores = (rewards - lo) / (hi - lo) if found.outcomes is None else torch.tensor(found.outcomes)
    parts = [scorer.numbers(found[k], float("nan")) for k in range(len(rows))]
    logs = {name: torch.tensor([part[name] for part in parts]) for name in found.parts}
    logs["failed"] = torch.tensor([float(f) for f in found.failed])
    return {"rewards": rewards, "scores": scores.clamp(0, 1), "extra_logs": logs}
''',
    settings="""\
--reward.remote_url @FILE@""",
)
