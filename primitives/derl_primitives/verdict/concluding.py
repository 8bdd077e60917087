"""What a text without a mark states: the whole of it, or its concluding sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator

from derl_primitives.patterns import pattern
from derl_primitives.verdict.candidate import Final
from derl_primitives.verdict.corrections import CORRECTED, restated
from derl_primitives.verdict.sentences import is_remark, sentences
from derl_primitives.verdict.statement import without_doubts
from derl_primitives.verdict.words import INTENT, REFUSAL, RETRACTION, STATES

LAST_SENTENCES = 2500
"""How much of the end of a text without a mark is searched for its concluding sentence."""

_CUT = pattern(
    r"(?<![a-z])(?:the|a|an|of|to|and|or|is|are|was|by|with|from|for|so|that|which|then|we"
    r"|i|in|at|on|as|equals|gives|get|than|plus|minus|times|have|has|not|but|because|if"
    r"|per|there|this|it|will|be|need|holds?|contains?|costs?|add|our|their|his|her"
    r"|also|can|whom|whose|who|where|when|multiply|divide|subtract|der|die|das|und|ist|wir|les"
    r"|des|et|est|nous|el|la"
    r"|los|y|es|que|(?:for|of|to|from|in|gives?|that|and|with|by|so|then) each)$"
    r"|[=+\-*/\u00d7\u00b7,(<>:]$|\\(?:frac|cdot|times|boxed|sqrt|text"
    r"|left)\{?$"
)


_MAYBE = pattern(r"\W*(?:it |that |this )?(?:could|might|may|maybe|perhaps|possibly)(?!\w)")
_REACHES = pattern(
    r"(?:to (?:get|obtain|reach|give|make)|which (?:gives|leaves|makes|is)|we get|equals?|="
    r"|leaves|leaving|giving|after (?:recounting|rechecking|a (?:recount|second look"
    r"|check))[,:]?|, (?:so|hence|thus|therefore)(?: we (?:need|have|get|want))?|(?:now"
    r"|finally) (?:i|we|he|she|they|it) (?:has|have|is|get|gets)|(?:now|finally) (?:i am|i'm) "
    r"(?:sure|certain|convinced)(?: that)? (?:it is|it's)|: (?:it's|it is|that's|that makes"
    r"|i get))\s+[$*]{0,3}\d[^?]*[.!]?$"
)


_LETTER_LAST = pattern(
    r"[,;]\s+(?:and )?(?:so|hence|thus|therefore)(?: it (?:is|must be))? [(\[]?[A-J][)\]]?[.!*]*$"
    r"|,\s+(?:which is|that is|namely|i\.e\.) [(\[]?[A-J][)\]]?[.!*]*$"
)
_ALL_LETTERS = pattern(r"(?:[\s(]*[A-J][.):;]\s+){2,}[\s(]*[A-J]\W*")
_NUMBERED = pattern(
    r"(?:\s*(?:\d{1,2}[.)]|[-*\u2022])\s+[$*]{0,3}-?\d[\d.,/]*[$*]{0,3}\s*(?:\n|$)){2,}"
)
_ASKED = pattern(r"[\W_]*the (?:question|problem|task)(?!\w)")
_COLON_END = pattern(r":\s*[^\s:]{1,20}(?: [^\s:]{1,12}){0,2}[.!]?[*]*$")
_PICKS = pattern(
    r"\W*(?:let me|let's|i will|i'll|we can) (?:just )?(?:go with|say|pick|choose|answer|settle "
    r"on)(?!\w)"
)


_REASON_CUT = pattern(
    r"(?P<said>[\s$*(]{0,4}-?\d[\d.,/]*\d?(?: [^\W\d]+){0,2}?),?\s+(?:because|since|as|for|weil"
    r"|denn|parce que|porque|puisque)",
    re.I,
)
"""A value and the first word of its reason: `37, because`."""
_YET_ANSWERS = pattern(
    r"[^.]{0,80}(?<!\w)(?:rather not|can't|cannot|won't|don't|sorry"
    r"|apologi[sz]e)(?!\w)[^.;]{0,80}[,;]\s+but (?P<said>(?:it(?:'s| is)"
    r"|i (?:get|think|believe|would say)|my (?:guess|answer) is|the \w+ (?:is|comes to))\s(?!not"
    r"|im|un)[^;]{1,60})$",
    re.I,
)
"""A sentence that declines and answers all the same: `I'd rather not explain, but it is 12`."""
ENDLESS = pattern(r"\d{300}")
"""Digits without end, as a model repeats them: no value that anybody reads."""
_AT_FIRST = pattern(
    r"\W*(?:(?:so|thus|then|and|but) )?(?!in (?:short|total|all|sum|conclusion|summary"
    r"|the end))(?:of|in|for|with|from|by|after|since|as|when|if|because"
    r"|while)(?!\w)"
)
"""A phrase that something is still to follow."""
_NO = pattern(
    r"\W*(?:no|nope|nein|non|não|нет|不)(?!\w)[\s:,.;\u2014\u2013-]+(?!only|just|other|nothing)",
    re.I,
)
_VALUE = pattern(r"\d[\d.,/]*(?<![.,])")


_OPENS_CONCLUSION = pattern(
    r"[\W_]*(?:so|thus|therefore|hence|in total|altogether|in conclusion|also|somit|insgesamt"
    r"|donc|por lo tanto"
    r"|quindi|итак)(?!\w)[^.!?]*\d|[\W_]*(?:所以|因此)[^\u3002]*\d",
    re.I,
)
_OTHERWISE = pattern(
    r"\W*(?:for|with|without|if|had|otherwise)(?!\w)[^.]{0,80}(?<!\w)would(?!\w)", re.I
)
"""A sentence about what would be otherwise."""
_ADDS = pattern(
    r"\d|^[\W_]*(?:then|next|now|but|however|after|later|no|not|and|or|this|that|it|yet|still|if"
    r"|wait|also)(?!\w)"
    r"|(?<!\w)(?:wrong|mistake|incorrect|not|half|twice|double|more|less|another|other|one|two"
    r"|three|four|five|six"
    r"|seven|eight|nine|ten|eleven|twelve|\w+teen|\w+ty)(?!\w)|[?\uff1f]",
    re.I,
)
"""What may change the conclusion before it."""


def _answered_no(question: str, reply: str) -> bool:
    """Whether a question about a value is answered with no: `Is it 12? No: 12 leaves a rest.`"""
    match = _NO().match(reply)
    if match is None or not question.rstrip(" *_").endswith("?"):
        return False
    said = set(_VALUE().findall(reply, match.end()))
    return bool(said) and said <= set(_VALUE().findall(question))


def unmarked(text: str, stopped: bool) -> Iterator[Final]:
    """What the text as a whole or its concluding sentence states."""
    whole, text = text, text[-LAST_SENTENCES:]
    spans = sentences(text)
    while len(spans) > 1 and is_remark(text[slice(*spans[-1])]):
        spans.pop()
    if not spans:
        yield Final(None, "no sentence states an answer")
        return
    start, end = spans[-1]
    if len(whole) < 400 and _NUMBERED().fullmatch(whole):
        yield Final(None, "a list of candidates")
        return
    if _ALL_LETTERS().fullmatch(whole):
        yield Final(None, "all the options are named")
        return
    if len(spans) > 1 and all(_MAYBE().match(text[slice(*s)].lower()) for s in spans[-2:]):
        yield Final(None, "a list of candidates")
        return
    if len(spans) > 1 and REFUSAL().search(text[slice(*spans[-2])].lower()[-300:]):
        yield Final(text[slice(*spans[-2])].strip(), "refusal", spoken=True)
        return
    last = without_doubts(text[start:end].strip())
    if len(spans) > 1 and _answered_no(text[slice(*spans[-2])], last):
        yield Final(None, "the question is answered with no")
        return
    if (len(spans) == 1 or len(whole) < 60) and whole.rstrip()[-1] not in "=+*/\u00d7\u00f7<":
        yield Final(whole, "the whole text", spoken=False)
    lower = last.lower()
    if ENDLESS().search(last):
        yield Final(last, "the concluding sentence", spoken=True)
        return
    yet = _YET_ANSWERS().match(last)
    if yet is not None:
        yield Final(yet["said"], "the concluding sentence", spoken=True)
        return
    if REFUSAL().search(lower[-600:]):
        yield Final(last, "refusal", spoken=True)
        return
    reason = _REASON_CUT().fullmatch(last)
    if reason and not stopped:
        yield Final(reason["said"], "what stands before a reason that breaks off", spoken=True)
        return
    ended = last[-1:] in ".!?\u3002\uff01\u0964\u06d4)]}$*`\"'" or stopped
    if _CUT().search(lower[-40:]) and not ended and not last.endswith(" A"):
        yield Final(None, "the text breaks off before its answer")
        return
    if (
        not ended
        and len(lower.split()) > 2
        and _AT_FIRST().match(lower)
        and not STATES().search(lower)
    ):
        yield Final(None, "the text breaks off before its answer")
        return
    if last.endswith(("?", "\uff1f", "\u061f")):
        yield Final(None, "the text ends in a question")
        return
    if len(spans) > 1:
        yield Final(last, "the last line", spoken=False)
        before = text[slice(*spans[-2])].strip()
        if _OPENS_CONCLUSION().match(before) and _OTHERWISE().match(last):
            yield Final(before, "the concluding sentence", spoken=True)
            return
        if _OPENS_CONCLUSION().match(before) and not _ADDS().search(last):
            yield Final(last, "the last sentence", spoken=True, weak=True)
            yield Final(before, "the concluding sentence", spoken=True)
            return
    anew = CORRECTED().search(last)
    if anew:
        yield Final(anew["new"], "a correction in the last sentence", spoken=True)
        return
    retracted = RETRACTION().search(lower)
    if retracted and not restated(last[retracted.end() :]):
        yield Final(None, "the answer is taken back")
        return
    if (
        INTENT().match(lower.lstrip("*_> "))
        and not _REACHES().search(lower)
        and not _LETTER_LAST().search(last)
        and not _PICKS().match(lower)
        and not (_ASKED().match(lower) and _COLON_END().search(lower))
    ):
        yield Final(None, "no sentence states an answer")
        return
    yield Final(
        last,
        "the concluding sentence" if ended else "the concluding sentence, unfinished",
        spoken=True,
        weak=not ended,
        alone=len(spans) == 1 and len(last.split()) <= 8 and not _AT_FIRST().match(lower),
    )
