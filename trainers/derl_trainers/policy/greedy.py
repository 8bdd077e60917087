"""Greedy pass@1: what a policy answers without sampling, judged by `exact`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from derl_primitives.correctness import exact
from derl_trainers.policy.loading import ModelMissing
from derl_trainers.tasks.base import Example

ChatMode = Literal["auto", "yes", "no"]


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
    tokenizer: PreTrainedTokenizerBase, mode: ChatMode = "auto", system: str = ""
) -> Chat | None:
    """The chat of a policy, None where it reads plain text; `auto` asks for a chat template.

    Raises ModelMissing when a chat is wanted and the tokenizer has no template.
    """
    has_template = tokenizer.chat_template is not None
    if mode == "yes" and not has_template:
        raise ModelMissing('the policy has no chat template: set chat = "no" in [policy]')
    return Chat(system) if mode == "yes" or (mode == "auto" and has_template) else None


@torch.inference_mode()
def greedy_pass_at_1(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    batch_size: int = 512,
    max_new_tokens: int = 32,
    chat: Chat | None = None,
) -> float:
    """Share of `examples` whose greedy completion is exactly right; leaves the mode as it was.

    Raises ValueError without examples.
    """
    if not examples:
        raise ValueError("pass@1 needs at least one example")
    right = 0
    was_training = model.training
    model.eval()
    try:
        for start in range(0, len(examples), batch_size):
            part = examples[start : start + batch_size]
            completions = _greedy(model, tokenizer, part, max_new_tokens, chat)
            verdicts = exact(completion=completions, answer=[example.answer for example in part])
            right += int(verdicts.sum())
    finally:
        model.train(was_training)
    return right / len(examples)


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
