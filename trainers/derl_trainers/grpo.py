"""GRPOConfig in one place: what every GRPO run here shares, and settings handed through to TRL."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from trl import GRPOConfig

# What other settings decide: two places for one number would contradict each other.
OWNED = {
    "max_steps": "[inner] steps",
    "num_train_epochs": "[inner] steps",
    "per_device_train_batch_size": "[inner] prompts, num_generations and updates",
    "steps_per_generation": "[inner] updates",
    "generation_batch_size": "[inner] prompts and num_generations",
    "num_generations": "[inner] num_generations",
    "max_completion_length": "[inner] max_completion_length",
    "temperature": "[inner] temperature",
    "learning_rate": "[inner] learning_rate",
    "beta": "[inner] beta",
    "seed": "seed",
    "data_seed": "seed",
    "output_dir": "--out",
    "model_init_kwargs": "[policy]",
}


def grpo_config(
    output_dir: str | Path, seed: int, log_every: int, trl: Mapping[str, Any], **settings: Any
) -> GRPOConfig:
    """TRL's settings for a run without checkpoints, reports and bars; `trl` has the last word.

    Logs come every `log_every` optimizer steps. `trl` is passed on as it is.
    """
    shared: dict[str, Any] = {
        "output_dir": str(output_dir),
        "seed": seed,
        "data_seed": seed,
        "lr_scheduler_type": "constant",
        # On by default, and it garbles `generate` on a small model left in train mode.
        "gradient_checkpointing": False,
        "logging_strategy": "steps",
        "logging_steps": log_every,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "bf16": False,
        "use_cpu": not torch.cuda.is_available(),
        "dataloader_pin_memory": False,
    }
    return GRPOConfig(**{**shared, **settings, **trl})


def trl_problem(trl: Mapping[str, Any]) -> str | None:
    """What is wrong with the names of settings for TRL, with the mend; None when nothing is."""
    known = [f.name for f in fields(GRPOConfig) if f.init]
    for key in trl:
        if key in OWNED:
            return f"[trl] {key}: is set by {OWNED[key]} here"
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]!r}?" if near else "; see trl.GRPOConfig"
            return f"unknown key {key!r} in [trl]{hint}"
    return None
