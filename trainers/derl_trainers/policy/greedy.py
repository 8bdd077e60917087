"""Greedy answers: what a policy writes without sampling, and which of them are right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from derl_trainers.policy.loading import ModelMissing
from derl_trainers.settings.sections import Training
from derl_trainers.tasks.base import Example, Scorer


@dataclass(frozen=True, slots=True)
class Chat:
    """How a problem becomes a conversation, for policies with a chat template."""

    system: str = ""

    def messages(self, prompt: str) -> list[dict[str, str]]:
        """The conversation that asks for an answer to `prompt`.

        >>> Chat().messages("1+1=?")
        [{'role': 'user', 'content': '1+1=?'}]
        """
        before = [{"role": "system", "content": self.system}] if self.system else []
        return [*before, {"role": "user", "content": prompt}]


def chat_for(
    tokenizer: PreTrainedTokenizerBase, mode: str = "auto", system: str = ""
) -> Chat | None:
    """The chat of a policy, None where it reads plain text; `auto` asks for a chat template.

    Raises ModelMissing when a chat is wanted and the tokenizer has no template.
    """
    has_template = tokenizer.chat_template is not None
    if mode == "yes" and not has_template:
        raise ModelMissing('the policy has no chat template: set chat = "no" in [policy]')
    return Chat(system) if mode == "yes" or (mode == "auto" and has_template) else None


@torch.inference_mode()
def greedy_right(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    scorer: Scorer,
    training: Training,
) -> NDArray[np.bool_]:
    """Which of `examples` the greedy completion gets right, (B,); the model's mode is left alone.

    Asked as `training` says: its policy's chat, `eval_batch` at once, as long as in the inner
    loop. Raises ValueError without examples.
    """
    if not examples:
        raise ValueError("pass@1 needs at least one example")
    policy, longest = training.policy, training.inner.max_completion_length
    chat = chat_for(tokenizer, policy.chat, policy.system)
    right = []
    was_training = model.training
    model.eval()
    try:
        for start in range(0, len(examples), training.eval_batch):
            part = examples[start : start + training.eval_batch]
            right.append(scorer(_greedy(model, tokenizer, part, longest, chat), part))
    finally:
        model.train(was_training)
    return np.concatenate(right)


def _greedy(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    max_new_tokens: int,
    chat: Chat | None,
) -> list[str]:
    """Greedy completions of one left-padded batch."""
    prompts = [example.prompt for example in examples]
    if chat is not None:
        prompts = tokenizer.apply_chat_template(
            [chat.messages(prompt) for prompt in prompts],
            tokenize=False,
            add_generation_prompt=True,
        )
    batch = tokenizer(
        prompts,
        padding=True,
        padding_side="left",
        return_tensors="pt",
        return_token_type_ids=False,
        # A chat template writes its own.
        add_special_tokens=chat is None,
    ).to(model.device)
    tokens = model.generate(
        **batch,
        do_sample=False,
        use_cache=True,
        max_new_tokens=max_new_tokens,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    new = tokens[:, batch["input_ids"].shape[1] :]
    texts: list[str] = tokenizer.batch_decode(new, skip_special_tokens=True)
    return texts
