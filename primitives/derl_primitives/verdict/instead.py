"""What an answer says instead of what it denies: `not 45, but 54`."""

from __future__ import annotations

import re

from derl_primitives.patterns import pattern
from derl_primitives.verdict.denial import affirmed, denied_after, negates_value, stance
from derl_primitives.verdict.gold import Gold
from derl_primitives.verdict.words import INSTEAD, NEGATED_AFTER, NEGATION

_SO = pattern(
    r":\s*(?=[^:]{1,40}$)|[,;]?\s+(?:so|hence|thus|therefore|leaving|which leaves|that leaves)\s+",
    re.I,
)
_BUT_IT = pattern(
    r"[,;:]\s+(?!which|as|since|because|for|though|although|who|that)(?=[^,]{0,80}?(?<!\w)(?:is|are"
    r"|equals|must be|=)(?!\w))"
)
_UNEQUAL = pattern(r"^\s*(?:\u2260|!=)")
_AND_THEN_VALUE = pattern(r"\d,\s+(?P<value>[$]?-?\d[\d.,/]*\d?)[\s.!]*$")
"""`Not 47, 12.`"""
_SENTENCE_PART = pattern(r";\s+")
_ENDS_DENIED = pattern(
    r"(?<!\w)(?:does not|doesn't|do not|don't|cannot|can't|is not|isn't|would not|wouldn't)[\s.!]*$"
)


def without_denial(bare: str, gold: Gold) -> str | None:
    """What is left when a denial is taken off: the answer instead, "" for none; None: no denial."""
    lower = bare.lower()
    taken = stance(lower)
    if taken is not None and not stance(gold.bare.lower()):
        instead = next(
            filter(None, (p().search(bare, taken.end()) for p in (INSTEAD, _SO, _BUT_IT))), None
        )
        if instead is None and gold.kind.name in ("number or amount", "choice"):
            kept = [c for c in _SENTENCE_PART().split(bare) if not stance(c.lower())]
            return "; ".join(kept) if len(kept) == 1 and len(kept[0]) > 1 else ""
        return bare[instead.end() :].strip() if instead else ""
    if gold.kind.name in ("yes or no", "interval"):
        return None
    lower = affirmed(lower)
    if gold.kind.name in ("text", "set, list or tuple") and NEGATION().match(gold.bare.lower()):
        return None
    match = NEGATION().match(lower) or _UNEQUAL().match(lower)
    if match is None:
        if gold.kind.name == "text":
            return _denied_text(bare, gold)
        first = lower.partition(";")[0] if gold.kind.name == "choice" else lower
        behind = NEGATED_AFTER().search(first)
        if behind is None:
            if gold.kind.name == "number or amount" and _ENDS_DENIED().search(lower):
                return _not_called_wrong(bare)
            return "" if gold.kind.name != "choice" and negates_value(lower) else None
        instead = INSTEAD().search(bare, behind.end()) or (
            (_BUT_IT().search(bare, behind.end()) or _SO().search(bare, behind.end()))
            if gold.kind.name != "choice"
            else None
        )
        if instead is None and gold.kind.name == "choice":
            return _not_turned_down(bare)
        if instead is None and gold.kind.name == "number or amount":
            return _not_called_wrong(bare)
        return bare[instead.end() :].strip() if instead else ""
    instead = INSTEAD().search(bare, match.end()) or _SO().search(bare, match.end())
    if instead is None and gold.kind.name == "number or amount":
        plainly = _AND_THEN_VALUE().search(bare, match.end())
        return plainly["value"] if plainly else ""
    if instead is None and gold.kind.name == "choice":
        return _not_turned_down(bare)
    return bare[instead.end() :].strip() if instead else ""


def _not_called_wrong(bare: str) -> str:
    """The clauses with a number that call none wrong: `12 fits; 47 is too small`."""
    kept = [
        c
        for c in _CLAUSE_END().split(bare)
        if not NEGATED_AFTER().search(c.lower()) and not _ENDS_DENIED().search(c.lower())
    ]
    left = ", ".join(kept)
    return left if any(map(str.isdigit, left)) else ""


_CLAUSE_END = pattern(r"[,;.]\s+(?:(?:and|so|but|hence|thus|therefore|while|whereas)\s+)*")
_LETTER = pattern(r"(?<![A-Za-z])[A-J](?![A-Za-z])")


def _not_turned_down(bare: str) -> str:
    """The clauses of a sentence about options that turn no letter down: `B fails, C holds`."""
    kept = [
        c
        for c in _CLAUSE_END().split(bare)
        if not (NEGATED_AFTER().search(c.lower()) or NEGATION().match(c.lower()))
    ]
    left = ", ".join(kept)
    return left if _LETTER().search(left) else ""


def _denied_text(bare: str, gold: Gold) -> str | None:
    """A text that says of gold that it is not the answer; words elsewhere may deny anything."""
    at = bare.lower().find(gold.bare.lower())
    if at < 0:
        return None
    return "" if denied_after(bare[at + len(gold.bare) :].lower()) else None
