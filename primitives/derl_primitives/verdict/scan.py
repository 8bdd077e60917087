"""The only amount of a clause, among the numbers that name, count or bound something else."""

from __future__ import annotations

import re
from fractions import Fraction

from derl_primitives.patterns import pattern
from derl_primitives.verdict.amounts import Stated
from derl_primitives.verdict.denial import affirmed, denied_after, denied_before
from derl_primitives.verdict.number_words import words_value
from derl_primitives.verdict.quantity import NUMBER, Quantity, quantity_at, read_quantity
from derl_primitives.verdict.statement import unhedged
from derl_primitives.verdict.words import OR_WORDS, STATES

_OTHERS = pattern(
    r"\(?(?:or|oder|ou|или)\s+(?:\d|some|another|any|something|else|more|the other)", re.I
)
_SELECTED = pattern(
    r"^\W*(?:of|among|between|from|out of)\s[\w\s,.$]{0,80}?\d,?\s+(?=(?:the|only|just|i|we|it)\s)"
    r"|^\W*(?:of|among|between)\s[\d,\s.$]{1,60}(?:and|or) [\d.]+,\s+(?=\d)",
    re.I,
)
"""Candidates of which the sentence then names one."""


def without_candidates(text: str) -> str:
    """A sentence without the candidates that it opens with."""
    return _SELECTED().sub("", text)


def offered(head: str, tail: str) -> bool:
    """Whether another number is offered before or behind: `7 or 8`, `7 or some other prime`."""
    if _OTHERS().search(tail):
        return True
    head = without_candidates(head)
    return OR_WORDS().search(head.lower()) is not None and any(c.isdigit() for c in head)


_BOUND = pattern(
    r"(?<!\w)(?:(?:more|less|fewer|greater|bigger|larger|smaller|higher|lower"
    r"|longer|shorter"
    r"|older|younger|other|rather) than|at (?:least|most)"
    r"|(?<!add )(?<!adds )(?<!added )(?<!sum )(?<!sums )up to|as (?:many|much|few|little|long"
    r"|high) as|exceeds?"
    r"|below|above|under(?! \w)|beyond|anywhere near|multiple of|divisible by|twice|double|thrice"
    r"|triple|(?:number|one|prime|integer|value|square|multiple) (?:after|before|above|below"
    r"|following|preceding)"
    r"|(?:is|are|was|were|well|just|slightly) over|(?:factor|divisor|power|part) of|such as"
    r"|e\.g\.,?|for (?:example|instance),?|(?:half|third|quarter|fifth|root"
    r"|square|cube|fraction|percent|%|share|multiple|most"
    r"|part) of|(?:two|three|four|five|ten|\d) times)(?: than)?(?: or equal to)?(?: the)?[\s$*]*$",
    re.I,
)
_CHANGED = pattern(
    r"[\s$*)]*(?:squared|cubed|to the (?:power|\w+ power|second|third|\w+th(?= power|[.!]|$))"
    r"|factorial|choose|mod(?:ulo)?"
    r"|or (?:more|less|fewer|greater|higher|lower|above|below|so many|over|under)|and (?:up|over"
    r"|above|more)"
    r"|(?:more|less|fewer|greater|larger|smaller|higher|lower) than (?:[\d$][\d.,]*|\w(?!\w))"
    r"|(?:and|plus|with) (?:an? )?(?:\w+ )?(?:tip|tax|fee|bonus|surcharge|deposit) of [\d$]"
    r"|plus (?:another |an? (?:extra )?)?[\d$][\d.,]*|(?:times|percent of|% of) [\d$][\d.,]*"
    r"|\+(?=[\s.]|$)|plus or minus|give or take)(?!\w)",
    re.I,
)
_PART_OF = pattern(r"\s*\}?\s*of\s+[$\d\\]")


def bounded(head: str) -> bool:
    """Whether the words before a number make it a bound or a part of the answer: `more than 30`."""
    return _BOUND().search(affirmed(head.lower())) is not None or denied_before(head.lower())


def _altered(text: str, match: re.Match[str]) -> bool:
    """Whether the words around a number make it another one: `4 squared`, `2/3 of 3`."""
    share = match["frac"] or match["pct"] or match.group().startswith("\\")
    return (
        bounded(text[max(0, match.start() - 160) : match.start()])
        or _CHANGED().match(text, match.end()) is not None
        or denied_after(text[match.end() : match.end() + 160].lower())
        or bool(share and _PART_OF().match(text, match.end()))
    )


_OF_UNKNOWN = pattern(
    r"(?:(?<![A-Za-z\d])\d+\s?[xyznkabtpqw]|(?<![A-Za-z])[xyznkabtpqw]\s?(?:\^\s?\{?\s?\d+\s?\}?"
    r"|[+*/-]\s?\d+))\s*$"
)
"""The left side of an equation that is not solved yet: `3x`, `x^{2}`, `x + 9`."""
_RANGING = pattern(
    r"(?<!\w)(?:anywhere|somewhere|between|either|rang(?:es|ing))(?: (?:from|in))?[\s$*]*$", re.I
)
_DENIED = pattern(
    r"(?<!\w)(?:not|isn't|wasn't|aren't|never|nicht|keine?|pas|kein|не|ikke"
    r"|inte)\s+(?:[a-z]+\s+)?[*$]{0,3}$"
    r"|(?:不是|并非|не)\s*$",
    re.I,
)
_ASIDE_NUMBER = pattern(
    r"(?<![a-z])(?:of (?:the|his|her|their|our|its|those|these|all) [a-z]{3,12}|of|out of|of the"
    r"|of those|of these|of his|of her|of their|of all|of its"
    r"|at|in|per|for|with|between|than|from|by|after|before|on|every|each|to (?!about"
    r"|exactly|nearly|roughly|approximately|almost|be |get |obtain |give |reach "
    r")[a-z]{3,14}|the|those|these"
    r"|all|other|first|last|step|case|part|day|week|page|bus|room|train|gate|platform|version"
    r"|lemma|theorem|item"
    r"|exercise|section|route|figure|equation|problem|question"
    r"|chapter|over|under|into|among|across|within|during|since|der|den|von|aus|sur|de|des"
    r"|les|los|las|из|por|para|en)\s+[*$]{0,3}$",
    re.I,
)


