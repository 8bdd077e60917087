"""Sampling from a language model on a CPU: a prompt is read once for its group.

TRL hands each prompt of a group to `generate`, which reads all of them. On a GPU that is nothing
beside the tokens that are written; on a CPU it is a third of the time.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, GenerationConfig
from transformers.cache_utils import DynamicLayer


def generate(
    write: Callable[..., Any],
    input_ids: Tensor,
    attention_mask: Tensor,
    generation_config: GenerationConfig,
    **named: Any,
) -> Tensor:
    """What `write`, a model's own `generate`, makes of prompts: (rows, tokens), with the prompts.

    Neighbours of one prompt share its pass where the model's cache can be handed on by rows.
    """
    asked = {"input_ids": input_ids, "attention_mask": attention_mask, **named}
    first = torch.ones(len(input_ids), dtype=torch.bool, device=input_ids.device)
    first[1:] = (input_ids[1:] != input_ids[:-1]).any(-1)
    if not named and _plain(generation_config) and input_ids.shape[1] > 1 and not bool(first.all()):
        cache = _read(write, input_ids[first], attention_mask[first])
        if cache is not None:
            cache.batch_select_indices(first.cumsum(0) - 1)
            asked["past_key_values"] = cache
    tokens: Tensor = write(**asked, generation_config=generation_config)
    return tokens


def _plain(config: GenerationConfig) -> bool:
    """Whether rows are written one by one, with a cache that the model makes itself."""
    searched = (config.num_beams or 1) > 1 or config.prompt_lookup_num_tokens is not None
    return not searched and config.use_cache is not False and config.cache_implementation is None


def _read(
    write: Callable[..., Any], input_ids: Tensor, attention_mask: Tensor
) -> DynamicCache | None:
    """What the model keeps of all tokens but the last; None where rows cannot be told apart."""
    one = GenerationConfig(
        max_new_tokens=1, do_sample=False, return_dict_in_generate=True, pad_token_id=0
    )
    kept = write(
        input_ids=input_ids, attention_mask=attention_mask, generation_config=one
    ).past_key_values
    layers = kept.layers if type(kept) is DynamicCache else [None]
    if any(type(layer) is not DynamicLayer for layer in layers):
        return None
    kept.crop(-1)
    return kept


class Half:
    """A copy of a model in bfloat16 that follows it."""

    def __init__(self, model: Any) -> None:
        self.model = copy.deepcopy(model).to(torch.bfloat16).eval()

    @torch.no_grad()
    def of(self, model: Any) -> Any:
        """The copy, with the weights that the model has now."""
        for mine, its in zip(self.model.parameters(), model.parameters(), strict=True):
            mine.copy_(its)
        return self.model
