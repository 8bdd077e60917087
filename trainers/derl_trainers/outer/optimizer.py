"""The meta-optimizer: a language model that writes formulas, cold-started and left imperfect.

`tiny` is built here and reads characters; any other causal language model is loaded. It learns the
language from formulas, those of a file or sampled from the project's own grammar, by a short
supervised run that ends while a good share of what it writes still fails: the outer loop has to
teach the rest.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    LogitsProcessorList,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from derl_dsl.generate import llguidance_grammar
from derl_trainers.outer.decoding import FormulaMasks, FormulaProcessor, end_tokens, masked_rows
from derl_trainers.outer.prompts import (
    ASK,
    Prompt,
    chat_prompt,
    formula_text,
    instruction,
    suite_scope,
)
from derl_trainers.policy.loading import fixed_tokenizer, load_model, small_llama
from derl_trainers.policy.lora import lora_config
from derl_trainers.policy.quiet import quiet
from derl_trainers.settings.run import MetaSection

Progress = Callable[[int, int, dict[str, float]], None]

TINY = "tiny"


@dataclass(frozen=True, slots=True)
class MetaOptimizer:
    """A model, its tokenizer, and the prompt it answers with a formula.

    `masks` say which tokens go on with a formula, for masked and mixed decoding.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    prompt: Prompt
    masks: FormulaMasks | None = None

    def completion(self, formula: str) -> Prompt:
        """A formula in the form of this model's completions."""
        if isinstance(self.prompt, str):
            return formula
        return [{"role": "assistant", "content": formula}]


def build_meta_optimizer(config: MetaSection, suite: str, seed: int) -> MetaOptimizer:
    """The untrained `tiny`, or a pretrained model; raises ModelMissing if it cannot be loaded."""
    if config.model != TINY:
        return _loaded(config, suite, config.model)
    tokenizer = build_tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = small_llama(
            tokenizer,
            config.hidden_size,
            2 * config.hidden_size,
            config.layers,
            config.heads,
            # Room for the history, and some tokens around it.
            positions=(config.history + 1) * (config.max_tokens + 32) + 512,
        )
    return _with_prompt(config, suite, model.to(getattr(torch, config.dtype)), tokenizer)


def load_meta_optimizer(config: MetaSection, suite: str, folder: Path) -> MetaOptimizer:
    """The meta-optimizer that a cold start saved to `folder`.

    GRPO can load the same model from there again, as the reference of its KL term.
    """
    return _loaded(config, suite, folder)


def _loaded(config: MetaSection, suite: str, name: str | Path) -> MetaOptimizer:
    with quiet():
        model, tokenizer = load_model(name, getattr(torch, config.dtype))
    return _with_prompt(config, suite, model, tokenizer)


def _with_prompt(
    config: MetaSection, suite: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> MetaOptimizer:
    if tokenizer.chat_template is not None:
        prompt: Prompt = chat_prompt(suite)
    else:
        # `tiny` reads no English.
        prompt = ASK if config.model == TINY else f"{instruction(suite)}\n{ASK}"
    masks = None
    if config.decoding != "free":
        grammar = llguidance_grammar(suite_scope(suite))
        masks = FormulaMasks(grammar, model, tokenizer, config.max_tokens)
    return MetaOptimizer(model, tokenizer, prompt, masks)


def meta_peft_config(config: MetaSection) -> Any:
    """The LoRA adapters to train, None for all weights; raises ModelMissing without peft."""
    return lora_config(config.lora_rank, config.lora_alpha, config.lora_targets)


def build_tokenizer() -> PreTrainedTokenizerFast:
    """One token for each printable ASCII character: the model may write anything, also nonsense."""
    letters = string.ascii_letters + string.digits + string.punctuation + " \n"
    return fixed_tokenizer(letters, r"[\s\S]")


def prompt_with_history(
    meta: MetaOptimizer, suite: str, past: Sequence[tuple[str, float]]
) -> Prompt:
    """The prompt with formulas of earlier steps and their scores in it, best last.

    A model that only goes on with a text reads them as lines before its own.
    """
    if isinstance(meta.prompt, str):
        head = meta.prompt.removesuffix(ASK)
        lines = [f"{ASK}{formula}  # {score:.3f}\n" for formula, score in past]
        return f"{head}{''.join(lines)}{ASK}"
    return chat_prompt(suite, past)


@torch.inference_mode()
def sample_formulas(
    meta: MetaOptimizer, config: MetaSection, count: int, seed: int | None = None
) -> list[str]:
    """`count` formulas as the meta-optimizer writes them now, decoded as `[meta] decoding` says.

    With a seed they depend on it and the weights alone, and torch's random numbers are left as they
    were; so is the model's mode.
    """
    was_training = meta.model.training
    meta.model.eval()
    if isinstance(meta.prompt, str):
        batch = meta.tokenizer([meta.prompt], return_tensors="pt", return_token_type_ids=False)
    else:
        batch = meta.tokenizer.apply_chat_template(
            [meta.prompt], add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
    processors = LogitsProcessorList()
    if config.decoding != "free":
        assert meta.masks is not None
        processors.append(FormulaProcessor(meta.masks, masked_rows(config, count)))
    with _seeded(meta.model.device, seed):
        tokens = meta.model.generate(
            **batch.to(meta.model.device),
            do_sample=True,
            temperature=config.temperature,
            top_k=0,
            top_p=1.0,
            num_return_sequences=count,
            max_new_tokens=config.max_tokens,
            pad_token_id=meta.tokenizer.pad_token_id,
            eos_token_id=end_tokens(meta.model, meta.tokenizer),
            logits_processor=processors,
        )
    meta.model.train(was_training)
    new = tokens[:, batch["input_ids"].shape[1] :]
    return [formula_text(t) for t in meta.tokenizer.batch_decode(new, skip_special_tokens=True)]


@contextmanager
def _seeded(device: torch.device, seed: int | None) -> Iterator[None]:
    """Torch's random numbers from a seed, and put back afterwards; without one, as they are."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
