"""Runs rewardlint and rewardprobe on rewards given on standard input; in their own environment.

Arguments are the import paths of derl-dsl, which come after the environment's own.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time

sys.path += sys.argv[1:]

from rewardlint.audit import audit
from rewardprobe import Probe

from derl_dsl.score.reward import compile
from derl_dsl.tools.attack.families import BUILT_IN, right, wrong

TASKS = [
    {"prompt": p.prompt, "question": p.prompt, "answer": p.gold, "solution": p.gold}
    for p in BUILT_IN
]


def accepts(text, suite, columns):
    """The reward as a function of a completion and the gold answer: 1 for what is paid as much as
    the least that an honest right answer gets, 0 for the rest."""
    reward = compile(text, suite, columns)
    asked = set()

    def paid(completion: str, answer: str) -> float:
        row = {"completion": [completion], "answer": [answer], "prompt": [""],
               "completion_ids": [[0] * len(completion.split())]}  # fmt: skip
        value = float(reward.score(row, group_size=1).values[0])
        return value if value == value else float("-inf")

    least = []
    for problem in BUILT_IN:
        pairs = [
            (paid(r, problem.gold), paid(w, problem.gold))
            for r, w in zip(right(problem), wrong(problem), strict=True)
        ]
        least += [r for r, w in pairs if r > w]
    bar = min(least, default=float("inf"))

    def check(completion: str, answer: str) -> float:
        asked.add((completion, answer))
        return float(paid(completion, answer) >= bar - 1e-9)

    return check


def of(text, suite, columns):
    """Strategies that a peer reports as accepted, with a text of each."""
    check = accepts(text, suite, columns)
    start = time.process_time()
    strategies: dict[str, str] = {}
    hits = 0
    for outcome in audit(check, threshold=0.5).false_positives:
        case = outcome.case
        strategies.setdefault(case.attack or case.category, case.completion[:200])
        hits += 1
    report = Probe().test_fn(check, TASKS)
    for found in report.findings:
        # What is rejected though it is right, and what crashes, is no exploit.
        if found.actual_reward is not None and found.actual_reward >= 0.5:
            strategies.setdefault(found.attack, found.input)
            hits += 1
    return {"strategies": strategies, "hits": hits, "seconds": time.process_time() - start}


given = json.loads(sys.stdin.read())
told = io.StringIO()
with contextlib.redirect_stdout(told):
    answer = {name: of(*rest) for name, *rest in given}
print(json.dumps(answer))
