"""Finding the gold answer anywhere in a text, as a whole number or whole words.

`5` does not occur in `15`, `5.25`, `1,500` or `5,000`; it does in `5.`, `5.0`, `$5`, `x=5` and
`4,5`. A number may be written with or without thousands commas. A gold answer below zero needs
its minus; above zero a minus before it is ignored, since `10-5` reads both ways.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

from derl_grammar.records import record
from derl_primitives.answers import number_of
from derl_primitives.patterns import pattern

_DECIMALS = pattern(r"\.([0-9]+)")
_GROUP = pattern(r"[0-9]{3}(?![0-9])")
_GROUP_AFTER = pattern(r",[0-9]{3}(?![0-9])")
_DIGITS, _MARKS, _MINUS = frozenset("0123456789"), frozenset(",."), frozenset("-\u2212")
_NUMBERS = _DIGITS | _MARKS
_LEADING = pattern(r"[0-9]{3}(?![0-9])")
_ZEROS = pattern(r"0*+")


LONGEST_SEARCHED = 131_072
"""Characters at a text's end in which an answer is looked for."""

_SHORT = 8
MANY_PLACES = 64
"""Places that are looked at one by one; a text with more of them is given to a pattern."""


@lru_cache(maxsize=64)
def _whole(spelling: str) -> re.Pattern[str]:
    """The words as `_words_at` sees them: no letter or digit runs in or out."""
    sought = re.escape(spelling)
    after = r"(?![^\W_])" if spelling[-1].isalnum() else ""
    if not spelling[0].isalnum():
        return re.compile(f"{sought}{after}")
    # Looking behind the words costs their length at each place, before them one step.
    if len(spelling) > _SHORT:
        return re.compile(rf"(?<![^\W_]){sought}{after}")
    return re.compile(rf"{sought}(?<![^\W_]{sought}){after}")


@lru_cache(maxsize=64)
def _whole_number(spelling: str, negative: bool) -> re.Pattern[str]:
    """The number as `_number_at` sees it; what stands before it is looked at behind its digits."""
    sought = re.escape(spelling)
    before = rf"(?<![0-9]{sought})(?<![0-9]\.{sought})"
    if _LEADING().match(spelling):  # three digits behind `1,` belong to a longer number
        before += rf"(?<![0-9],{sought})"
    if negative:
        before += rf"(?<=[-\u2212]{sought})"
    after = r"(?!0*+[1-9])" if "." in spelling else r"(?![0-9])(?!,[0-9]{3}(?![0-9]))(?!\.0*+[1-9])"
    return re.compile(f"{sought}{before}{after}")


@record
class Finder:
    """What to look for: the spellings of one gold answer."""

    spellings: tuple[str, ...]
    is_number: bool
    negative: bool = False

    def occurs_in(self, text: str) -> bool:
        """Whether the answer stands in the text as a whole; linear in the text."""
        text = text[-LONGEST_SEARCHED:]
        return self._number_in(text) if self.is_number else self._words_in(text)

    def _again(self, text: str, at: int, spelling: str) -> bool:
        """The same by one pattern, from a place on: many false places are passed over fast."""
        sought = _whole_number(spelling, self.negative) if self.is_number else _whole(spelling)
        return sought.search(text, at) is not None

    def _words_in(self, text: str) -> bool:
        for spelling in self.spellings:
            at, places = text.find(spelling), 0
            while at >= 0:
                if places == MANY_PLACES:
                    if self._again(text, at, spelling):
                        return True
                    break
                places += 1
                if _words_at(text, at, at + len(spelling)):
                    return True
                at = text.find(spelling, at + 1)
        return False

    def _number_in(self, text: str) -> bool:
        for spelling in self.spellings:
            decimal = "." in spelling
            at, places = text.find(spelling), 0
            while at >= 0:
                if places == MANY_PLACES:
                    if self._again(text, at, spelling):
                        return True
                    break
                places += 1
                stop = at + len(spelling)
                before, after = text[at - 1 : at], text[stop : stop + 1]
                # Most places are decided by the characters beside them.
                if before not in _DIGITS and (decimal or after not in _DIGITS):
                    plain = before not in _MARKS and after not in _NUMBERS and not self.negative
                    if plain or self._number_at(text, at, stop):
                        return True
                at = text.find(spelling, at + 1)
        return False

    def _number_at(self, text: str, start: int, stop: int) -> bool:
        if not _number_starts(text, start) or not _number_ends(text, start, stop):
            return False
        return not self.negative or text[start - 1 : start] in _MINUS


def finder(gold: str) -> Finder:
    """How to find a gold answer.

    >>> finder("70000").spellings, finder("70000").occurs_in("profit: $70,000.00")
    (('70000', '70,000'), True)
    """
    value = number_of(gold)
    if not isinstance(value, Decimal):
        return Finder((gold,) if gold else (), is_number=False)
    digits = f"{abs(value):f}"
    if "." in digits:
        digits = digits.rstrip("0").rstrip(".")
    whole, dot, decimals = digits.partition(".")
    grouped = f"{int(whole):,}{dot}{decimals}"
    short = digits.removeprefix("0") if decimals else digits
    return Finder(tuple(dict.fromkeys((digits, grouped, short))), True, value < 0)


def _number_starts(text: str, start: int) -> bool:
    """Whether no longer number runs into the digits at `start` from the left."""
    before = text[max(0, start - 2) : start]
    if not before:
        return True
    if _is_digit(before[-1]):
        return False
    runs_on = len(before) == 2 and _is_digit(before[0])
    if before[-1] == ".":
        return not runs_on
    if before[-1] == "," and runs_on:  # `1,500` is one number, `4,5` a list
        return _GROUP().match(text, start) is None
    return True


def _number_ends(text: str, start: int, stop: int) -> bool:
    """Whether no longer number goes on after `stop`; closing zeros after the point belong to it."""
    if "." in text[start:stop]:
        zeros = _ZEROS().match(text, stop)
        return zeros is None or not _is_digit(text[zeros.end() : zeros.end() + 1])
    if _is_digit(text[stop : stop + 1]) or _GROUP_AFTER().match(text, stop):
        return False
    decimals = _DECIMALS().match(text, stop)
    return decimals is None or not decimals[1].strip("0")


def _is_digit(char: str) -> bool:
    return "0" <= char <= "9"


def _words_at(text: str, start: int, stop: int) -> bool:
    """Whether no letter or digit runs into the text at `start` or out of it at `stop`."""
    before, after = text[max(0, start - 1) : start], text[stop : stop + 1]
    return not (
        (before.isalnum() and text[start].isalnum())
        or (after.isalnum() and text[stop - 1].isalnum())
    )
