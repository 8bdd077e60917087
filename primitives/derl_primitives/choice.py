r"""Multiple choice: which letter a completion chooses."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from derl_primitives.answers import marked_answer
from derl_primitives.arrays import LONGEST_READ, bools, per_row
from derl_primitives.correctness import per_gold
from derl_primitives.patterns import pattern
from derl_primitives.primitive import primitive

if TYPE_CHECKING:
    from derl_primitives.arrays import Bools

Texts = Sequence[str] | str

# One letter from A to J: in brackets, with a mark after it, or alone; as the whole or at the start.
_WHOLE = pattern(
    r"[\s*_$]*+(?:\\text(?:bf|rm)?\{)?[\s*_]*+(?:\((?P<a>[A-Ja-j])\)|(?P<b>[A-Ja-j]))[\s*_]*+\}?[\s*_$]*+"
    r"(?:[.):,\-\u2013\u2014](?:\s.*)?)?",
    re.DOTALL,
)
_SAID = pattern(
    r"[Aa]nswer(?<=\b[Aa]nswer)(?:[ \t]{1,4}is)?[ \t]{0,4}[:=]?[ \t*_]{0,4}"
    r"(?:\\boxed\{)?(?:\((?P<a>[A-Ja-j])\)|(?P<b>[A-J])(?![A-Za-z0-9_'\u2019]))"
)


def chosen(text: str) -> str | None:
    r"""The letter a text chooses, in upper case, or None.

    >>> chosen(r"so \boxed{\text{(b)}}"), chosen("The answer is **C**."), chosen("A or B?")
    ('B', 'C', None)
    """
    marked = marked_answer(text)
    if marked is not None:
        return _letter(marked)
    said = None
    for match in _SAID().finditer(text[-LONGEST_READ:]):
        said = (match["a"] or match["b"]).upper()
    return said or _letter(text)


def _letter(answer: str) -> str | None:
    match = _WHOLE().fullmatch(answer)
    return (match["a"] or match["b"]).upper() if match else None


@primitive(
    "(completion: text, answer: text) -> bool",
    cost="scan",
    source="multiple-choice extraction of lm-evaluation-harness (MMLU, ARC)",
    good=True,
)
def same_choice(completion: Texts, answer: Texts) -> Bools:
    r"""Whether the completion chooses the letter of the gold answer, from A to J.

    The chosen letter is the marked answer (`\boxed{B}`, `#### (b)`), else the one after the last
    "answer is" or "answer:", else the whole completion (`B`, `(B)`, `B. Paris`), else what the
    concluding sentence chooses. Case does not count; a gold answer `A, C` is the set of both. False
    when either chooses none.

    >>> same_choice([r"so \boxed{B}", "The answer is (c).", "b) Paris", "A or B", "C and A"],
    ...             ["B", "C. 42", "B", "A", "A, C"]).tolist()
    [True, True, True, False, True]
    """
    completion, answer = per_row(completion, answer)
    golds = per_gold(answer, _gold)
    return bools(
        (g is not None and _chooses(c, g) for c, g in zip(completion, golds, strict=True)),
        len(completion),
    )


def _gold(answer: str) -> str | None:
    """A gold answer as letters, or None when it is no choice."""
    from derl_primitives.verdict import read_gold

    gold = read_gold(answer)
    return answer if gold is not None and gold.kind.name == "choice" else chosen(answer)


def _chooses(completion: str, gold: str) -> bool:
    from derl_primitives.verdict import judge

    return judge(completion, gold).right is True
