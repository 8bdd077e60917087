"""GRPO's update of a language model on a CPU: no work that moves nothing, a plain head.

TRL takes log-probabilities by a fused head that saves memory and takes longer. And a group whose
rewards are equal has advantages of 0: without a KL term its tokens have no gradient and need no
pass through the model. Sparse rewards leave most groups so. And a prompt is read once for all its
completions (`prefixes.py`). Where none of this holds, and with a small vocabulary, TRL's own way is
taken. `benchmarks/updates.py` measures both.
"""

from __future__ import annotations

from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from derl_trainers.inner.completions import log_probs, writing
from derl_trainers.inner.diverged import CheckedTrainer
from derl_trainers.inner.sampling import Half, generate
from derl_trainers.policy.loading import MOST, vocabulary

LARGE = 8192  # tokens of a vocabulary whose head costs more than a layer
_PROMPT = ("prompt_ids", "prompt_mask")


class LeanTrainer(CheckedTrainer):
    """GRPOTrainer with the same gradients for less.

    Logged entropy and clip ratios are those of the rows that count, none where no row does.
    """

    def _lean(self) -> bool:
        """Whether log-probabilities are taken here: on a CPU, in one process, of many tokens."""
        one = self.accelerator.num_processes == 1 and self.accelerator.device.type == "cpu"
        other = self.aux_loss_enabled or self.args.cast_lm_head_to_fp32
        return one and not other and vocabulary(self.model) >= LARGE

    @cached_property
    def _half(self) -> Half:
        return Half(self.accelerator.unwrap_model(self.model))

    def _generate_single_turn(self, *args: Any, **kwargs: Any) -> Any:
        if not self._lean():
            return super()._generate_single_turn(*args, **kwargs)
        model = self.accelerator.unwrap_model(self.model)
        writer = self._half.of(model) if self.args.bf16 else model
        with writing(model, partial(generate, writer)):
            return super()._generate_single_turn(*args, **kwargs)

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        alone = (
            self.beta == 0
            and self.loss_type == "dapo"  # whose divisor is that of all rows, however many are cut
            and self.off_policy_mask_threshold is None
            and self.top_entropy_quantile == 1  # a quantile is that of all rows
            and not self._entropy_bonus_enabled
            and self.model.training
        )
        if not (alone and self._lean()):
            return super()._compute_loss(model, inputs)  # type: ignore[no-any-return]
        kept = moving(inputs)
        if not len(kept["advantages"]):
            # All zero, and not none at all: Adam goes on by what it remembers, as it would.
            trained = [p for p in model.parameters() if p.requires_grad]
            return torch.stack([0.0 * p.flatten()[0].float() for p in trained]).sum()
        return super()._compute_loss(model, kept)  # type: ignore[no-any-return]

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: Tensor,
        attention_mask: Tensor,
        logits_to_keep: int,
        batch_size: int | None = None,
        compute_entropy: bool = False,
        compute_aux_loss: bool = False,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        more = any(value is not None for value in kwargs.values())  # of images
        step = batch_size or len(input_ids)
        size = min(step, len(input_ids)) * logits_to_keep * vocabulary(self.model)
        if more or size > MOST or self._entropy_bonus_enabled or not self._lean():
            return super()._get_per_token_logps_and_entropies(  # type: ignore[no-any-return]
                model, input_ids, attention_mask, logits_to_keep, batch_size=batch_size,
                compute_entropy=compute_entropy, compute_aux_loss=compute_aux_loss, **kwargs,
            )  # fmt: skip

        def plain(logits: Tensor, tokens: Tensor, rows: Tensor) -> tuple[Tensor, Tensor | None]:
            each = logits.log_softmax(-1)
            chosen = each.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
            if not compute_entropy:
                return chosen, None
            with torch.no_grad():
                return chosen, torch.stack([-(row.exp() * row).sum(-1) for row in each])

        return log_probs(
            self, model, input_ids, attention_mask, logits_to_keep, batch_size, plain, shared=True
        )


def moving(inputs: dict[str, Any]) -> dict[str, Any]:
    """The rows of a batch that have an advantage and a token that counts, cut to the longest.

    Completions are padded on the right. `inputs` are TRL's: numbers, and tensors of (rows,),
    (rows, tokens of a completion) and (rows, tokens of a prompt), which stay as long as they are:
    some models count positions from the first column.
    """
    advantages, mask = inputs["advantages"], inputs["completion_mask"]
    rows = (advantages.reshape(len(advantages), -1) != 0).any(-1) & mask.any(-1)
    longest = int(mask[rows].sum(-1).max()) if bool(rows.any()) else 0
    kept = dict(inputs)
    for name, value in inputs.items():
        if not isinstance(value, Tensor) or not value.dim() or len(value) != len(advantages):
            continue
        cut = value.dim() == 2 and value.shape[1] == mask.shape[1] and name not in _PROMPT
        kept[name] = value[rows][:, :longest] if cut else value[rows]
    return kept
