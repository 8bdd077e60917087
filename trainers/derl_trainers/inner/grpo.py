"""GRPOConfig in one place: what every GRPO run here shares, and settings handed through to TRL."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from trl import GRPOConfig

from derl_trainers.policy.quiet import quiet
from derl_trainers.reading import ConfigError

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
# The same of the outer loop, which keeps its checkpoints to go on from.
META_OWNED = {
    "max_steps": "[meta] steps",
    "num_train_epochs": "[meta] steps",
    "per_device_train_batch_size": "[meta] formulas",
    "steps_per_generation": "[meta] updates",
    "generation_batch_size": "[meta] formulas",
    "num_generations": "[meta] formulas",
    "num_iterations": "[meta] updates",
    "max_completion_length": "[meta] max_tokens",
    "temperature": "[meta] temperature",
    "learning_rate": "[meta] learning_rate",
    "beta": "[meta] beta",
    "seed": "seed",
    "data_seed": "seed",
    "output_dir": "--run-dir",
    "logging_steps": "[meta] updates",
    "save_strategy": "the outer steps",
    "save_steps": "the outer steps",
    "save_total_limit": "the outer steps",
    "model_init_kwargs": "[meta] model",
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


def check_trl(
    trl: Mapping[str, Any],
    build: Callable[[], object],
    section: str = "trl",
    beside: str = "inner",
    owned: Mapping[str, str] = OWNED,
) -> None:
    """Raise ConfigError for settings that TRL does not know or take, before any model loads.

    `build` makes TRL's settings of them; `owned` names what the section `beside` decides.
    """
    known = [f.name for f in fields(GRPOConfig) if f.init]
    for key in trl:
        if key in owned:
            raise ConfigError(f"[{section}] {key}: is set by {owned[key]} here")
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]!r}?" if near else "; see trl.GRPOConfig"
            raise ConfigError(f"unknown key {key!r} in [{section}]{hint}")
    try:
        with quiet():
            build()
    except (ValueError, TypeError) as error:
        said = str(error).splitlines()[0]
        raise ConfigError(f"[{section}], with [{beside}]: {said}") from None
