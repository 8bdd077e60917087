"""Seams of TRL's trainer that have no argument: how it writes, and takes log-probabilities."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from trl import GRPOTrainer

from derl_trainers.inner.prefixes import passes

# From logits (rows, tokens, vocabulary) and tokens (rows, tokens) of some of the rows: their
# log-probabilities, and entropies where these are asked for, (rows, tokens).
OfLogits = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor | None]]


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
    tokens: int,
    rows: int | None,
    of: OfLogits,
    shared: bool = False,
    routed: bool = False,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Log-probabilities and entropies of completions, (B, tokens), so many rows at once.

    Third, where experts are `routed`, the model's loss that balances them, the mean of its passes.

    As in TRL, padding counts nothing, and logits are those at the trainer's temperature. With
    `shared` a prompt is read once for all its completions, where that saves something and the
    model can; where it trains with dropout, what is dropped of the prompt is shared too.
    """
    size = rows or len(input_ids)
    logs: list[Tensor] = []
    entropies: list[Tensor] = []
    order: list[Tensor] = []
    balance: list[Tensor] | None = [] if routed else None
    with trainer.accelerator.autocast():
        once = shared and not routed  # routers are to see each prompt with its completion
        found = passes(model, input_ids, attention_mask, tokens, size) if once else None
        found = found or _plain(model, input_ids, attention_mask, tokens, size, balance)
        for part, logits in found:
            length = logits.shape[1]
            start = input_ids.shape[1] - tokens
            padding = attention_mask[part, start : start + length] == 0
            written = input_ids[part, start : start + length]
            with torch.autocast(logits.device.type, enabled=False):
                values = of(logits.float() / trainer.temperature, written, part)
            order.append(part)
            for kept, value in zip((logs, entropies), values, strict=True):
                if value is not None:
                    kept.append(pad(value.masked_fill(padding, 0), (0, tokens - length)))
    back = torch.cat(order).argsort()
    return (
        torch.cat(logs)[back],
        torch.cat(entropies)[back] if entropies else None,
        torch.stack(balance).mean() if balance else None,
    )


def _plain(
    model: Any,
    input_ids: Tensor,
    attention_mask: Tensor,
    tokens: int,
    size: int,
    balance: list[Tensor] | None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Rows, in their order, and logits of their completions; `balance` takes routers' losses."""
    more = {} if balance is None else {"output_router_logits": True}
    for part in torch.split(torch.arange(len(input_ids), device=input_ids.device), size):
        found = model(
            input_ids=input_ids[part],
            attention_mask=attention_mask[part],
            logits_to_keep=tokens + 1,
            use_cache=False,
            **more,
        )
        if balance is not None:
            balance.append(found.aux_loss)
        yield part, found.logits[:, -(tokens + 1) : -1]  # all of them, from some models
