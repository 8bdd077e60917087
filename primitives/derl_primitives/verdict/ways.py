"""Amounts that a sentence gives in a way of its own: rounded, as a year, as odds, in all."""

from __future__ import annotations

import re

from derl_primitives.patterns import pattern
from derl_primitives.verdict.amounts import Stated, amounts, one_value
from derl_primitives.verdict.denial import denied_before
from derl_primitives.verdict.kinds.expression import pieces
from derl_primitives.verdict.quantity import Quantity, read_quantity
from derl_primitives.verdict.statement import views

_SO_ABOUT = pattern(
    r"(?<=\S),?\s(?:so|or|hence|i\.e\.,?|that is,?|which is)\s(?:about|roughly|approximately"
    r"|around|circa)\s",
    re.I,
)


def with_rounding(text: str, comma: bool) -> Stated | None:
    """An exact value with its rounding: `it is 2/3, so roughly 0.67`."""
    match = _SO_ABOUT().search(text)
    if match is None:
        return None
    rounded = amounts(text[match.end() :], comma)
    if rounded is None:
        return None
    for view in views(text[: match.start()]):
        exact = amounts(view, comma)
        if exact is not None and one_value(exact.amounts[-1], rounded.amounts[0], True, text):
            return Stated(exact.amounts + rounded.amounts, exact.name)
    return None


_SYMBOLIC = pattern(r"[\u03c0\u221a]|\\(?:sqrt|frac)|(?<![a-z])(?:pi|sqrt)(?![a-z])")


def symbolic(text: str, comma: bool) -> Stated | None:
    """The only formula of a sentence that has a root, a power or \u03c0 in it."""
    found = {p.strip(" .") for p in pieces(text) if _SYMBOLIC().search(p)}
    return amounts(found.pop(), comma) if len(found) == 1 else None


_YEAR = pattern(
    r"(?<!\w)(?:in|since|of|year|around|jahre?|en|em|nel|в|l'an) ([12]\d{3})(?![\d.,]*\d)", re.I
)
_OF_ANOTHER = pattern(r"(?<!\w)(?:is|are|was|were|be) (?:\w+ )?(?![12]\d{3}(?!\d))\d")


def year(text: str, gold: Stated) -> Stated | None:
    """The year that a sentence names when gold may be one: `Apollo 11 landed in 1969`."""
    wanted = gold.amounts[0]
    if (
        wanted.unit
        or wanted.percent
        or wanted.value[0] != "num"
        or not 1000 <= wanted.value[1] < 3000
    ):
        return None
    if _OF_ANOTHER().search(text):
        return None
    years = set(_YEAR().findall(text))
    return amounts(years.pop(), False) if len(years) == 1 else None


_ODDS = pattern(
    r"(?<![\w.,])(?P<k>\w+) (?:in|out of) (?P<n>(?!the|all|his|her|a )\w+)(?![\w.,]\d)", re.I
)


def odds(text: str, gold: Stated) -> Stated | None:
    """A share in words when gold is one: `one in six`."""
    wanted = gold.amounts[0].value
    whole = 100 if gold.amounts[0].percent else 1
    if wanted[0] != "num" or not 0 < wanted[1] < whole:
        return None
    for match in _ODDS().finditer(text):
        share = read_quantity(match["k"]), read_quantity(match["n"])
        if share[0] and share[1] and share[0].value[0] == share[1].value[0] == "num":
            part, whole = share[0].value[1], share[1].value[1]
            if 0 < part < whole:
                return Stated((Quantity(("num", part / whole)),), None)
    return None


_RESTATED = pattern(
    r"[,;(]\s*(?:i\.e\.,?|that is,|that is to say,?|namely"
    r"|in other words,?)\s+(?P<new>[^,;]{1,60}?)[).!]*$",
    re.I,
)
_IN_ALL = pattern(
    r"(?<![\w.,])(?P<new>[$\u20ac\u00a3]?-?\d[\d.,/]*\d?(?: [^\W\d]+)?) (?:in all|in total"
    r"|all told|altogether|all in all|combined|in the end|at the end|at last)(?!\w)",
    re.I,
)


def named_total(text: str, comma: bool) -> Stated | None:
    """The amount that a sentence says again in other words, or calls the whole of several."""
    match = _RESTATED().search(text)
    if match is not None:
        return amounts(match["new"], comma)
    found = list(_IN_ALL().finditer(text))
    if len(found) == 1 and not denied_before(text[: found[0].start()].lower()):
        return amounts(found[0]["new"], comma)
    return None
