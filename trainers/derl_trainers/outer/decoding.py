"""Decoding by the grammar: only tokens that go on with a formula of the language are allowed.

Which tokens may come next depends on the tokens so far alone. So the masks under which a formula
was sampled can be had again from its tokens, and its log-probabilities are those of the masked,
renormalised distribution that it was drawn from.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import llguidance
import llguidance.hf
import numpy as np
import torch
from llguidance.torch import fill_next_token_bitmask
from tokenizers.models import WordLevel
from torch import Tensor
from transformers import LogitsProcessor, PreTrainedModel, PreTrainedTokenizerBase

from derl_trainers.settings.run import MetaSection

_BITS = 32  # of a word of a packed mask
# What brings an open formula to its end, the first that is allowed: a bracket closed, the next
# argument, a number, what else there is to a condition, and whatever opens nothing.
_CLOSING = (rb" ?\)+", rb", ?", rb" ?[0-9.]+", rb" ?(else|e)? ?", rb"[^(]*")


def masked_rows(config: MetaSection, count: int, group: int | None = None) -> list[bool]:
    """Which of `count` formulas are masked: the first ones of each group, by `[meta] decoding`."""
    group = group or count
    share = {"free": 0.0, "masked": 1.0, "mixed": config.masked_share}[config.decoding]
    return [index % group < math.ceil(share * group) for index in range(count)]


def end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The tokens that end a completion: the tokenizer's, and what else the model declares."""
    declared = model.generation_config.eos_token_id
    found = declared if isinstance(declared, list) else [] if declared is None else [declared]
    return list(dict.fromkeys([tokenizer.eos_token_id, *found]))


