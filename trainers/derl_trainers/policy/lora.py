"""LoRA: adapters trained instead of all weights, and merged into them afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transformers import PreTrainedModel

from derl_trainers.policy.loading import ModelMissing


def lora_config(rank: int, alpha: int, targets: Sequence[str]) -> Any:
    """The adapters to train, as peft's LoraConfig; None for rank 0, which trains all weights.

    `targets` is `all-linear` or names of layers. Raises ModelMissing without peft.
    """
    if not rank:
        return None
    try:
        from peft import LoraConfig
    except ImportError as error:
        raise ModelMissing("LoRA needs peft: pip install 'derl-dsl[train]'") from error
    return LoraConfig(
        r=rank,
        lora_alpha=alpha,
        target_modules="all-linear" if list(targets) == ["all-linear"] else list(targets),
        task_type="CAUSAL_LM",
    )


def merged(model: Any) -> PreTrainedModel:
    """The plain model: adapters, if it has any, are merged into its weights, in place."""
    return model.merge_and_unload() if hasattr(model, "merge_and_unload") else model
