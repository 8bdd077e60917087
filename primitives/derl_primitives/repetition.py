"""How much a text repeats itself: n-grams that occurred before, in linear time."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

from derl_primitives.arrays import LONGEST_READ, floats, per_row
from derl_primitives.primitive import primitive

if TYPE_CHECKING:
    from derl_primitives.arrays import Floats

LONGEST_NGRAM = 16


def whole_number(value: str) -> str | None:
    """What is wrong with the length of an n-gram, or None.

    >>> whole_number("3.0"), whole_number("0.5")
    (None, 'write a whole number from 1 to 16')
    """
    if float(value) in range(1, LONGEST_NGRAM + 1):
        return None
    return f"write a whole number from 1 to {LONGEST_NGRAM}"


def repeated_share(items: Sequence[Hashable], n: int) -> float:
    """1 - different n-grams / all n-grams; 0 when there are fewer than n items.

    Items are numbered first, so that an n-gram costs n whatever the items are.

    >>> repeated_share("abab", 2)
    0.33333333333333337
    """
    total = len(items) - n + 1
    if total < 1:
        return 0.0
    numbers: dict[Hashable, int] = {}
    ids = [numbers.setdefault(item, len(numbers)) for item in items]
    different = set(zip(*(ids[k:] for k in range(n)), strict=False))
    return 1 - len(different) / total


@primitive(
    "(completion: text, n: number[1, 16]) -> number[0, 1]",
    cost="scan",
    source="open-r1's repetition penalty; Demystifying Long Chain-of-Thought (arXiv 2502.03373)",
    literals={"n": whole_number},
)
def repetition(completion: Sequence[str] | str, n: float) -> Floats:
    """The share of the word n-grams that repeat an earlier one: 1 - different / all.

    Words stand between white space, in lower case; 0 of fewer than n words. Of a text the first
    65,536 characters count.

    >>> repetition(["so it is so it is", "so it is"], 2).tolist()
    [0.4, 0.0]
    """
    (completion,) = per_row(completion)
    shares = (repeated_share(text[:LONGEST_READ].lower().split(), int(n)) for text in completion)
    return floats(shares, len(completion))