class FormulaMasks:
    """The tokens that may come next in a formula of a grammar, for one model's tokenizer.

    `grammar` is in llguidance's syntax. A mask is packed: bit i of word w stands for token
    32w + i. In the last quarter of `max_tokens` a formula is brought to its end, for one that is
    cut off is lost.
    """

    def __init__(
        self,
        grammar: str,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        max_tokens: int,
    ) -> None:
        self.ends = end_tokens(model, tokenizer)
        self.max_tokens = max_tokens
        size = max(len(tokenizer), model.config.get_text_config().vocab_size)
        self.words = -(-size // _BITS)
        known = _for_matcher(tokenizer, size, self.ends)
        self._matcher = llguidance.LLMatcher(known, grammar, log_level=0)
        if self._matcher.is_error():
            raise RuntimeError(f"llguidance refuses the grammar: {self._matcher.get_error()}")
        self.end_bits = self._packed(self.ends)
        texts = [known.decode_bytes([token]) for token in range(len(tokenizer))]
        self.closing = [
            self._packed([token for token, text in enumerate(texts) if re.fullmatch(wish, text)])
            for wish in _CLOSING
        ]

    def _packed(self, tokens: Iterable[int]) -> Tensor:
        flags = np.zeros(self.words * _BITS, np.uint8)
        flags[list(tokens)] = 1
        return torch.from_numpy(np.packbits(flags, bitorder="little").view(np.int32))

    def start(self) -> FormulaState:
        """A formula of which nothing is written yet."""
        return FormulaState(self, self._matcher.deep_copy())

    def replay(self, completions: Sequence[Sequence[int]], masked: Sequence[bool]) -> Tensor:
        """The packed masks under which completions were sampled: (rows, longest, words), int32.

        Everything is allowed where a row is not masked, and after its end.
        """
        longest = max(len(tokens) for tokens in completions)
        found = torch.full((len(completions), longest, self.words), -1, dtype=torch.int32)
        for row, (tokens, is_masked) in enumerate(zip(completions, masked, strict=True)):
            state = self.start() if is_masked else None
            for position, token in enumerate(tokens if state is not None else ()):
                assert state is not None
                state.fill(found[row, position])
                state.consume(token)
        return found


class FormulaState:
    """How far one formula is written, and what may come next."""

    def __init__(self, masks: FormulaMasks, matcher: Any) -> None:
        self.masks = masks
        self.matcher = matcher
        self.left = masks.max_tokens
        self.ended = False

    def fill(self, bits: Tensor) -> None:
        """Write the packed mask of the next token to `bits`, (words,), int32, in main memory."""
        if self.ended:
            bits.fill_(-1)
            return
        closing = self.left <= self.masks.max_tokens // 4
        if closing and self.matcher.is_accepting():
            bits.copy_(self.masks.end_bits)
            return
        bits.zero_()
        fill_next_token_bitmask(self.matcher, bits.unsqueeze(0))
        for wish in self.masks.closing if closing else ():
            if (bits & wish).any():
                bits &= wish
                return

    def consume(self, token: int) -> None:
        """Write one token, which must be allowed; what comes after the end is padding."""
        self.left -= 1
        if self.ended:
            return
        self.ended = token in self.masks.ends
        if not self.matcher.consume_token(token):
            raise RuntimeError(f"llguidance refuses token {token}: {self.matcher.get_error()}")


class FormulaProcessor(LogitsProcessor):  # type: ignore[misc]
    """Forbids, in `generate`, what does not go on with a formula, in the rows that are masked."""

    def __init__(self, masks: FormulaMasks, masked: Sequence[bool]) -> None:
        self.states = [masks.start() if is_masked else None for is_masked in masked]
        self.bits = torch.full((len(masked), masks.words), -1, dtype=torch.int32)
        self.began = False

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """The scores, (rows, vocabulary), with minus infinity where a token is not allowed."""
        for state, bits, token in zip(
            self.states, self.bits, input_ids[:, -1].tolist(), strict=True
        ):
            if state is None:
                continue
            if self.began:
                state.consume(token)
            state.fill(bits)
        self.began = True
        allowed = unpack(self.bits.to(scores.device), scores.shape[-1])
        return scores.masked_fill(~allowed, -math.inf)


def unpack(bits: Tensor, size: int) -> Tensor:
    """Packed masks (..., words) as booleans (..., size)."""
    shifts = torch.arange(_BITS, dtype=torch.int32, device=bits.device)
    flat = (bits.unsqueeze(-1) >> shifts).bitwise_and_(1).bool().flatten(-2)
    return flat[..., :size]


def masked_log_probs(
    logits: Tensor, tokens: Tensor, bits: Tensor, with_entropy: bool = False
) -> tuple[Tensor, Tensor | None]:
    """Log-probabilities of tokens under the masks, and entropies: both (rows, length).

    `logits` (rows, length, vocabulary) are those of the tokens' own places, temperature applied,
    and `bits` (rows, length, words) the packed masks.
    """
    forbidden = ~unpack(bits, logits.shape[-1])
    logs = logits.masked_fill(forbidden, -math.inf).log_softmax(-1)
    chosen = logs.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    if not with_entropy:
        return chosen, None
    # Nothing times minus infinity is no number, nor is its gradient.
    return chosen, -(logs.exp() * logs.masked_fill(forbidden, 0)).sum(-1)


def _for_matcher(tokenizer: PreTrainedTokenizerBase, size: int, ends: list[int]) -> Any:
    """The tokenizer as llguidance knows it; `size` is that of the model's output."""
    if isinstance(tokenizer.backend_tokenizer.model, WordLevel):
        return llguidance.LLTokenizer(
            llguidance.TokenizerWrapper(_Words(tokenizer)), n_vocab=size, eos_token=ends
        )
    return llguidance.hf.from_tokenizer(tokenizer, n_vocab=size, eos_token=ends)


class _Words:
    """A tokenizer of fixed words, whose tokens are their own texts; llguidance reads none such."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
        self.tokenizer = tokenizer
        self.tokens = [text.encode() for text, _ in vocabulary]
        self.special_token_ids = tokenizer.all_special_ids
        self.eos_token_id = tokenizer.eos_token_id
        self.bos_token_id = None

    def __call__(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])
