"""Rewards on GSM8K with a small language model that was taught its solutions first.

    python -m benchmarks.evidence.gsm8k --data train.jsonl --test test.jsonl
    python -m benchmarks.evidence.gsm8k … --seed 0 --seed 1         # beside others
    python -m benchmarks.evidence.gsm8k … --reward outcome          # another of the rewards
    python -m benchmarks.evidence.gsm8k --print      # what was written, again

The policy is SmolLM2-135M-Instruct after supervised training (`derl-dsl teach`) on the solutions of
the training problems of two steps, so that pass@1 leaves the floor. Each reward trains it on
problems of the same kind that it was not taught, and whose four answers do not all earn the same.
Killed, it goes on where it was; `--quick` tries the whole way with few steps and problems, to no
figure.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import derl_dsl
from benchmarks.evidence.collect import RESULTS
from benchmarks.evidence.plan import HERE
from benchmarks.evidence.run import WORK
from benchmarks.evidence.secondary import LANGUAGE, language_rows
from derl_runtime.files import write_whole
from derl_trainers.inner.loop import Checkpoints, train_inner
from derl_trainers.inner.outcome import scorer_for
from derl_trainers.policy.answers import chat_for, completed
from derl_trainers.policy.loading import load_model
from derl_trainers.policy.teach import RECORD, Lessons, teach
from derl_trainers.settings.run import RunConfig, load_config
from derl_trainers.tasks.base import Example, Task

STEPS = 2  # a solution's calculations, as GSM8K marks them
SUITE = "math"
REWARDS = {
    "outcome + step": (HERE / "language" / "step.derl").read_text("utf-8"),
    "outcome + sums": (HERE / "language" / "sums.derl").read_text("utf-8"),
    "outcome": "1 * correct(completion, answer)",
    "outcome + box": "0.8 * correct(completion, answer) + 0.2 * boxed(completion)",
    "outcome, short": "correct(completion, answer) * (1 - 0.2 * ramp(words(completion), 60, 150))",
    "outcome + named": "0.8 * correct(completion, answer)"
    " + 0.2 * contains_answer(completion, answer)",
}
LESSONS = Lessons(steps=240, batch=16, learning_rate=2e-4, seed=0, bf16=True)
SEEDS, DRAWS, BATCH = 4, 4, 128  # runs of a reward; answers sampled to each problem, and at once
TRY = "gsm8k-step.json"  # where its runs are written; `gsm8k.json` has those of an earlier one
FIRST = "outcome + step"  # the reward of the claim
STEP = "first_step"  # the column of what a solution's first calculation gives
Run = dict[str, Any]


def of_two_steps(source: str, folder: Path) -> str:
    """A file of GSM8K's problems whose solutions have two calculations, with the first's result."""
    rows = [json.loads(line) for line in Path(source).read_text("utf-8").splitlines() if line]
    kept = [row for row in rows if row["answer"].count("<<") == STEPS]
    for row in kept:
        row[STEP] = float(row["answer"].partition("<<")[2].partition(">>")[0].rpartition("=")[2])
    file = folder / f"{Path(source).stem}-{STEPS}.jsonl"
    write_whole(file, "".join(json.dumps(row) + "\n" for row in kept))
    return str(file)


def config_of(data: str, test: str, policy: str, quick: bool) -> RunConfig:
    """The settings, on files of problems and a policy."""
    flags = {"task.data": data, "task.test": test, "policy.model": policy}
    small = {
        "inner.steps": 1, "inner.prompts": 2, "inner.num_generations": 2,
        "inner.max_completion_length": 24, "task.size": 20, "task.test_size": 8,
    }  # fmt: skip
    file = str(HERE / "language" / "gsm8k.toml")
    return load_config(file, {**flags, **(small if quick else {})})


def bits(right: Sequence[bool]) -> str:
    """Verdicts on the test problems, in their order."""
    return "".join("01"[bool(r)] for r in right)


def written(
    policy: str | Path, problems: Sequence[Example], config: RunConfig, draws: int, seed: int
) -> list[str]:
    """Answers to each problem in bfloat16, those of one side by side: greedy where `draws` is 0."""
    model, tokenizer = load_model(policy, torch.bfloat16)
    model.eval()
    torch.manual_seed(seed)
    inner, section = config.inner, config.policy
    chat, each = chat_for(tokenizer, section.chat, section.system), max(1, draws)
    heat = inner.temperature if draws else None
    # Those of one length together, so that little is padded.
    order = sorted(range(len(problems)), key=lambda i: len(problems[i].prompt))
    found: list[list[str]] = [[]] * len(problems)
    for start in range(0, len(order), BATCH // each):
        rows = order[start : start + BATCH // each]
        part = [problems[i] for i in rows]
        texts = completed(model, tokenizer, part, inner.max_completion_length, chat, heat, each)
        for at, i in enumerate(rows):
            found[i] = texts[at * each : (at + 1) * each]
    return [text for texts in found for text in texts]


def sampled(policy: str | Path, task: Task, config: RunConfig, seed: int) -> list[str]:
    """Verdicts on DRAWS answers to each test problem, sampled as rollouts are."""
    texts = written(policy, task.test, config, DRAWS, seed)
    right = scorer_for(task, SUITE)(texts, [e for e in task.test for _ in range(DRAWS)])
    return [bits(row) for row in np.asarray(right).reshape(-1, DRAWS).T.tolist()]


def greedy(policy: str | Path, task: Task, config: RunConfig) -> str:
    """Verdicts on the greedy answer to each test problem."""
    texts = written(policy, task.test, config, 0, 0)
    return bits(scorer_for(task, SUITE)(texts, task.test).tolist())


def scored(policy: Path, task: Task, config: RunConfig, folder: Path) -> Run:
    """The taught policy's verdicts, greedy and sampled."""
    file = folder / "start.json"
    if not file.exists():
        found = {
            "greedy": greedy(policy, task, config),
            "sampled": sampled(policy, task, config, 0),
        }
        write_whole(file, json.dumps(found) + "\n")
    return dict(json.loads(file.read_text("utf-8")))


