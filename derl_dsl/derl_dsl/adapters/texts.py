"""The completion out of a text that a trainer decoded with its prompt, or with its stop token."""

from __future__ import annotations

import re

from derl_dsl.adapters.rows import FaultError

_STOPS = (
    "</s>", "<eos>", "<EOS>", "[EOS]", "<eod>", "<EOT>", "<pad>", "[PAD]", "<end_of_turn>",
    "<turn_end>", "<end_of_utterance>", "<\uff5cend\u2581of\u2581sentence\uff5c>",
)  # fmt: skip
_STOP = re.compile(r"<\|[A-Za-z][A-Za-z0-9_]{0,31}\|>")


def after_prompt(query: str, prompt: str) -> str:
    """The completion of a text that holds the prompt before it; FaultError where it does not."""
    start = query.find(prompt)
    if start < 0:
        raise FaultError("the text lacks its prompt: where the completion begins is unknown")
    return query[start + len(prompt) :]


def without_stop(text: str) -> str:
    r"""A completion without the stop tokens at its end, as trainers give it that skip them.

    >>> without_stop("42<|im_end|>"), without_stop("</s> is a tag\n</s><pad>")
    ('42', '</s> is a tag\n')
    """
    if not isinstance(text, str):
        return text
    end = len(text)
    while True:
        stop = next((s for s in _STOPS if text.endswith(s, 0, end)), "")
        opened = text.rfind("<|", max(0, end - 36), end)
        if not stop and opened >= 0 and _STOP.fullmatch(text, opened, end):
            stop = text[opened:end]
        if not stop:
            return text[:end]
        end -= len(stop)
