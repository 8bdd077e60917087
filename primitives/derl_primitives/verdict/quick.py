r"""The commonest rows at once: a completion that ends in `#### 18` or `\boxed{18}`, for a number.

Nothing before the last mark and nothing after it can change such a verdict, so the text is not
searched further. Anything unusual (a tag, a percent sign, a second box beside the last) is left to
the long way; tests hold the two to the same verdicts.
"""

from __future__ import annotations

from fractions import Fraction

from derl_primitives.patterns import pattern
from derl_primitives.verdict.denial import denied_before

_ENDING = pattern(
    r"(?:(?<!#)####[ \t]*|\\boxed\{[ ]?)"
    r"(?P<number>\$?-?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?)(?P<close>\}?)[\s$]*\.?[\s"
    r"$]*\Z"
)
TAG = pattern(r"<(?=[A-Za-z/|\uff5c])|\[/?(?=[A-Z]{4})")
LONGEST_ENDING = 60


_STOP = pattern(r"[.!?](?:\s|$)|\n")


def _sentence(text: str) -> str:
    """The sentence that goes on at the end of a text, in lower case."""
    start = max((m.end() for m in _STOP().finditer(text)), default=0)
    return text[start:].lower()


def ending(completion: str) -> tuple[str, str, Fraction | int] | None:
    r"""The answer a completion ends in, its mark and its value; None where it takes a closer look.

    >>> ending("so 18\n#### 1,018"), ending(r"\boxed{7}.")
    (('1,018', 'hashes', 1018), ('7', 'box', 7))
    >>> ending("#### 18 or 19") is None
    True
    """
    tail = completion[-LONGEST_ENDING:]
    start = max(tail.rfind("####"), tail.rfind("\\boxed{"))
    match = _ENDING().match(tail, start) if start >= 0 else None
    if match is None:
        return None
    boxed = tail[match.start()] == "\\"
    if boxed != bool(match["close"]):
        return None
    before = len(completion) - len(tail) + match.start()
    if boxed and "\\boxed" in completion[max(0, before - LONGEST_ENDING) : before]:
        return None
    if boxed and denied_before(_sentence(completion[max(0, before - 160) : before])):
        return None
    if ("<" in completion or "[" in completion) and TAG().search(completion):
        return None
    if "\u25c1" in completion:
        return None
    number = match["number"]
    digits = number.replace("$", "").replace(",", "")
    if "$" in number and boxed:
        return None
    value = int(digits) if digits.isdigit() else Fraction(digits)
    return number, "box" if boxed else "hashes", value
