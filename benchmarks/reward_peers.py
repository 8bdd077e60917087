"""What rewardlint and rewardprobe find in `correct` and in the gallery's first rewards.

Both packages stay out of this environment: make one of their own, and name its Python.

    python3 -m venv PEERS && PEERS/bin/pip install rewardlint rewardprobe
    python -m benchmarks.reward_peers PEERS/bin/python [--cases]

A completion counts as accepted when its reward is above the threshold of `REWARDS`. What is found,
and why it stays, is told in primitives/README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

REWARDS = {
    "correct(completion, answer)": 0.5,
    "01_deepseek_r1": 0.5,
    "02_trl_accuracy": 0.5,
    "03_trl_reasoning_accuracy": 0.5,
    "04_think_format": 0.5,
    "05_cosine_length": 0.0,
}
"""Each reward, and the value above which it says that an answer is right."""

QUESTIONS = [
    ("Tom has 3 apples and buys 4 more. How many has he?", "7"),
    ("What is 17 times 24?", "408"),
    ("Half of a tank is used, then a quarter. Which share is used?", "3/4"),
    ("Which city is the capital of Peru?", "Lima"),
]


def main() -> int:
    """Run the peers in their own Python and print what they find of each reward."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("python", type=Path, help="the Python that has rewardlint and rewardprobe")
    parser.add_argument("--cases", action="store_true", help="print the cases, not their number")
    chosen = parser.parse_args()
    root = Path(__file__).parents[1]
    command = [str(chosen.python), __file__, "--inside", *filter(None, sys.path)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr.strip().rpartition("\n")[2], file=sys.stderr)
        return 2
    for name, found in json.loads(done.stdout.rpartition("\n@")[2]).items():
        print(f"{name}\n  rewardlint: {found['lint']}\n  rewardprobe: {found['probe']}")
        for case in found["cases"] if chosen.cases else ():
            print(f"    {case}")
    return 0


def inside(paths: list[str]) -> None:
    """Runs in the peers' Python; derl-dsl's import paths come after its own."""
    sys.path += [*paths, os.getcwd()]
    from rewardlint.audit import audit  # type: ignore[import-not-found]
    from rewardprobe import Probe  # type: ignore[import-not-found]

    tasks = [{"prompt": q, "question": q, "answer": a, "solution": a} for q, a in QUESTIONS]
    told = {}
    for name, threshold in REWARDS.items():
        check = accepts(name, threshold)
        report = audit(check, threshold=0.5)
        wrong = [
            f"FP {o.case.completion!r} for {o.case.reference!r}" for o in report.false_positives
        ]
        missed = [
            f"FN {o.case.completion!r} for {o.case.reference!r}" for o in report.false_negatives
        ]
        probed = Probe().test_fn(check, tasks)
        findings = [f"{f.attack}: {f.input!r} -> {f.actual_reward}" for f in probed.findings]
        told[name] = {
            "lint": f"{len(wrong)} wrong answers accepted, {len(missed)} right ones rejected",
            "probe": f"{len(findings)} findings",
            "cases": wrong + missed + findings,
        }
    print("\n@" + json.dumps(told))


def accepts(name: str, threshold: float) -> Callable[[str, str], float]:
    """A reward as a function of a completion and the gold answer: 1 for what it says is right."""
    from derl_dsl import compile, gallery

    reward = gallery.load(name) if name in gallery.names() else compile(name, suite="math+verify")

    def check(completion: str, answer: str) -> float:
        row = {"completion": [completion], "answer": [answer], "completion_ids": [[0] * 8]}
        return float(float(reward.score(row).values[0]) > threshold)

    return check


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        inside(sys.argv[2:])
    else:
        sys.exit(main())
