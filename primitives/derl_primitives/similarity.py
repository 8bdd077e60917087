"""How near a completion comes to the gold answer: by edits, by words, in order, by number."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from derl_primitives.answers import Value, final_number, gold_answer, number_in
from derl_primitives.arrays import LONGEST_READ, floats, per_row
from derl_primitives.correctness import per_gold
from derl_primitives.matching_blocks import matched_share
from derl_primitives.primitive import primitive

if TYPE_CHECKING:
    from derl_primitives.arrays import Floats

Texts = Sequence[str] | str

LONGEST_TEXT = 8192
"""Characters that `edit_similarity` reads: the time it takes grows with the square."""

MOST_MATCHED = 2048
"""Characters of each text that `sequence_similarity` reads, for the same reason."""

MOST_WORDS = 2048
"""Words that `rouge_l` reads, for the same reason."""


@primitive(
    "(completion: text, answer: text) -> number[0, 1]",
    cost="parse",
    source="Levenshtein distance through rapidfuzz",
    good=True,
)
def edit_similarity(completion: Texts, answer: Texts) -> Floats:
    """How little must be edited to turn one text into the other: 1 - edits / the longer length.

    Edits insert, delete or replace one character; 1 for equal texts, two empty ones included. Of
    each text the first 8,192 characters count.

    >>> edit_similarity(["kitten", "", "same"], ["sitting", "", "same"]).round(3).tolist()
    [0.571, 1.0, 1.0]
    """
    import numpy as np
    from rapidfuzz.distance import Levenshtein
    from rapidfuzz.process import cpdist

    completion, answer = per_row(completion, answer)
    if not completion:
        return floats([], 0)
    left, right = ([text[:LONGEST_TEXT] for text in column] for column in (completion, answer))
    similarity = Levenshtein.normalized_similarity
    return cpdist(left, right, scorer=similarity, workers=1, dtype=np.float64)


@primitive(
    "(completion: text, answer: text) -> number[0, 1]",
    cost="scan",
    source="token F1 of SQuAD (arXiv 1606.05250), without its removal of articles",
    good=True,
)
def word_f1(completion: Texts, answer: Texts) -> Floats:
    """How many words the texts share: 2 * shared / (words of one + words of the other).

    Words stand between white space, in lower case, and count as often as they occur in both; 1
    when neither text has any. Of each text the first 65,536 characters count. Articles and
    punctuation count: SQuAD's F1 is `word_f1(normalise(completion), normalise(answer))`.

    >>> word_f1(["The cat sat", "a dog", ""], ["the cat", "the cat", ""]).tolist()
    [0.8, 0.0, 1.0]
    """
    completion, answer = per_row(completion, answer)
    golds = per_gold(answer, _counted)
    pairs = zip(completion, golds, strict=True)
    return floats((_f1(_counted(text), gold) for text, gold in pairs), len(completion))


def _counted(text: str) -> Counter[str]:
    return Counter(_all_words(text))


def _all_words(text: str) -> list[str]:
    return text[:LONGEST_READ].lower().split()


def _f1(left: Counter[str], right: Counter[str]) -> float:
    total = left.total() + right.total()
    return 2 * (left & right).total() / total if total else 1.0


@primitive(
    "(completion: text, answer: text) -> number[0, 1]",
    cost="scan",
    source="Jaccard index of the sets of words",
    good=True,
)
def word_overlap(completion: Texts, answer: Texts) -> Floats:
    """The share of different words that occur in both texts: shared / all.

    Words stand between white space, in lower case; 1 when neither text has any. Of each text the
    first 65,536 characters count.

    >>> word_overlap(["the cat sat on the mat", ""], ["the cat", ""]).tolist()
    [0.4, 1.0]
    """
    completion, answer = per_row(completion, answer)
    golds = per_gold(answer, lambda text: frozenset(_all_words(text)))
    pairs = zip(completion, golds, strict=True)
    return floats(
        (_shared(frozenset(_all_words(text)), gold) for text, gold in pairs), len(completion)
    )


def _shared(left: frozenset[str], right: frozenset[str]) -> float:
    everything = len(left | right)
    return len(left & right) / everything if everything else 1.0


@primitive(
    "(completion: text, answer: text) -> number[0, 1]",
    cost="parse",
    source="ROUGE-L (Lin 2004), F1 over words, through rapidfuzz",
    good=True,
)
def rouge_l(completion: Texts, answer: Texts) -> Floats:
    """How long a common subsequence of words is: 2 * its length / (words of both).

    Words stand between white space, in lower case; of each text the first 2,048 count, and the
    first 65,536 characters. 1 when neither text has any.

    >>> rouge_l(["the cat sat", "sat cat the", ""], ["the cat", "the cat", ""]).tolist()
    [0.8, 0.4, 1.0]
    """
    from rapidfuzz.distance import LCSseq

    completion, answer = per_row(completion, answer)
    golds = per_gold(answer, _words)
    found = []
    for text, gold in zip(completion, golds, strict=True):
        given = _words(text)
        total = len(given) + len(gold)
        found.append(2 * LCSseq.similarity(given, gold) / total if total else 1.0)
    return floats(found, len(found))


def _words(text: str) -> list[str]:
    return _all_words(text)[:MOST_WORDS]


@primitive(
    "(completion: text, answer: text) -> number[0, 1]",
    cost="scan",
    source="relative error of the final number",
    good=True,
)
def number_closeness(completion: Texts, answer: Texts) -> Floats:
    """How near the final number is to the gold number: 1 - difference / the larger of the two.

    Larger by absolute value; 1 for equal numbers, 0 for numbers of different sign and when either
    text has none. The final number is that of `numeric_equal`.

    >>> number_closeness(["#### 90", "so 200", "none"], ["100", "100", "100"]).tolist()
    [0.9, 0.5, 0.0]
    """
    completion, answer = per_row(completion, answer)
    golds = per_gold(answer, lambda text: number_in(gold_answer(text)))
    pairs = zip(completion, golds, strict=True)
    return floats(
        (0.0 if g is None else closeness(final_number(c), g) for c, g in pairs), len(completion)
    )


def closeness(given: Value | None, gold: Value) -> float:
    """1 - difference / the larger; exact until the last step, however large the numbers are."""
    if given is None:
        return 0.0
    if given == gold:
        return 1.0
    left, right = Fraction(given), Fraction(gold)
    return max(0.0, float(1 - abs(left - right) / max(abs(left), abs(right))))


@primitive(
    "(completion: text, answer: text) -> number[0, 1]",
    cost="parse",
    source="Ratcliff and Obershelp's ratio, as difflib.SequenceMatcher; SWE-RL (arXiv 2502.18449)",
    good=True,
)
def sequence_similarity(completion: Texts, answer: Texts) -> Floats:
    """How much of both texts lies in common blocks: 2 * matched / (characters of both).

    The longest common block is found, then those on its left and right, and so on, without
    difflib's guesses of junk. Of each text the first 2,048 characters count, and of blocks what is
    found by looking at 4,096 characters in all; 1 for two empty texts.

    >>> sequence_similarity(["abcd", "", "same"], ["bcde", "", "same"]).tolist()
    [0.75, 1.0, 1.0]
    """
    completion, answer = per_row(completion, answer)
    pairs = zip(completion, answer, strict=True)
    looks = 2 * MOST_MATCHED
    return floats(
        (matched_share(a[:MOST_MATCHED], b[:MOST_MATCHED], looks) for a, b in pairs),
        len(completion),
    )


@primitive(
    "(box: list[number], gold: list[number]) -> number[0, 1]",
    cost="scan",
    source="intersection over union of two boxes, as in NeMo-RL and VLM-R1",
    good=True,
)
def box_iou(box: Sequence[Sequence[float]], gold: Sequence[Sequence[float]]) -> Floats:
    """How far two boxes cover each other: the area of their intersection over that of their union.

    A box is four numbers, left, top, right, bottom; 0 for anything else, and for a box without
    area. Write `box_iou(numbers(last_block(completion, "answer")), box)`.

    >>> box_iou([[0, 0, 2, 2], [1, 2, 3]], [[1, 0, 3, 2], [0, 0, 1, 1]]).round(3).tolist()
    [0.333, 0.0]
    """
    pairs = zip(box, gold, strict=True)
    return floats((_iou(list(a), list(b)) for a, b in pairs), len(box))


def _iou(a: list[float], b: list[float]) -> float:
    if len(a) != 4 or len(b) != 4:
        return 0.0
    areas = [_area(*a), _area(*b)]
    if min(areas) <= 0:
        return 0.0
    both = _area(max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))
    share = both / (areas[0] + areas[1] - both)
    # Boxes of 1e308 have no area that a float holds.
    return min(1.0, share) if math.isfinite(share) else 0.0


def _area(left: float, top: float, right: float, bottom: float) -> float:
    return max(0.0, right - left) * max(0.0, bottom - top)
