"""TRL's GRPOTrainer for the meta-optimizer: masked decoding, and a prompt that changes by step.

Three seams of GRPOTrainer are used. Sampling gets a logits processor; what is sampled carries its
masks along, through TRL's shuffling; and log-probabilities (of the policy, of the one that sampled,
and of the reference of the KL term) are taken under the masks. Without masks it is TRL's own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from datasets import Dataset
from torch import Tensor
from transformers import LogitsProcessorList, PrinterCallback, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from derl_trainers.inner.completions import log_probs, writing
from derl_trainers.inner.diverged import CheckedTrainer
from derl_trainers.inner.grpo import grpo_config
from derl_trainers.inner.lean import LARGE
from derl_trainers.outer.decoding import (
    FormulaMasks,
    FormulaProcessor,
    masked_log_probs,
    masked_rows,
)
from derl_trainers.outer.optimizer import MetaOptimizer, meta_peft_config
from derl_trainers.outer.prompts import Prompt
from derl_trainers.policy.loading import vocabulary
from derl_trainers.policy.lora import merged
from derl_trainers.settings.run import ConfigError, MetaSection, RunConfig


def meta_trainer(
    config: RunConfig,
    meta: MetaOptimizer,
    reward: Callable[..., list[float | None]],
    args: GRPOConfig,
    callbacks: Sequence[TrainerCallback] = (),
    prompt: Callable[[], Prompt] | None = None,
) -> GRPOTrainer:
    """The outer GRPO on the meta-optimizer, as `[meta]` says; one prompt, one group a step.

    `prompt` gives that of each step when it is sampled, the fixed one without it. With LoRA the
    reference of the KL term is the model without adapters: `meta.model` as it was cold-started.
    Raises ConfigError for masked decoding with an engine that does not take the masks.
    """
    settings = config.meta
    masked = settings.decoding != "free"
    if masked and (args.use_vllm or args.use_transformers_continuous_batching):
        raise ConfigError(
            f"[meta] decoding: {settings.decoding!r} needs transformers' own `generate`; write "
            '"free" with vLLM or continuous batching'
        )
    trainer = MetaTrainer(
        model=meta.model,
        reward_funcs=reward,
        args=args,
        train_dataset=Dataset.from_list([{"prompt": meta.prompt}]),
        processing_class=meta.tokenizer,
        callbacks=list(callbacks),
        peft_config=meta_peft_config(settings),
        settings=settings,
        masks=meta.masks if masked else None,
        prompt=prompt,
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def meta_settings(config: RunConfig, folder: Path, steps: int) -> GRPOConfig:
    """TRL's settings: one prompt, one group a step, used for `updates` optimizer steps."""
    meta: MetaSection = config.meta
    return grpo_config(
        folder,
        config.seed,
        log_every=meta.updates,
        trl=meta.trl,
        max_steps=steps * meta.updates,
        per_device_train_batch_size=meta.formulas,
        num_generations=meta.formulas,
        steps_per_generation=1,
        num_iterations=meta.updates,
        max_completion_length=meta.max_tokens,
        temperature=meta.temperature,
        learning_rate=meta.learning_rate,
        beta=meta.beta,
        save_strategy="steps",
        save_steps=meta.updates,
        save_total_limit=2,
    )


def save_trained(trainer: GRPOTrainer, folder: str | Path) -> None:
    """Save the meta-optimizer as a plain transformers checkpoint, adapters merged into it.

    Training cannot go on afterwards where there were adapters.
    """
    model = merged(trainer.accelerator.unwrap_model(trainer.model))
    model.save_pretrained(folder)
    trainer.processing_class.save_pretrained(folder)


class MetaTrainer(CheckedTrainer):
    """GRPOTrainer that writes formulas, or a part of each group, under the grammar's masks."""

    def __init__(
        self,
        *args: Any,
        settings: MetaSection,
        masks: FormulaMasks | None,
        prompt: Callable[[], Prompt] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.settings = settings
        self.masks = masks
        self.prompt = prompt
        # The packed masks of the completions at hand, (rows, length, words); None: TRL's own way.
        self._bits: Tensor | None = None

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        if self.prompt is not None:
            prompt = self.prompt()
            inputs = [{**row, "prompt": prompt} for row in inputs]
        batch: dict[str, Any] = super()._generate_and_score_completions(inputs)
        if self._bits is not None:
            batch["bits"] = self._bits
        return batch

    def _generate_single_turn(
        self, prompt_ids: Any, images: Any, fields: Any, num_generations: int, *args: Any
    ) -> Any:
        if self.masks is None:
            return super()._generate_single_turn(prompt_ids, images, fields, num_generations, *args)
        count = len(prompt_ids)
        first = self.accelerator.process_index * count
        rows = masked_rows(self.settings, first + count, num_generations)[first:]
        processor = LogitsProcessorList([FormulaProcessor(self.masks, rows)])
        model = self.accelerator.unwrap_model(self.model_wrapped)
        # TRL has no argument for a processor.
        with writing(model, partial(model.generate, logits_processor=processor)):
            completion_ids, logprobs = super()._generate_single_turn(
                prompt_ids, images, fields, num_generations, *args
            )
        self._bits = self.masks.replay(completion_ids, rows).to(self.accelerator.device)
        return completion_ids, logprobs

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        self._bits = inputs.get("bits")
        loss: Tensor = super()._compute_loss(model, inputs)
        return loss

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
        if self._bits is None:
            return super()._get_per_token_logps_and_entropies(  # type: ignore[no-any-return]
                model, input_ids, attention_mask, logits_to_keep,
                batch_size=batch_size, compute_entropy=compute_entropy,
                compute_aux_loss=compute_aux_loss, **kwargs,
            )  # fmt: skip
        bits = self._bits
        alone = self.accelerator.num_processes == 1 and self.accelerator.device.type == "cpu"
        shared = alone and vocabulary(self.model) >= LARGE

        def masked(logits: Tensor, tokens: Tensor, rows: Tensor) -> tuple[Tensor, Tensor | None]:
            own = bits[rows, : tokens.shape[1]]
            return masked_log_probs(logits, tokens, own, compute_entropy)

        return log_probs(
            self, model, input_ids, attention_mask, logits_to_keep, batch_size, masked,
            shared=shared, routed=compute_aux_loss,
        )  # fmt: skip
