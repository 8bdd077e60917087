"""A GRPO training in several processes: each writes what it asked and what it got.

torchrun --nproc_per_node 2 -m tests.adapters.trl_processes POLICY FOLDER
"""

from __future__ import annotations

import json
import os
import pickle
import sys
from pathlib import Path

from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOConfig, GRPOTrainer

import derl_dsl

# The group's mean moves with every row of it; a group of eight is cut by two processes of four.
# Two more, named: two lines of each process's log.
NAMED = {
    "short": "w = 1 - ramp(chars(completion), 2, 8)\nreward = w",
    "digits": "w = digit\nreward = 0.1 * w",
}
COLUMNS = {"completion": "text", "digit": "number[0, 9]"}
REWARD = "chars(completion) - group_mean(chars(completion)) + 0.001 * group_rank(digit)"


class Recorded:
    """A reward that writes each call to a file of its process."""

    def __init__(self, reward: derl_dsl.Reward, file: Path) -> None:
        self.reward, self.file, self.__name__ = reward, file, "recorded"

    def __call__(self, completions, digit, **given):
        said = self.reward(completions=completions, digit=digit, **given)
        with self.file.open("a") as out:
            out.write(json.dumps({"texts": completions, "digit": digit, "said": said}) + "\n")
        return said


def main(policy: str, folder: str) -> None:
    """Two steps of two groups of eight; two processes hold four completions of each."""
    reward = derl_dsl.compile(REWARD, columns=COLUMNS)
    named = [derl_dsl.compile(text, columns=COLUMNS, name=name) for name, text in NAMED.items()]
    rank = os.environ.get("RANK", "0")
    rows = [{"prompt": f"{k}+{k}=", "digit": k % 10} for k in range(16)]
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    trainer = GRPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(policy),
        processing_class=AutoTokenizer.from_pretrained(policy, padding_side="left"),
        reward_funcs=[
            Recorded(reward, Path(folder) / f"rank{rank}.jsonl"),
            *pickle.loads(pickle.dumps(named)),
        ],
        train_dataset=Dataset.from_list(rows),
        args=GRPOConfig(
            output_dir=folder, use_cpu=True, report_to=[], num_generations=8, max_steps=2,
            per_device_train_batch_size=12 // processes if processes > 1 else 24,
            gradient_accumulation_steps=2 if processes > 1 else 1,
            max_completion_length=8, save_strategy="no", logging_steps=1, beta=0.0,
            learning_rate=1e-4, disable_tqdm=True,
        ),
    )  # fmt: skip
    trainer.train()
    logged = [line for line in trainer.state.log_history if "reward" in line]
    (Path(folder) / f"log{rank}.json").write_text(json.dumps(logged))


if __name__ == "__main__":
    main(*sys.argv[1:3])
