r"""Primitives that compare a completion with the gold answer; `answers` defines what counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

from derl_primitives.answers import (
    LONGEST_ANSWER,
    Value,
    final_number,
    gold_answer,
    has_box,
    last_number,
    marked_answer,
    number_in,
    number_of,
    same_answer,
)
from derl_primitives.arrays import bools, per_row
from derl_primitives.occurrence import Finder, finder
from derl_primitives.primitive import primitive

if TYPE_CHECKING:
    from derl_primitives.arrays import Bools

T = TypeVar("T")
Texts = Sequence[str] | str


LONGEST_KEPT = 4096
"""What is read of longer gold texts is not kept from batch to batch."""


def per_gold(answer: Sequence[str], read: Callable[[str], T]) -> list[T]:
    """What `read` makes of each gold text; a text that many rollouts share is read once."""
    known = {text: read(text) for text in set(answer)}
    return [known[text] for text in answer]


def kept(read: Callable[[str], T]) -> Callable[[str], T]:
    """`read`, remembering what it made of the last 8,192 texts: epochs bring the same golds."""
    remembered = lru_cache(maxsize=8192)(read)
    return lambda text: remembered(text) if len(text) <= LONGEST_KEPT else read(text)


@primitive(
    "(completion: text, answer: text) -> bool",
    cost="scan",
    source="GSM8K and MATH scoring, as in DERL (arXiv 2512.13399), g1",
    good=True,
)
def exact(completion: Texts, answer: Texts) -> Bools:
    r"""Whether the final answer of the completion equals the gold answer.

    The final answer is the last marked one: the content of a `\boxed{...}` or the line after
    `####`. A completion that marks none is read as a whole, and, when the gold answer is a number,
    by its last number. Numbers compare by value (`90,000` = `90000.0`, `1/2` = `0.5`; currency,
    percent signs and a unit are ignored), anything else as text without white space; a blank gold
    answer is never equal. What `correct` calls wrong is not equal either: an answer that is taken
    back, denied, cut off or in another unit.

    >>> exact(["It costs\n#### $90,000", r"\boxed{18} or \boxed{19}", "so 7"],
    ...       ["... #### 90000", "18", "7.0"]).tolist()
    [True, False, True]
    """
    completion, answer = per_row(completion, answer)
    return bools(
        (
            same and _stands(text, gold)
            for same, text, gold in zip(
                same_final(completion, answer), completion, answer, strict=True
            )
        ),
        len(completion),
    )


def _stands(completion: str, answer: str) -> bool:
    """Whether nothing in the completion speaks against its final answer."""
    from derl_primitives.verdict import judge

    return judge(completion, answer).right is not False


def same_final(completion: Sequence[str], answer: Sequence[str]) -> Iterator[bool]:
    """Whether the final answers equal the gold ones by the last mark, as g1 of DERL has it."""
    golds = per_gold(answer, _gold)
    return map(_is_exact, completion, golds)


class _Gold:
    """A gold answer, and its number when it is one."""

    __slots__ = ("number", "text", "whole")

    def __init__(self, answer: str) -> None:
        self.text = gold_answer(answer)
        self.number = number_of(self.text)
        is_whole = self.number is not None and self.number == int(self.number)
        self.whole = int(self.number) if is_whole and self.number is not None else None

    def equals(self, given: str) -> bool:
        """`same_answer`, without reading the gold answer again; digits take no reading at all."""
        if self.number is not None:
            if given == self.text:
                return True
            if given.isdecimal() and given.isascii() and len(given) <= LONGEST_ANSWER:
                return int(given) == self.whole
        return same_answer(given, self.text)


_gold = kept(_Gold)


def _is_exact(completion: str, gold: _Gold) -> bool:
    marked = marked_answer(completion)
    if marked is not None:
        return gold.equals(marked)
    if gold.equals(completion):
        return True
    return gold.number is not None and last_number(completion) == gold.number


@primitive(
    "(completion: text) -> bool",
    cost="scan",
    source="DERL (arXiv 2512.13399), g2",
    good=True,
)
def boxed(completion: Texts) -> Bools:
    r"""Whether the completion gives an answer in `\boxed{...}`.

    The braces must balance (`\{` and `\}` do not count) and hold more than white space.

    >>> boxed([r"so \boxed{\frac{1}{2}}", r"so \boxed{}", r"so \boxed{1"]).tolist()
    [True, False, False]
    """
    (completion,) = per_row(completion)
    return bools(map(has_box, completion), len(completion))


@primitive(
    "(completion: text) -> bool",
    cost="scan",
    source="the answer format of GSM8K (arXiv 2110.14168)",
    good=True,
)
def hashed(completion: Texts) -> Bools:
    r"""Whether the completion gives an answer after `####`, as GSM8K's solutions do.

    Something other than white space must follow the last `####`.

    >>> hashed(["so\n#### 18", "#### ", "18"]).tolist()
    [True, False, False]
    """
    (completion,) = per_row(completion)
    return bools(map(_has_hashes, completion), len(completion))


def _has_hashes(text: str) -> bool:
    _, hashes, after = text.rpartition("####")
    return bool(hashes) and bool(after.strip())


@kept
def _gold_number(answer: str) -> Value | None:
    return number_in(gold_answer(answer))


@primitive(
    "(completion: text, answer: text) -> bool",
    cost="scan",
    source="flexible extraction of GSM8K answers, as in verl and lm-evaluation-harness",
    good=True,
)
def numeric_equal(completion: Texts, answer: Texts) -> Bools:
    r"""Whether the final number of the completion equals the number of the gold answer.

    More lenient than `exact`: the marked answer may hold other words, of which the last number
    counts; when it holds no number, or nothing is marked, the last number of the whole completion
    does. False when the gold answer holds no number.

    One number is read and nothing beside it: a formula, an interval, a list, another unit or a
    denial passes when its last number agrees. On hard cases it calls a quarter to a third of the
    wrong answers right; it is meant for golds that are plain numbers, `correct` for verdicts.

    >>> numeric_equal([r"\boxed{x + 5}", "surely not 5"], ["5", "5"]).tolist()
    [True, True]
    >>> numeric_equal(["#### about 18 eggs, I think", "18 eggs, then 2 more", "none"],
    ...               ["18", "18", "18"]).tolist()
    [True, False, False]
    """
    completion, answer = per_row(completion, answer)
    golds = per_gold(answer, _gold_number)
    return bools(
        (g is not None and final_number(c) == g for c, g in zip(completion, golds, strict=True)),
        len(completion),
    )


@kept
def _gold_finder(answer: str) -> Finder:
    return finder(gold_answer(answer))


@primitive(
    "(completion: text, answer: text) -> bool",
    cost="scan",
    source="DERL (arXiv 2512.13399), g4",
    good=True,
)
def contains_answer(completion: Texts, answer: Texts) -> Bools:
    """Whether the gold answer occurs anywhere in the completion.

    It must stand there whole: a gold `5` occurs in `5.`, `5.0` and `x=5`, not in `15`, `5.25` or
    `5,000`, and a gold word not inside a longer word. (DERL's own code looks for the bare
    characters; nearly every text with some numbers in it then "contains" a one-digit answer.)
    A number may be written with or without thousands commas. A blank gold occurs nowhere.
    Of a completion the last 131,072 characters are searched.

    >>> contains_answer(["80,000 - 10,000 = 70,000 in total", "15 apples"], ["70000", "5"]).tolist()
    [True, False]
    """
    completion, answer = per_row(completion, answer)
    finders = per_gold(answer, _gold_finder)
    return bools(
        (f.occurs_in(c) for c, f in zip(completion, finders, strict=True)), len(completion)
    )
