"""Rewards and real completions that all adapters must score alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import derl_dsl

FILE = Path(derl_dsl.__file__).parent / "examples" / "gsm8k.jsonl"

CONDITIONAL = """\
length = words(completion)
ok = exact(completion, answer)
marked = contains(completion, "####")
reward = 1 + 0.2 * (1 - ramp(length, 60, 200)) if ok else 0.1 * marked
"""
SUM = """\
ok = exact(completion, answer)
short = 1 - ramp(words(completion), 40, 160)
steps = min(step_markers(completion), 1)
reward = 0.5 * (ok + 0.25 * short) - steps / 8 + 0.125 * contains_answer(completion, answer) + 1
"""
COLUMN = "0.5 * exact(completion, answer) + weight * contains_answer(completion, answer)"
GROUPED = "ok = exact(completion, answer)\nreward = ok - 0.5 * group_mean(ok)"

ALONE = {"conditional": CONDITIONAL, "sum": SUM, "column": COLUMN}


def build(text: str) -> derl_dsl.Reward:
    return derl_dsl.compile(text, suite="math", columns={"weight": "number[0, 1]"})


def rows(count: int = 60) -> dict[str, list[Any]]:
    """Real completions with gold answers, neighbours answering one problem."""
    found = [json.loads(line) for line in FILE.read_text("utf-8").splitlines()[:count]]
    columns = {name: [row[name] for row in found] for name in ("prompt", "completion", "answer")}
    return {**columns, "weight": [(i % 5) / 4 for i in range(count)]}