def scanned(text: str, comma: bool) -> Stated | None:
    """The only amount of a clause that nothing but names: `14` in "he has 14 of the 20"."""
    matches = list(NUMBER().finditer(text))[:40]
    if not matches:
        return _worded(unhedged(text), comma)
    if any(_DENIED().search(text, max(0, m.start() - 40), m.start()) for m in matches[-1:]):
        return None
    first, last = matches[0], matches[-1]
    between = text[first.start() : last.end()].lower()
    equals = text.rfind("=")
    if equals >= 0:
        if _OF_UNKNOWN().search(text, 0, equals):
            return None
        after = [
            m
            for m in matches
            if m.start() > equals and not text[equals + 1 : m.start()].strip(" $*~\u2248")
        ]
        if after and not OR_WORDS().search(between):
            found = quantity_at(text, after[0], comma)
            return Stated((found,), None) if found else None
    main = [m for m in matches if not _ASIDE_NUMBER().search(text, 0, m.start())] or matches
    if len(matches) > 1 and OR_WORDS().search(text[main[0].start() : main[-1].end()].lower()):
        return None
    if _OTHERS().search(text, matches[0].end()):
        return None
    if len(matches) > 1 and _RANGING().search(text, 0, matches[0].start()):
        return None
    quantities = [None if _altered(text, m) else quantity_at(text, m, comma) for m in main]
    if None in quantities:
        return None
    distinct = {(q.value, q.percent, q.unit and q.unit.dims) for q in quantities if q}
    if len(distinct) == 1 and quantities[-1]:
        return Stated((quantities[-1],), None)
    return _after_verb(text, main, [q for q in quantities if q])


_BOTH = pattern(
    r"^\s*(?:[-,\u2013/&]|to|,? ?and)\s*$|(?<!\w)(?:and|then|but|while|whereas)\s*[$*]*$"
)
"""Between two values that one sentence states side by side."""


def _after_verb(
    text: str, matches: list[re.Match[str]], quantities: list[Quantity]
) -> Stated | None:
    verbs = [m for m in STATES().finditer(text) if m.end() <= matches[-1].start()]
    if not verbs:
        return None
    after = [k for k, m in enumerate(matches) if m.start() >= verbs[-1].end()]
    if len(after) > 1:
        between = text[matches[after[0]].end() : matches[after[1]].start()]
        if _BOTH().search(between):
            return None
    return Stated((quantities[after[0]],), None)


_NONE = pattern(r"\W*(?:so |thus |hence )?none (?:of|is|are|was|were|remain|will)(?!\w)", re.I)
_ONE_OF = pattern(
    r"\W*(?:so |thus |hence )?(?:only |exactly |just )?one of (?:the|those|these|all|his|her"
    r"|their|our|its)(?!\w)",
    re.I,
)
_PART_WORD = pattern(
    r"[ -](?:half|third|quarter|fourth|fifth|sixth|seventh|eighth|ninth|tenth)(?!\w)", re.I
)
_WORD = pattern(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_WEAK = frozenset([
    "one", "one's", "un", "une", "una", "uma", "ein", "eine", "een", "a", "an", "second", "seconds",
    "cent", "sei", "tre", "due", "or",
])  # fmt: skip
"""Words that are seldom the number they may be: counted only before `half`, `third` and so on."""


def _worded(text: str, comma: bool) -> Stated | None:
    """A number word of a sentence without digits: the only one."""
    if _NONE().match(text):
        return Stated((Quantity(("num", Fraction(0))),), None)
    if _ONE_OF().match(text):
        return Stated((Quantity(("num", Fraction(1))),), None)
    found = []
    words = _WORD().finditer(text)
    stop = 0
    for match in words:
        if match.start() < stop:
            continue
        value = (
            words_value(text[match.start() :].lower())
            if match.group().lower() not in _WEAK or _PART_WORD().match(text, match.end())
            else None
        )
        if value is not None:
            found.append((match.start(), value))
            stop = match.start() + value[1]
        if len(found) > 8:
            return None
    if not found:
        return _characters(text)
    if len({v[0] for _, v in found}) > 1:
        return None
    start, value = found[-1]
    if denied_after(text[start + value[1] :][:160].lower()):
        return None
    minus = text[:start].rstrip().casefold().endswith(("minus", "negative"))
    tail = text[start + value[1] :].split()
    quantity = read_quantity(f"{-value[0] if minus else value[0]} {' '.join(tail[:2])}", comma)
    return Stated((quantity or Quantity(("num", -value[0] if minus else value[0])),), None)


_CHARACTERS = pattern(
    "[\u96f6\u3007\u4e00\u4e8c\u4e09\u56db\u4e94\u516d\u4e03\u516b\u4e5d\u5341\u767e\u5343\u4e07"
    "\u842c\u4ebf\u5104\u4e24]+"
)


def _characters(text: str) -> Stated | None:
    """A number in Chinese characters within a sentence: the only one of two or more characters."""
    found = {
        v[0]
        for m in _CHARACTERS().finditer(text)
        if (v := words_value(text[m.start() :])) and len(m.group()) > 1
    }
    return Stated((Quantity(("num", found.pop())),), None) if len(found) == 1 else None
