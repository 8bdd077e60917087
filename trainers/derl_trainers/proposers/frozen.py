"""`frozen`: the cold-started language model as it is; random search at the same price."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from transformers import PreTrainedModel

from derl_trainers.config import RunConfig
from derl_trainers.meta_optimizer import MetaOptimizer, sample_formulas
from derl_trainers.proposers.base import Context, Past, step_seed
from derl_trainers.quiet import quiet


@contextmanager
def seeded(model: PreTrainedModel, seed: int) -> Iterator[None]:
    """Torch's random numbers from `seed`, on the model's device too; put back afterwards."""
    devices = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


class Frozen:
    """Samples from the cold-started meta-optimizer, whatever came of what it wrote."""

    def __init__(self, config: RunConfig, context: Context) -> None:
        self.config = config
        self.context = context
        self._meta: MetaOptimizer | None = None

    def propose(self, step: int, past: Sequence[Past]) -> list[str]:
        """Formulas as the model writes them, valid or not."""
        if self._meta is None:
            self._meta = self.context.meta()
        meta, settings = self._meta, self.config.meta
        with quiet(), seeded(meta.model, step_seed(self.config, step)):
            return sample_formulas(meta, settings, settings.formulas)
