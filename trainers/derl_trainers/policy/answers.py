"""Answers of a policy, sampled or greedy, and which of them are right."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
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
            right.append(scorer(completed(model, tokenizer, part, longest, chat), part))
    finally:
        model.train(was_training)
    return np.concatenate(right)


def completed(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    max_new_tokens: int,
    chat: Chat | None,
    temperature: float | None = None,
    count: int = 1,
) -> list[str]:
    """Completions of one left-padded batch, the `count` of each problem side by side.

    Sampled at a temperature; greedily where that is None.
    """
    batch = tokenizer(
        asked(tokenizer, examples, chat),
        padding=True,
        padding_side="left",
        return_tensors="pt",
        return_token_type_ids=False,
        # A chat template writes its own.
        add_special_tokens=chat is None,
    )
    new = _generated(model, tokenizer, batch, max_new_tokens, temperature, count)
    texts: list[str] = tokenizer.batch_decode(new, skip_special_tokens=True)
    return texts


@torch.inference_mode()
def _generated(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    batch: Any,
    max_new_tokens: int,
    temperature: float | None,
    count: int = 1,
) -> Tensor:
    """What comes after the prompts, in tokens: (prompts * count, longest)."""
    sampling: dict[str, Any] = {"do_sample": False}
    if temperature is not None:
        sampling = {"do_sample": True, "temperature": temperature, "top_k": 0}
    batch = batch.to(model.device)
    tokens: Tensor = model.generate(
        **batch,
        **sampling,
        use_cache=True,
        num_return_sequences=count,
        max_new_tokens=max_new_tokens,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return tokens[:, batch["input_ids"].shape[1] :]


def asked(
    tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example], chat: Chat | None
) -> list[str]:
    """What the policy reads of each problem."""
    prompts = [example.prompt for example in examples]
    if chat is None:
        return prompts
    texts: list[str] = tokenizer.apply_chat_template(
        [chat.messages(prompt) for prompt in prompts], tokenize=False, add_generation_prompt=True
    )
    return texts


def asked_ids(
    tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example], chat: Chat | None
) -> list[list[int]]:
    """The same as token ids."""
    texts = asked(tokenizer, examples, chat)
    found: list[list[int]] = tokenizer(texts, add_special_tokens=chat is None)["input_ids"]
    return found


def answered_right(
    complete: Callable[[list[list[int]]], list[list[int]]],
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    scorer: Scorer,
    training: Training,
) -> NDArray[np.bool_]:
    """As `greedy_right`, with the answers of another engine: from token ids to token ids."""
    if not examples:
        raise ValueError("pass@1 needs at least one example")
    chat = chat_for(tokenizer, training.policy.chat, training.policy.system)
    completions = complete(asked_ids(tokenizer, examples, chat))
    return scorer(tokenizer.batch_decode(completions, skip_special_tokens=True), examples)


def check_lengths(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    training: Training,
) -> None:
    """Raise ValueError for prompts that leave no room for an answer in the model's context.

    The prompt of a game is its name, and its episode is cut as it goes.
    """
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    longest = training.inner.max_completion_length
    if context is None or training.task.played is not None:
        return
    chat = chat_for(tokenizer, training.policy.chat, training.policy.system)
    lengths = [len(ids) for ids in asked_ids(tokenizer, examples, chat)]
    long = sum(length + longest > context for length in lengths)
    if long:
        raise ValueError(
            f"[inner] max_completion_length: {long} of {len(examples)} prompts (the longest has "
            f"{max(lengths)} tokens) and {longest} tokens of an answer are longer than the "
            f"policy's context of {context}: lower it, or leave these problems out"
        )


def written(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    max_new_tokens: int,
    temperature: float | None,
    prompts: Sequence[Sequence[int]],
) -> list[list[int]]:
    """What the policy writes after each of some prompts in tokens, with the token that ends it.

    Sampled at a temperature; greedily where that is None.
    """
    batch = tokenizer.pad(
        {"input_ids": [list(p) for p in prompts]}, padding_side="left", return_tensors="pt"
    )
    new = _generated(model, tokenizer, batch, max_new_tokens, temperature)
    rows: list[list[int]] = new.tolist()
    end = tokenizer.eos_token_id
    return [row[: row.index(end) + 1] if end in row else row for row in rows]
