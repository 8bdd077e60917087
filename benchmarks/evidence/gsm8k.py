"""Five rewards on GSM8K with a small language model that was taught its solutions first.

    python -m benchmarks.evidence.gsm8k --data train.jsonl --test test.jsonl

The policy is SmolLM2-135M-Instruct after supervised training on the training problems' solutions
(`derl-dsl teach`), so that pass@1 leaves the floor. Each reward trains it on three seeds. Killed,
it goes on where it was; `--quick` tries the whole way with few steps and problems, to no figure.
"""

from __future__ import annotations

import argparse
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from benchmarks.evidence.plan import HERE, Block, Row
from benchmarks.evidence.run import WORK, run_grid
from derl_trainers.estimates import interval
from derl_trainers.policy.teach import Lessons, teach
from derl_trainers.runs.store import Store
from derl_trainers.settings.run import RunConfig, load_config

REWARDS = {
    "outcome": "1 * correct(completion, answer)",
    "outcome + box": "0.8 * correct(completion, answer) + 0.2 * boxed(completion)",
    "outcome, short": "correct(completion, answer) * (1 - 0.2 * ramp(words(completion), 60, 150))",
    "outcome + named": "0.8 * correct(completion, answer)"
    " + 0.2 * contains_answer(completion, answer)",
    "box alone": "1 * boxed(completion)",
}
LESSONS = Lessons(steps=600, batch=8, learning_rate=1e-4, seed=0)


def config_of(data: str, test: str, policy: str, quick: bool) -> RunConfig:
    """The settings, on the user's files and the taught policy."""
    flags = {"task.data": data, "task.test": test, "policy.model": policy}
    small = {
        "inner.steps": 1, "inner.prompts": 2, "inner.num_generations": 2, "inner.updates": 1,
        "inner.max_completion_length": 24, "task.size": 20, "task.test_size": 8, "final.seeds": 2,
    }  # fmt: skip
    file = str(HERE / "language" / "gsm8k.toml")
    return load_config(file, {**flags, **(small if quick else {})})


def shown(folder: Path) -> list[str]:
    """Each reward's test pass@1 over its seeds, and what it gained on the taught policy."""
    with closing(Store.open(folder)) as store:
        start = store.rows("SELECT pass_at_1 FROM jobs WHERE label = 'start policy, tested'")
        rows = store.rows(
            "SELECT label, pass_at_1 FROM jobs WHERE kind = 'final' AND label != ?"
            " AND status = 'done' ORDER BY id",
            ("start policy, tested",),
        )
    before = start[0]["pass_at_1"]
    lines = [f"taught policy: {before:.3f}"]
    for label in dict.fromkeys(row["label"] for row in rows):
        gains = [row["pass_at_1"] - before for row in rows if row["label"] == label]
        mean, half = interval(gains)
        said = "rises" if mean > half else "falls" if -mean > half else "no change shown"
        lines.append(f"{label:<18} {before + mean:.3f}, {mean:+.3f} ± {half:.3f}: {said}")
    return lines


def main() -> None:
    """Teach, train, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="GSM8K's training problems")
    parser.add_argument("--test", required=True, help="its test problems")
    parser.add_argument("--work", type=Path, default=WORK / "gsm8k", help="folder of the runs")
    parser.add_argument("--quick", action="store_true", help="see that it works, no figure")
    given = parser.parse_args()
    work = given.work / "quick" if given.quick else given.work
    untaught = config_of(given.data, given.test, "smollm2", given.quick)
    taught = work / "smollm2-taught"
    lessons = replace(LESSONS, steps=2, batch=2) if given.quick else LESSONS
    teach(untaught.task, untaught.policy, lessons, taught, _said)
    config = config_of(given.data, given.test, str(taught), given.quick)
    rows = [Row(label, formula, validated=False) for label, formula in REWARDS.items()]
    block = Block("gsm8k", 0, "rewards")
    run_grid(block, work / block.name, rows, config=config)
    for line in shown(work / block.name):
        print(line)


def _said(step: int, steps: int, metrics: dict[str, float]) -> None:
    print(f"teaching: step {step}/{steps}, loss {metrics['loss']:.3f}", flush=True)


if __name__ == "__main__":
    main()