def paid(policy: Path, part: Sequence[Example], config: RunConfig, seed: int) -> list[list[float]]:
    """Rewards by `outcome + step` of DRAWS answers to each problem."""
    reward = derl_dsl.compile(REWARDS[FIRST], suite=SUITE, columns={STEP: "number"})
    rows = [example for example in part for _ in range(DRAWS)]
    each = reward(
        prompts=[row.prompt for row in rows],
        completions=written(policy, part, config, DRAWS, seed),
        answer=[row.answer for row in rows],
        **{STEP: [row.columns[STEP] for row in rows]},
    )
    return [list(row) for row in np.reshape(each, (-1, DRAWS)).tolist()]


def within_reach(policy: Path, task: Task, config: RunConfig, folder: Path) -> list[Example]:
    """The untaught problems whose DRAWS answers do not all earn the same: such groups teach."""
    pool, kept = task.validation, []
    for start in range(0, len(pool), BATCH):
        part, file = pool[start : start + BATCH], folder / f"reach-{start}.json"
        if not file.exists():
            write_whole(file, json.dumps(paid(policy, part, config, 1000 + start)) + "\n")
        each = json.loads(file.read_text("utf-8"))
        kept += [row for row, values in zip(part, each, strict=True) if len(set(values)) > 1]
    return kept


