"""Numbers and amounts with units: by exact value."""

from __future__ import annotations

import re

from derl_primitives.patterns import pattern
from derl_primitives.verdict.amounts import Stated, amounts
from derl_primitives.verdict.kinds.kind import Kind
from derl_primitives.verdict.quantity import same_quantity
from derl_primitives.verdict.scan import bounded, offered, scanned, without_candidates
from derl_primitives.verdict.statement import beside_each, conclusion, views, without_asides
from derl_primitives.verdict.ways import named_total, odds, symbolic, with_rounding, year


def _gold(text: str) -> Stated | None:
    return amounts(text, False)


def _given(text: str, gold: Stated, comma: bool) -> Stated | None:
    del gold
    return amounts(text, comma)


def _same(given: Stated, gold: Stated) -> bool | None:
    if (
        given.name
        and gold.name
        and given.name != gold.name
        and len(given.name) == len(gold.name) == 1
    ):
        return False
    verdicts = [same_quantity(one, other) for one in given.amounts for other in gold.amounts]
    if True in verdicts:
        return True
    return None if None in verdicts else False


def _spoken(text: str, gold: Stated, comma: bool) -> Stated | None:
    """The amount that a sentence states in its concluding clause."""
    if _OR_ASIDE().search(text):
        return None
    if _HYPOTHETICAL().search(text) or _ELSE().search(text) or beside_each(text):
        return None
    turned = _TURNED_INTO().search(text)
    text = text[turned.end() :] if turned else text
    picked = _PICKED_OF_RANGE().search(text)
    if picked:
        return amounts(picked["new"], comma)
    text = _INTRODUCED().sub("", text)
    text = without_asides(text)
    if (
        _ABSOLUTE().search(text)
        or _BY_CASE().search(text)
        or _OPERATES().search(text)
        or _NO_SUBJECT().match(text)
    ):
        return None
    other = year(text, gold) or odds(text, gold)
    if other is not None:
        return other
    text = _BELOW_ZERO().sub(r"-\1", without_candidates(text))
    subject = _SUBJECT().match(text)
    if subject:
        return amounts(subject["n"], comma)
    if _PARALLEL().match(text) or _LABELLED().match(text):
        return None
    whole = with_rounding(text, comma)
    if whole is not None:
        return whole
    clause = conclusion(text, _SAYS())
    if _ONE_OF_THESE().search(clause):
        return None
    for view in _exact_first(clause):
        found = amounts(view.rstrip("!"), comma) or amounts(view, comma)
        if found is not None and not (found.amounts[0].unit and len(view.split()) > 6):
            head = clause[: max(0, clause.rfind(view))]
            if bounded(head) or (
                not _PICKED().search(head) and offered(head, clause[len(head) + len(view) :])
            ):
                return None
            return found
    if gold is not None and gold.amounts[0].value[0] != "num":
        formula = symbolic(text, comma)
        if formula is not None:
            return formula
    return named_total(text, comma) or scanned(clause, comma)


_ONE_OF_THESE = pattern(
    r"(?<!\w)one of (?:these: |the (?:numbers|values) )?[$]?\d[\d.,]*(?:,| and"
    r"| or) [^;:]*\d[\d.]*[.!]*$",
    re.I,
)
"""Candidates of which none is chosen: `one of 84 and 85`."""
_ROUNDED = pattern(r"(?:\u2248|,? so (?:about|roughly|approximately|around))\s*$", re.I)


def _exact_first(clause: str) -> list[str]:
    """The views of a clause, those that a sign of rounding opens last: `9\u03c0 \u2248 28.27`."""
    found = list(views(clause))
    return sorted(found, key=lambda v: bool(_ROUNDED().search(clause[: clause.rfind(v)])))


