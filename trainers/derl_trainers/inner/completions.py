"""Seams of TRL's trainer that have no argument: how it writes, and takes log-probabilities."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from trl import GRPOTrainer

# From logits (rows, tokens, vocabulary) and tokens (rows, tokens) of a slice of the rows: their
# log-probabilities, and entropies where these are asked for, (rows, tokens).
OfLogits = Callable[[Tensor, Tensor, slice], tuple[Tensor, Tensor | None]]


@contextmanager
def writing(model: Any, generate: Callable[..., Any]) -> Iterator[None]:
    """Within it the model's `generate` is another: TRL pads, asks and cuts as it does."""
    model.generate = generate  # what is set on a model comes before what its class has
    try:
        yield
    finally:
        del model.generate


def log_probs(
    trainer: GRPOTrainer,
    model: Any,
    input_ids: Tensor,
    attention_mask: Tensor,
    logits_to_keep: int,
    rows: int | None,
    of: OfLogits,
) -> tuple[Tensor, Tensor | None]:
    """Log-probabilities and entropies of completions, (B, tokens), so many rows at once.

    As in TRL, padding counts nothing, and logits are those at the trainer's temperature.
    """
    logs, entropies = [], []
    rows = rows or len(input_ids)
    for start in range(0, len(input_ids), rows):
        part = slice(start, start + rows)
        with trainer.accelerator.autocast():
            logits = model(
                input_ids=input_ids[part],
                attention_mask=attention_mask[part],
                logits_to_keep=logits_to_keep + 1,
                use_cache=False,
            ).logits[:, -(logits_to_keep + 1) : -1]  # all of them, from some models
        tokens = input_ids[part, -logits_to_keep:]
        padding = attention_mask[part, -logits_to_keep:] == 0
        chosen, entropy = of(logits.float() / trainer.temperature, tokens, part)
        logs.append(chosen.masked_fill(padding, 0))
        if entropy is not None:
            entropies.append(entropy.masked_fill(padding, 0))
    return torch.cat(logs), torch.cat(entropies) if entropies else None
