"""Small GRPO runs of our own trainer, whose rollouts `forecast` and `watch` are held against.

    python -m benchmarks.foresight.runs            # about twenty minutes on two cores; kept

One start policy, the demo's, and one run a reward and seed; every rollout is kept in `--to`
(.benchmarks/foresight), with rollouts of the start policy, many a prompt, for the forecast. Two
paces: `fast` is the demo's learning rate and two updates, where what is planted is found within 50
steps; `slow` that of the configs for environments (a third of it) and one update. A run that is
there already is not done again.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

import derl_dsl
from benchmarks.foresight.rewards import CLEAN, HACKED, SUITE, Trained
from derl_runtime.data import write_rows
from derl_trainers.inner.loop import train_inner
from derl_trainers.inner.rollouts import FOLDER, keeping
from derl_trainers.policy.loading import load_model
from derl_trainers.policy.quiet import quiet
from derl_trainers.policy.start import start_policy
from derl_trainers.settings.sections import InnerSection, PolicySection, Training
from derl_trainers.tasks.load import load_task

WHERE = Path(".benchmarks/foresight")
STEPS = 50
INNER = InnerSection(
    steps=STEPS, prompts=8, num_generations=8, updates=2, learning_rate=1e-4,
    max_completion_length=32,
)  # fmt: skip
TRAINING = Training(policy=PolicySection(), inner=INNER)
PACES = {"fast": INNER, "slow": replace(INNER, learning_rate=3e-5, updates=1)}
# Seeds of each pace: the slow runs are for the forecast alone.
SEEDS = {"fast": (0, 1, 2), "slow": (0,)}
LOGGED_PROMPTS, LOGGED_SAMPLES = 96, 16
START = "start.parquet"


def runs(seeds: Iterable[int]) -> list[tuple[Trained, int]]:
    """Every reward with every seed, seeds outermost, clean and hacked ones in turns."""
    turns = [reward for pair in zip(CLEAN, HACKED, strict=True) for reward in pair]
    return [(reward, seed) for seed in seeds for reward in turns]


def folder_of(where: Path, pace: str, reward: Trained, seed: int) -> Path:
    """Where a run lies."""
    kind = "hacked" if reward.hack else "clean"
    return where / pace / f"{kind}-{reward.name.replace(' ', '-')}-{seed}"


def train(reward: Trained, seed: int, policy: str, folder: Path, pace: str) -> dict[str, Any]:
    """One run, its rollouts and what came of it in its folder."""
    training = replace(TRAINING, inner=PACES[pace])
    task = load_task(TRAINING.task)
    compiled = derl_dsl.compile(reward.text, suite=SUITE)
    with keeping(compiled, folder / FOLDER, STEPS * INNER.completions, STEPS):
        result = train_inner(
            compiled, policy, task.train, task.validation[:64], training, seed=seed,
            score_before=True,
        )  # fmt: skip
    record = {
        "name": reward.name, "text": reward.text, "hack": reward.hack, "seed": seed,
        "before": result.pass_at_1_before, "after": result.pass_at_1, "steps": result.steps,
        "seconds": result.seconds, "dead": [step.zero_std_share for step in result.history],
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    return record


def log_start(policy: str, where: Path) -> None:
    """Rollouts of the start policy, several a prompt, sampled as in training."""
    torch.manual_seed(0)
    task = load_task(TRAINING.task)
    rows: dict[str, list[Any]] = {"prompt": [], "completion": [], "answer": []}
    with quiet():
        model, tokenizer = load_model(policy)
        model.eval()
        for example in task.train[-LOGGED_PROMPTS:]:
            given = tokenizer([example.prompt], return_tensors="pt", add_special_tokens=False)
            found = model.generate(
                **{k: v for k, v in given.items() if k != "token_type_ids"}, do_sample=True,
                temperature=INNER.temperature, max_new_tokens=INNER.max_completion_length,
                num_return_sequences=LOGGED_SAMPLES, top_k=0, top_p=1.0,
            )  # fmt: skip
            new = found[:, given["input_ids"].shape[1] :]
            rows["completion"] += tokenizer.batch_decode(new, skip_special_tokens=True)
            rows["prompt"] += [example.prompt] * LOGGED_SAMPLES
            rows["answer"] += [example.answer] * LOGGED_SAMPLES
    write_rows(where / START, rows)


def main() -> None:
    """Run what is not there yet."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--to", type=Path, default=WHERE)
    options.add_argument("--pace", choices=PACES, action="append", help="both without it")
    options.add_argument("--seeds", type=int, nargs="+", help="else those of the pace")
    given = options.parse_args()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    torch.set_num_threads(1)
    given.to.mkdir(parents=True, exist_ok=True)
    policy = start_policy(TRAINING.task, TRAINING.policy, given.to / "policy", 0)
    if not (given.to / START).exists():
        log_start(policy, given.to)
    for pace in given.pace or PACES:
        for reward, seed in runs(given.seeds or SEEDS[pace]):
            folder = folder_of(given.to, pace, reward, seed)
            if (folder / "run.json").exists():
                continue
            began = time.perf_counter()
            record = train(reward, seed, policy, folder, pace)
            print(
                f"{pace} {reward.name:12} seed {seed}  pass@1 {record['before']:.3f} -> "
                f"{record['after']:.3f}  {time.perf_counter() - began:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
