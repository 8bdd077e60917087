r"""Verdicts of math-verify that are known without asking it.

`quick_verdict` says True or False only for pairs of which math-verify's own rules give the same
verdict, and None for all others. Why it is the same (of answers as `\boxed{...}`):

1. A whole number (with or without thousands commas, a dollar sign before it) is parsed as a SymPy
   Integer, `a/b` and `\frac{a}{b}` as a Rational. Two of them are compared exactly.
2. A number with a decimal point is a Float (`0.5` and `.5` a Rational). When one of two numbers is
   a Float, both are rounded to six places and, when these differ, the difference is compared with
   zero. Of values below 1e8 a Float keeps the first seven places, so numbers 2e-6 apart differ;
   with at most six places equal numbers are equal. All others are left to it.
3. A letter is a symbol, case is dropped, and a symbol is no number. `e` and `i` are left to it.
4. From a blank answer it parses nothing, and nothing equals nothing.

The tests compare with math-verify on random pairs of each kind and at each limit.
"""

from __future__ import annotations

from functools import lru_cache

from derl_primitives.patterns import pattern

_NUMBER = pattern(
    r"(?:(?P<minus>-)|\\?\$)?(?P<whole>[0-9]{1,15}|[1-9][0-9]{0,2}(?:,[0-9]{3}){1,4})?"
    r"(?:\.(?P<places>[0-9]{1,20}))?"
)
_FRACTION = pattern(
    r"(?P<minus>-)?(?:\\[dt]?frac\{(?P<top>[0-9]{1,6})\}\{(?P<bottom>[0-9]{1,6})\}"
    r"|(?P<over>[0-9]{1,6})/(?P<under>[0-9]{1,6}))"
)
_LETTERS = frozenset("abcdfghjklmnopqrstuvwxyzABCDFGHJKLMNOPQRSTUVWXYZ")
_LONGEST = 40
_LARGEST_WITH_POINT = 10**8
_MOST_PLACES = 10**6
_APART = 500_000  # 1 / 2e-6

Ratio = tuple[int, int, bool]


def quick_verdict(gold: str, given: str) -> bool | None:
    r"""What math-verify says of two answers, or None when it has to be asked.

    >>> quick_verdict("90000", "$90,000.0"), quick_verdict(r"\frac{1}{2}", "0.51")
    (True, False)
    >>> quick_verdict("x^2", "x*x") is None, quick_verdict("0.333333", "1/3") is None
    (True, True)
    """
    if len(gold) > _LONGEST or len(given) > _LONGEST:
        return None
    if not gold or not given:
        return False
    left, right = _ratio(gold), _ratio(given)
    if left is not None and right is not None:
        return _same_number(left, right)
    if given in _LETTERS:
        if gold in _LETTERS:
            return gold.lower() == given.lower()
        return None if left is None else False
    return False if right is not None and gold in _LETTERS else None


@lru_cache(maxsize=8192)
def _ratio(answer: str) -> Ratio | None:
    """Numerator, denominator and whether a decimal point is written; None when not known."""
    match = _NUMBER().fullmatch(answer)
    if match is not None:
        whole, places = match["whole"], match["places"]
        if whole is None and (places is None or match["minus"] or answer[0] != "."):
            return None
        number = int((whole or "0").replace(",", "") + (places or ""))
        return -number if match["minus"] else number, 10 ** len(places or ""), places is not None
    match = _FRACTION().fullmatch(answer)
    if match is None:
        return None
    top, bottom = int(match["top"] or match["over"]), int(match["bottom"] or match["under"])
    if not bottom:
        return None
    return -top if match["minus"] else top, bottom, False


def _same_number(left: Ratio, right: Ratio) -> bool | None:
    (a, b, point), (c, d, other_point) = left, right
    apart = abs(a * d - c * b)
    if not (point or other_point):
        return apart == 0
    if abs(a) >= _LARGEST_WITH_POINT * b or abs(c) >= _LARGEST_WITH_POINT * d:
        return None
    if apart == 0:
        return True if max(b, d) <= _MOST_PLACES else None
    return False if apart * _APART >= b * d else None