_HYPOTHETICAL = pattern(
    r"(?<!\w)would (?:have been|be) [^,;]*\d[^,;]*(?<!\w)(?:if|without|unless|were"
    r"|in that case)(?!\w)"
    r"|(?<!\w)(?:contradiction|absurd)[.!]*$",
    re.I,
)
"""What would be, and what leads to nothing."""
_ELSE = pattern(
    r"\d[^;]{0,30};\s+(?:if not|else|otherwise|or else|failing that)(?!\w)[^;]*\d", re.I
)
"""Another value for another case: `12; if not, 47`."""
_TURNED_INTO = pattern(
    r"^\W*(?:the )?[$]?\d[\d.,]*\s+(?:changes? (?:in)?to|becomes?|turns? into|(?:has to|must"
    r"|should) be (?:replaced|corrected|changed) (?:by|to|with|into))\s+"
    r"|^\W*(?:replace|change|correct) [$]?\d[\d.,]*\s+(?:by|to|with|into)\s+(?=[$]?\d)",
    re.I,
)
"""A value that becomes another one: `12 changes into 47`."""
_PICKED_OF_RANGE = pattern(
    r"(?<!\w)(?:between|from|either|or)(?!\w)[^.;]{0,60}\d[,;:]\s+(?:so |but |and )?(?:probably"
    r"|most likely|very likely|presumably"
    r"|i'd say|i would say|i(?:'d| would)? guess|my guess is|i (?:\w+ )?(?:pick|choose"
    r"|take))\s+(?P<new>[$]?-?\d[\d.,/]*\d?(?: \w+)?)[.!]*$",
    re.I,
)
"""A range, then the value that is picked: `between 40 and 50, probably 45`."""
_INTRODUCED = pattern(
    r"^\W*(?:at first|initially|first|originally|yesterday)(?!\w)[^,;]*\d[^,;]*[,;]\s+(?=(?:in "
    r"the end|finally|now"
    r"|then|today|but|later)(?!\w))"
    r"|^\W*(?:when|for|with|if|at|setting|putting|taking|let) [a-z]\s?=\s?[^,;]{1,20},\s+"
    r"|^\W*(?:after|when|since|as|with|by|having|once"
    r"|upon) [^,;.]*\d[^,;.]*,\s+(?=[$]?\d[\d.,]*\s+(?:[a-z]+ )?(?:is|are|was|were|remain|stay))",
    re.I,
)
"""A clause before the number of its sentence: `after selling 9, 45 are left`."""
_OR_ASIDE = pattern(
    r"\d[^\d()]{0,20}\((?:alternatively|respectively|resp\.)[,:]? [$]?\d|"
    r"\d[^\d()]{0,20}\((?:or|perhaps|maybe|possibly)\s+[$]?\d[\d.,]*(?: \w+)?,? (?:with|without"
    r"|if|when|counting|including|excluding|depending|after|before|on)(?!\w)(?! (?:rounded|you "
    r"round|round))[^()]*\)",
    re.I,
)
"""Another value in brackets: `34 (or 35 with the guide)`."""
_BELOW_ZERO = pattern(
    r"(?<![\w-])(\d[\d.,]*(?: (?:degrees?|°C?))?(?: \w+)?) below (?:zero|freezing|sea level)", re.I
)
_ABSOLUTE = pattern(r"\|[^|]*[A-Za-z][^|]*\|\s*=\s*[^=]*$")
"""`|x| = 18`: not what x is."""
_BY_CASE = pattern(
    r"\d[^.;\d]{0,30}(?<!\w)otherwise(?!\w)[^.;\d]{0,20}\d|"
    r"\d[^.;\d]{0,40}(?<!\w)if [^.;]{1,60}(?<!\w)(?:otherwise|else)(?!\w)[^.;]*\d|"
    r"\d[^.;\d]{0,40}(?<!\w)if\s.{1,60}?\d[^.;\d]{0,40}(?<!\w)(?:if|otherwise|else)(?!\w)"
)
"""`5 if n is odd and 7 if n is even`: two answers."""
_OPERATES = pattern(
    r"(?<!\w)(?:we|i|you|one|he|she|they|must|then|now|just|to|let's|can|should|be|is|are|it|and"
    r"|so)"
    r" (?:\w+ly )?(?:divid|multipl|subtract|add|split|deduct|round|substitut|rais|factor|plug"
    r"|compar)"
    r"(?:e|y|t|s|es|ies|ed|ied|ing)?(?!\w)(?![^.;]{0,80}(?:=|(?<!\w)(?:is|are|to (?:get|obtain"
    r"|give|reach"
    r"|make|find|have|arrive)|up to|down to|equals?|gives?|makes?|leaves?|gets?|giving"
    r"|for)(?!\w)))[^,;:=]*$",
    re.I,
)
"""A step that is still to be done: `so we divide by 12`."""
_SUBJECT = pattern(
    r"\W*(?:(?:so|thus|hence|therefore|then)[, ]+)?(?P<n>[-+]?[$]?\d[\d.,/]*\d|\d) (?:is"
    r"|are) (?:thus |therefore |then "
    r"|indeed )?(?:the|our) (?:\w+ )?(?:smallest|largest|least|greatest|only|answer|solution"
    r"|result|minimum"
    r"|maximum|best|lowest|highest)(?!\w)",
    re.I,
)
"""The value that a sentence opens with and names: `14 is the smallest, and 15 the next`."""
_PARALLEL = pattern(
    r"\W*(?:(?:so|thus|hence|therefore)[, ]+)?\d[\d.,]* [^\d,;=]{3,60}, (?:and|while|whereas"
    r"|but) \d[\d.,]* "
    r"[^\d,;=]{3,60}$",
    re.I,
)
"""Two values side by side: `36 children take part, and 4 stay at home`."""
_PICKED = pattern(
    r"(?<!\w)i(?:'ll|'d| will| would)? (?:\w+ly )?(?:pick|choose|take|say|select|go (?:with|for)"
    r"|settle (?:on|for)"
    r"|opt for|decide on|keep|answer)\s[\s$*]*$",
    re.I,
)
_LABELLED = pattern(
    r"\W*[^\W\d_]+(?: [^\W\d_]+){0,2}:\s*[$]?\d[\d.,/]*(?: \w+)?[,;]\s*(?!total|sum|altogether"
    r"|together|so|answer"
    r"|result|in total|in all|left)[^\W\d_]+(?: [^\W\d_]+){0,2}:\s*[$]?\d[\d.,/]*(?: \w+)?\W*$",
    re.I,
)
"""Two values, each with its label: `ducks: 71, geese: 12`."""
_NO_SUBJECT = pattern(
    r"\W*(?:no|nope|nein|non|нет)\W+\d[\d.,]*\s+(?:leaves|is|does|fails|has|would|can|cannot"
    r"|gives|was"
    r"|isn't|doesn't|won't|hat|ist|a|est|tiene|es)(?!\w)",
    re.I,
)
"""A value that is turned down: `No: 12 leaves a remainder`."""
_SAYS = pattern(
    r"\d|(?<![a-z])(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen"
    r"|\w+ty|hundred|thousand|million|half|zero|dozen)(?![a-z])|\u03c0|[零一二三四五六七八九十百千万]",
    re.I,
)


KIND = Kind("number or amount", _gold, _given, _same, _spoken)
