"""Train a policy with TRL's GRPOTrainer and a compiled reward.

    python examples/train_trl.py [--model NAME] [--data train.jsonl] [--steps N]

Without a model a tiny one of random weights learns nothing in a few seconds, on sums: it shows that
all is in place. With one, `--data` names rows with `prompt` and `answer`.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOConfig, GRPOTrainer

import derl_dsl
from derl_runtime.data import read_rows
from derl_trainers.policy.tiny import build_model, build_tokenizer
from derl_trainers.settings.sections import TinySection

HERE = Path(__file__).parent


def sums(count: int) -> dict[str, list[str]]:
    """Prompts and answers of additions."""
    rng = random.Random(0)
    pairs = [(rng.randint(1, 9), rng.randint(1, 9)) for _ in range(count)]
    return {"prompt": [f"{a}+{b}=?" for a, b in pairs], "answer": [str(a + b) for a, b in pairs]}


def policy(name: str | None) -> tuple[Any, Any]:
    """A model and its tokenizer."""
    if name is not None:
        return AutoModelForCausalLM.from_pretrained(name), AutoTokenizer.from_pretrained(name)
    tokenizer = build_tokenizer()
    return build_model(TinySection(hidden_size=32, intermediate_size=64), tokenizer), tokenizer


def main() -> None:
    """A GRPO run, and what it logged of the reward."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--model", help="a Hugging Face model; default: a tiny one")
    arguments.add_argument("--data", type=Path, help="rows with prompt and answer; default: sums")
    arguments.add_argument("--steps", type=int, default=3)
    given = arguments.parse_args()

    # A compiled reward is a TRL reward function: columns of the dataset arrive by name.
    reward = derl_dsl.load(HERE / "reward.derl")
    print(f"margin between right and wrong: {reward.certificate.margin:g}, proven")
    rows = sums(64) if given.data is None else read_rows(given.data)
    model, tokenizer = policy(given.model)
    with tempfile.TemporaryDirectory() as folder:
        trainer = GRPOTrainer(
            model=model,
            processing_class=tokenizer,
            reward_funcs=[reward],
            train_dataset=Dataset.from_dict(dict(rows)),
            args=GRPOConfig(
                output_dir=folder,
                max_steps=given.steps,
                per_device_train_batch_size=8,
                num_generations=8,
                max_completion_length=16 if given.model is None else 512,
                logging_steps=1,
                report_to=[],
                use_cpu=given.model is None,
                bf16=False,
            ),
        )
        trainer.train()
        logged = trainer.state.log_history[0]
    for name in sorted(k for k in logged if k.startswith("parts/") or k == "reward"):
        print(f"{name}: {logged[name]:.3f}")
    for line in reward.faults.summary():
        print(f"fault: {line}")


if __name__ == "__main__":
    main()
