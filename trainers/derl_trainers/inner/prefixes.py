"""Prompts that several completions share, read once: what a model keeps of them goes to each.

A group's prompt stands before each of its completions, and one pass over all reads it as often. A
causal model keeps keys and values of what it read, from which any completion can go on, and
gradients go through them. So distinct prompts are one pass, and completions are others, in parts of
about one length: a short one is not padded to the longest of its batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

PARTS, LEAST = 4, 512  # of the completions, by length, and tokens of a part worth a product
WORTH = 0.8  # of the tokens, above which one pass over all is left as it is


def distinct(input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Distinct rows of prompts (rows, tokens), their masks, and which of them each row is."""
    rows, which = torch.unique(
        torch.cat([input_ids, attention_mask], 1), dim=0, return_inverse=True
    )
    ids, mask = rows.chunk(2, 1)
    return ids, mask, which


def by_rows(kept: Any, tokens: int) -> DynamicCache | None:
    """A model's cache if it holds so many tokens, and rows can be picked from it; else None."""
    layers = kept.layers if type(kept) is DynamicCache else [None]
    if any(type(layer) is not DynamicLayer for layer in layers):
        return None
    return kept if kept.get_seq_length() == tokens else None  # none of what it does not use


def picked(kept: DynamicCache, rows: Tensor) -> DynamicCache:
    """The cache of some rows, through which gradients reach the whole."""
    # Of what plain indexing does the gradient takes several times as long.
    both = ((layer.keys, layer.values) for layer in kept.layers)
    return DynamicCache([(k.index_select(0, rows), v.index_select(0, rows)) for k, v in both])


def _kept(model: Any) -> bool:
    """Whether layers keep all that they read; not where a loss counts what routers saw of it."""
    recomputed = model.training and any(
        getattr(module, "gradient_checkpointing", False) for module in model.modules()
    )
    routed = getattr(model.config.get_text_config(), "output_router_logits", False)
    windows = by_rows(DynamicCache(config=model.config), 0) is None  # or states
    return not (recomputed or routed or windows)


def passes(
    model: Any, input_ids: Tensor, attention_mask: Tensor, tokens: int, rows: int
) -> Iterator[tuple[Tensor, Tensor]] | None:
    """Rows and their logits, (rows, tokens of the longest, vocabulary); None: nothing is saved.

    `input_ids` are prompts padded on the left and completions of at most `tokens` padded on the
    right; at most so many `rows` go through the model at once.
    """
    asked = input_ids.shape[1] - tokens
    ids, mask, which = distinct(input_ids[:, :asked], attention_mask[:, :asked])
    places = torch.arange(1, tokens + 1, device=input_ids.device)
    lengths = (attention_mask[:, asked:] * places).amax(1).clamp(min=1)
    order = lengths.argsort(descending=True, stable=True)
    count = max(1, min(PARTS, int(lengths.sum()) // LEAST))
    parts = torch.split(order, min(rows, -(-len(order) // count)))
    paid = len(ids) * asked + sum(len(part) * int(lengths[part[0]]) for part in parts)
    if asked < 2 or len(ids) > rows or paid > WORTH * input_ids.numel() or not _kept(model):
        return None
    read = model(
        input_ids=ids[:, :-1], attention_mask=mask[:, :-1], use_cache=True, logits_to_keep=1
    )
    kept = by_rows(getattr(read, "past_key_values", None), asked - 1)
    if kept is None:
        return None

    def each() -> Iterator[tuple[Tensor, Tensor]]:
        for part in parts:
            # The last token of the prompt is what the first of the completion follows.
            end = asked - 1 + int(lengths[part[0]])
            found = model(
                input_ids=input_ids[part, asked - 1 : end],
                attention_mask=attention_mask[part, :end],
                past_key_values=picked(kept, which[part]),
                use_cache=True,
            )
            yield part, found.logits

    return each()
