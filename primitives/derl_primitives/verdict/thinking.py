"""What of a completion is no answer: thinking blocks, end tokens, turns that follow.

One pass over the tags. A closing tag whose opening one stood in the prompt ends a block that
began with the text; a block that is cut off leaves no answer.
"""

from __future__ import annotations

import re

from derl_grammar.records import record
from derl_primitives.patterns import pattern
from derl_primitives.verdict.quick import TAG

_NAMES = (
    "think|thinking|thought|thoughts|reasoning|reason|scratchpad|scratch_pad|reflection"
    "|analysis|inner_monologue|rationale|cot|seed:think"
    "|internal|planning|plan|chain_of_thought|inner_thoughts|thought_process|antthinking"
    "|antml:thinking"
)
_TAGS = pattern(
    rf"<(?P<open>{_NAMES})(?:\s[^<>]{{0,80}})?>|</(?P<close>{_NAMES})\s*>"
    rf"|\[(?P<open2>THINK)\]|\[/(?P<close2>THINK)\]|\u25c1(?P<open3>think)\u25b7"
    rf"|\u25c1/(?P<close3>think)\u25b7"
    r"|<\|(?P<open4>begin_of_thought)\|>|<\|(?P<close4>end_of_thought)\|>"
    r"|<(?P<open5>unused94)>|<(?P<close5>unused95)>",
    re.I,
)
_END = pattern(
    r"<\|(?:im_end|endoftext|eot_id|end_of_text|eom_id|end|return|eos|endofassistant"
    r"|end_of_turn|END_OF_TURN_TOKEN|user|endofprompt)\|>|</s>|<eos>|<end_of_turn>"
    r"|<\uff5cend\u2581of\u2581sentence\uff5c>|<EOT>|<EOS>|\[EOS\]|<\|EOT\|>|<\|?pad\|?>"
    r"|\[PAD\]|<turn_end>|<\|end\u2581of\u2581sentence\|>|<eod>|<\|eod\|>"
    r"|<\|end_of_sentence\|>|<\|assistant_end\|>|<\|eot\|>|<end_of_utterance>|\[/INST\]"
    r"|<\|endofturn\|>|<\|endoftext"
)
_PADDING = pattern(r"\[/INST\]|\[PAD\]|<\|?pad\|?>|<\|(?:user|endofprompt)\|>|</s>$")
"""Tokens that may stand before what a model says."""
_HEAD = pattern(
    r"^\s*(?:<s>|<bos>|<\|begin_of_text\|>|<\|im_start\|>\s*(?:assistant)?"
    r"|<\|start_header_id\|>\s*assistant\s*<\|end_header_id\|>|<start_of_turn>\s*model"
    r"|<\|assistant\|>|<\|start\|>assistant|\[/INST\])\s*"
)
_FINAL_CHANNEL = "<|channel|>final"
_CHANNEL = pattern(r"<\|channel\|>(?P<name>\w+)(?:[^<]{0,80})<\|message\|>")
_SOLUTION = pattern(r"<\|(?:begin|end)_of_solution\|>")


@record
class Spoken:
    """What a completion says after its thinking; `stopped`: the model ended by itself."""

    text: str
    stopped: bool
    thought: bool
    cut: bool = False


def spoken(completion: str) -> Spoken:
    """The text after thinking and before end tokens.

    >>> spoken("<think>6?</think>5<|im_end|>")
    Spoken(text='5', stopped=True, thought=True, cut=False)
    >>> spoken("so 6</think> 5").text, spoken("<think> 6").cut
    (' 5', True)
    """
    text, thought = _shortened(completion), False
    if "|>" in text and "<|channel|>" in text:
        text, thought = _channels(text), True
    if "\u25c1" in text or (("<" in text or "[" in text) and TAG().search(text)):
        text, found, cut = _outside(text)
        thought = thought or found
        if cut:
            return Spoken("", False, True, True)
        return _ended(text, thought)
    return Spoken(text, False, thought)


LONGEST = 16_384
"""Of longer completions the end is read, and before it only the most usual tags are looked for."""
_USUAL = ("think", "thinking", "reasoning")


def _shortened(text: str) -> str:
    """The end of a long text; inside a thinking block it starts with that block's tag."""
    if len(text) <= LONGEST:
        return text
    # Words are found ten times as fast in hostile texts as signs that may stand there often.
    for token in ("im_end|>", "endoftext|>", "eot_id|>") if "|>" in text else ():
        at = text.find(token)
        if 0 < at < len(text) - LONGEST and text.startswith("<|", at - 2):
            text = text[: at + len(token)]
    start = max(0, len(text) - LONGEST)
    for name in _USUAL if "think" in text or "reason" in text else ():
        last = text.rfind(f"{name}>", 0, start)
        if last > 0 and text[last - 1] == "<":
            return f"<{name}>" + text[start:]
    if not _marks_in(text[start:]):
        at = max(text.rfind(mark, 0, start) for mark in _MARKS)
        if at >= 0:
            return text[max(0, at - 200) : at + LONGEST // 2] + "\n" + text[-LONGEST // 4 :]
    return text[start:]


_MARKS = ("boxed", "####", "answer>")


def _marks_in(text: str) -> bool:
    return any(mark in text for mark in _MARKS)


def _channels(text: str) -> str:
    at = text.rfind(_FINAL_CHANNEL)
    if at < 0:
        return ""
    match = _CHANNEL().match(text, at)
    return text[match.end() :] if match else ""


def _ended(text: str, thought: bool) -> Spoken:
    head = _HEAD().match(text)
    if head:
        text = text[head.end() :]
    text = _SOLUTION().sub("", text) if "_of_solution" in text else text
    end = _END().search(text)
    while end is not None and not text[: end.start()].strip() and _PADDING().match(end.group()):
        text = text[end.end() :]
        end = _END().search(text)
    if end is None:
        return Spoken(text, False, thought)
    return Spoken(text[: end.start()], True, thought)


def _outside(text: str) -> tuple[str, bool, bool]:
    """The text outside of thinking blocks, whether there are any, whether one is cut off."""
    kept: list[str] = []
    at, open_, found = 0, False, False
    for match in _TAGS().finditer(text):
        found = True
        opens = bool(
            match["open"] or match["open2"] or match["open3"] or match["open4"] or match["open5"]
        )
        if opens and not open_:
            kept.append(text[at : match.start()])
            open_ = True
        elif not opens:
            if not open_:
                kept.clear()
            open_ = False
            at = match.end()
    if open_:
        return "", True, True
    if found:
        kept.append(text[at:])
        return "\n".join(kept) if len(kept) > 1 and kept[0].strip() else kept[-1], True, False
    return text, False, False
