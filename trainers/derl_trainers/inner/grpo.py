"""GRPOConfig in one place: what every GRPO run here shares, and settings handed through to TRL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
from trl import GRPOConfig

from derl_grammar.near import suggestion
from derl_trainers.policy.quiet import quiet
from derl_trainers.reading import ConfigError
from derl_trainers.settings.sections import Training

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
    # A step would be another number of samplings or updates than is counted and paid for.
    "num_iterations": "[inner] updates, which cuts a sampling into parts and uses each once",
    "auto_find_batch_size": "[inner] prompts, num_generations and updates",
    "logging_steps": "the sampling steps",
    "logging_strategy": "the sampling steps",
    "reward_weights": "[inner] rewards; there is one reward",
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
    "gradient_accumulation_steps": "[meta] updates; a group is one batch",
    "auto_find_batch_size": "[meta] formulas",
    "reward_weights": "the meta-reward; there is one",
    "logging_steps": "[meta] updates",
    "logging_strategy": "[meta] updates",
    "save_strategy": "the outer steps",
    "save_steps": "the outer steps",
    "save_total_limit": "the outer steps",
    "model_init_kwargs": "[meta] model",
}


# Names that TRL asks for when training has begun, if at all.
_NAMES: dict[str, tuple[Any, ...]] = {
    "loss_type": (
        "grpo", "dapo", "bnpo", "dr_grpo", "cispo", "sapo", "luspo", "vespo",
    ),
    "scale_rewards": ("group", "batch", "none", True, False),
    "importance_sampling_level": ("token", "sequence"),
    "multi_objective_aggregation": ("sum_then_normalize", "normalize_then_sum"),
    "vllm_mode": ("server", "colocate"),
}  # fmt: skip
_KINDS: dict[str, Any] = {
    "float": (int, float), "int": int, "bool": bool, "str": str, "None": type(None), "dict": dict,
}  # fmt: skip
# What training does not see of a reward: `group` a factor and what a group shares, `affine` a
# factor and a constant, `text` nothing.
Invariance = Literal["group", "affine", "text"]


def grpo_config(
    output_dir: str | Path, seed: int, log_every: int, trl: Mapping[str, Any], **settings: Any
) -> GRPOConfig:
    """TRL's settings for a run without checkpoints, reports and bars; `trl` has the last word.

    Logs come every `log_every` optimizer steps. `trl` is passed on as it is.
    """
    cuda = torch.cuda.is_available()
    shared: dict[str, Any] = {
        "output_dir": str(output_dir),
        "seed": seed,
        "data_seed": seed,
        "lr_scheduler_type": "constant",
        # On by default, and it garbles `generate` on a small model left in train mode; on a GPU it
        # is what large ones need, as is bf16.
        "gradient_checkpointing": cuda,
        "logging_strategy": "steps",
        "logging_steps": log_every,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "bf16": cuda,
        "use_cpu": not cuda,
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
    known = {f.name: f.type for f in fields(GRPOConfig) if f.init}
    for key in trl:
        if key in owned:
            raise ConfigError(f"[{section}] {key}: is set by {owned[key]} here")
        if key not in known:
            hint = suggestion(key, known) or "; see trl.GRPOConfig"
            raise ConfigError(f"unknown key {key!r} in [{section}]{hint}")
        if key not in _NAMES and not _fits(trl[key], known[key]):
            raise ConfigError(f"[{section}] {key}: expected {_shown(known[key])}, not {trl[key]!r}")
    for key, names in _NAMES.items():
        if key in trl and trl[key] not in names:
            raise ConfigError(
                f"[{section}] {key}: expected one of {', '.join(map(repr, names))}, "
                f"not {trl[key]!r}{suggestion(str(trl[key]), map(str, names))}"
            )
    if trl.get("use_vllm") and find_spec("vllm") is None:
        raise ConfigError(f"[{section}] use_vllm: vLLM is not installed: pip install 'trl[vllm]'")
    try:
        with quiet():
            build()
    except (ValueError, TypeError, ImportError) as error:
        said = str(error).splitlines()[0]
        raise ConfigError(f"[{section}], with [{beside}]: {said}") from None


def _shown(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind)


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value is of a kind that a setting of TRL takes; of kinds not known here any is.

    TRL asks for few of them itself: others break every inner run, after the warm start.

    >>> _fits("abc", float), _fits(1, float), _fits(True, int), _fits("x", "dict | str | None")
    (False, True, False, True)
    """
    names = [part.strip() for part in _shown(kind).split("|")]
    if not all(name in _KINDS for name in names):
        return True
    return any(
        isinstance(value, _KINDS[name]) and (name == "bool" or not isinstance(value, bool))
        for name in names
    )


def rescaled(training: Training) -> bool:
    """Whether rewards are scaled before TRL sees them: not where it keeps the scale they have."""
    kept = training.trl.get("scale_rewards", "group") in ("none", False)
    return training.inner.rewards == "unit" and not kept


def invariance(training: Training) -> Invariance:
    """What change of a reward training does not see, with these settings of TRL.

    Its advantages are (R - group's mean) / (deviation + 1e-4). With the group's deviation, a
    positive factor and whatever a group shares vanish. With the batch's, only what all rollouts
    share does: what groups differ by is part of the deviation. With none, the factor stays: what
    the KL term and the largest gradient are worth beside it. `raw` rewards meet float32 and the
    1e-4 as they are.
    """
    if not rescaled(training):
        return "text"
    return "affine" if training.trl.get("scale_rewards") == "batch" else "group"
