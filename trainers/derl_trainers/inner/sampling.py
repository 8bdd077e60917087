"""Sampling from a language model on a CPU: a prompt is read once for its group.

TRL hands `generate` the prompt of each completion, and all of them are read. On a GPU that is
nothing beside the tokens that are written; on a CPU it is not (`benchmarks/updates.py`).
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, GenerationConfig

from derl_trainers.inner.prefixes import by_rows, distinct, picked


def generate(
    model: Any,
    input_ids: Tensor,
    attention_mask: Tensor,
    generation_config: GenerationConfig,
    **named: Any,
) -> Tensor:
    """As `model.generate`: prompts of (rows, tokens), and what follows them.

    Rows of one prompt share its pass where the model's cache can be handed on by rows; where
    a model trains with dropout, what is dropped of the prompt too.
    """
    write = type(model).generate
    asked = {"input_ids": input_ids, "attention_mask": attention_mask, **named}
    ids, mask, which = distinct(input_ids, attention_mask)
    plain = _plain(generation_config) and _plain(model.generation_config) and not named
    if plain and input_ids.shape[1] > 1 and len(ids) < len(input_ids):
        cache = _read(model, ids, mask)
        if cache is not None:
            asked["past_key_values"] = picked(cache, which)
    tokens: Tensor = write(model, **asked, generation_config=generation_config)
    return tokens


def _plain(config: GenerationConfig) -> bool:
    """Whether rows are written one by one, with a cache that the model makes itself."""
    many = (config.num_beams or 1) > 1 or (config.num_return_sequences or 1) > 1
    guided = config.prompt_lookup_num_tokens is not None or bool(config.penalty_alpha)
    kept = config.use_cache is not False and config.cache_implementation is None
    return kept and not many and not guided


def _read(model: Any, input_ids: Tensor, attention_mask: Tensor) -> DynamicCache | None:
    """What the model keeps of all tokens but the last; None where rows cannot be told apart."""
    one = GenerationConfig(
        max_new_tokens=1, do_sample=False, return_dict_in_generate=True, pad_token_id=0
    )
    kept = (
        type(model)
        .generate(model, input_ids=input_ids, attention_mask=attention_mask, generation_config=one)
        .past_key_values
    )
    cache = by_rows(kept, input_ids.shape[1])
    if cache is not None:
        cache.crop(-1)
    return cache


class Half:
    """A copy of a model in bfloat16 that follows it; buffers, such as frequencies, stay as fine."""

    def __init__(self, model: Any) -> None:
        halves: dict[int, Any] = {
            id(weights): torch.nn.Parameter(weights.detach().to(torch.bfloat16), False)
            for weights in model.parameters()
        }
        self.model = copy.deepcopy(model, halves).eval()
        for module in self.model.modules():
            # What TRL and accelerate put in place of a forward runs the model it was made for.
            vars(module).pop("forward", None)

    @torch.no_grad()
    def of(self, model: Any) -> Any:
        """The copy, with the weights that the model has now."""
        for mine, its in zip(self.model.parameters(), model.parameters(), strict=True):
            mine.copy_(its)
        return self.model
