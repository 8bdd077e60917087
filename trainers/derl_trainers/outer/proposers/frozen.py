"""`frozen`: the cold-started language model as it is; random search at the same price."""

from __future__ import annotations

from collections.abc import Sequence

from derl_trainers.outer.optimizer import MetaOptimizer, sample_formulas
from derl_trainers.outer.proposers.base import Context, Past, Proposer, step_seed
from derl_trainers.policy.quiet import quiet


class Frozen(Proposer):
    """Samples from the cold-started meta-optimizer, whatever came of what it wrote."""

    cold = True

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._meta: MetaOptimizer | None = None

    def write(self, step: int, past: Sequence[Past]) -> list[str]:
        """Formulas as the model writes them, valid or not."""
        if self._meta is None:
            self._meta = self.context.meta()
        meta, settings = self._meta, self.config.meta
        seed = step_seed(self.config, step)
        with quiet():
            return sample_formulas(meta, settings, settings.formulas, seed)
