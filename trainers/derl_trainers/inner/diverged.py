"""Training that diverges is named where it shows: in weights, or where nothing can be sampled."""

from __future__ import annotations

from typing import Any

import torch
from trl import GRPOTrainer

from derl_trainers.inner.reward import Diverged

_NOT_SAMPLED = "probability tensor"  # what torch says of logits that are NaN or infinite


def check_numbers(model: torch.nn.Module) -> None:
    """Raise Diverged where a weight is NaN or infinite."""
    for name, weights in model.named_parameters():
        if not bool(torch.isfinite(weights).all()):
            raise Diverged(f"training diverged: {name} holds NaN or infinite weights")


class CheckedTrainer(GRPOTrainer):  # type: ignore[misc]
    """GRPOTrainer that raises Diverged when it cannot sample.

    The weights are looked at first: on a GPU, sampling by NaN ends CUDA for the whole process.
    """

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
        check_numbers(self.model)
        try:
            batch: dict[str, Any] = super()._generate_and_score_completions(inputs)
        except RuntimeError as error:
            if _NOT_SAMPLED not in str(error):
                raise
            raise Diverged("training diverged: logits are NaN or infinite") from None
        return batch