def trained(
    name: str,
    seed: int,
    policy: Path,
    task: Task,
    problems: Sequence[Example],
    config: RunConfig,
    folder: Path,
) -> Run:
    """A run of a reward: its verdicts on the test problems and what it saw of each step."""
    home = folder / f"{name.replace(' ', '')}-{seed}"
    file = home / "run.json"
    if not file.exists():
        result = train_inner(
            derl_dsl.compile(REWARDS[name], suite=SUITE, columns={STEP: "number"}),
            policy,
            problems,
            task.test[:1],  # which is scored below
            config.training,
            seed=seed,
            scorer=scorer_for(task, SUITE),
            output_dir=home / "policy",
            checkpoints=Checkpoints(str(home / "state"), 8),
            on_step=lambda record: print(f"{name}, {seed}: {record}", flush=True),
        )
        found = {
            "reward": name,
            "seed": seed,
            "steps": result.steps,
            "stopped": result.stopped,
            "tokens": result.tokens,
            "seconds": round(result.training_seconds, 1),  # since it went on, if it did
            "faults": sum(total.rows for total in result.faults),
            "history": [
                {"reward": r.reward_mean, "tokens": r.completion_length, **r.components}
                for r in result.history
            ],
            "greedy": greedy(home / "policy", task, config),
            "sampled": sampled(home / "policy", task, config, 1 + seed),
        }
        write_whole(file, json.dumps(found) + "\n")
    return dict(json.loads(file.read_text("utf-8")))


def main() -> None:
    """Teach, train, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="GSM8K's training problems")
    parser.add_argument("--test", help="its test problems")
    parser.add_argument("--work", type=Path, default=WORK / "gsm8k", help="folder of the runs")
    parser.add_argument("--reward", choices=REWARDS, action="append", help=f"{FIRST} by default")
    parser.add_argument(
        "--seed", type=int, choices=range(SEEDS), action="append", help="all by default"
    )
    parser.add_argument("--quick", action="store_true", help="see that it works, no figure")
    parser.add_argument("--print", action="store_true", help="the table alone")
    given = parser.parse_args()
    file = RESULTS / TRY
    if not given.print:
        if not (given.data and given.test):
            parser.error("name GSM8K's files with --data and --test")
        found = _run(given)
        if given.quick:
            print("\n".join(language_rows(found, LANGUAGE[TRY])))
            return
        write_whole(file, json.dumps(found, indent=1) + "\n")
    print("\n".join(language_rows(json.loads(file.read_text("utf-8")), LANGUAGE[TRY])))


def _run(given: argparse.Namespace) -> Run:
    folder = given.work / "quick" if given.quick else given.work
    folder.mkdir(parents=True, exist_ok=True)
    data, test = of_two_steps(given.data, folder), of_two_steps(given.test, folder)
    untaught = config_of(data, test, "smollm2", given.quick)
    taught = folder / "smollm2-taught"
    lessons = replace(LESSONS, steps=2, batch=2) if given.quick else LESSONS
    teach(untaught.task, untaught.policy, lessons, taught, _said)
    config = config_of(data, test, str(taught), given.quick)
    task = config.task.load((STEP,))
    # What was run from another policy, or with other settings, is not gone on with.
    lesson = json.loads((taught / RECORD).read_text("utf-8"))["digest"]
    text = json.dumps([lesson, config.to_json(), REWARDS], sort_keys=True, default=str)
    folder = folder / hashlib.sha256(text.encode()).hexdigest()[:12]
    folder.mkdir(exist_ok=True)
    problems = task.validation if given.quick else within_reach(taught, task, config, folder)
    for name in given.reward or [FIRST]:
        for seed in given.seed or range(SEEDS):
            began = time.time()
            trained(name, seed, taught, task, problems, config, folder)
            print(f"{name}, seed {seed}: {time.time() - began:.0f} s", flush=True)
    start = scored(taught, task, config, folder)
    runs = [json.loads(f.read_text("utf-8")) for f in sorted(folder.glob("*/run.json"))]
    runs.sort(key=lambda run: (list(REWARDS).index(run["reward"]), run["seed"]))
    return {"problems": len(task.test), "start": start, "runs": runs}


def _said(step: int, steps: int, metrics: dict[str, float]) -> None:
    print(f"teaching: step {step}/{steps}, loss {metrics['loss']:.3f}", flush=True)


if __name__ == "__main__":
    main()
