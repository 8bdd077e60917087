"""Corrections: what a text says instead of an answer that it takes back or denies."""

from __future__ import annotations

import re

from derl_primitives.patterns import pattern
from derl_primitives.verdict.candidate import Final
from derl_primitives.verdict.marks import Mark
from derl_primitives.verdict.sentences import is_remark, sentences
from derl_primitives.verdict.statement import without_doubts
from derl_primitives.verdict.words import CONFIRMED, DOUBT, EMPTY_TALK, GIVES_UP, RETRACTION

FOLLOWS = pattern(
    r"\s*(?:(?:rather|instead|actually|but)[, ]+)?(?:it|that|this|the (?:correct |right "
    r"|real )?(?:answer|one)|es|c'|sie)"
    r"(?:'s| is| was| must be| should be|est| ist| lautet| es)\s+(?!not|nicht"
    r"|pas)(?P<new>[^.!?\n]+(?:\.\d[^.!?\n]*)?)",
    re.I,
)
"""The sentence behind a denied answer says the right one."""
CORRECTED = pattern(
    r"\d[^.!?\n]{0,30}?[\s,;:\u2026\u2014\u2013-]+(?:no|nope|or rather|rather|i meant?|sorry"
    r"|correction|make (?:that|it)|(?:scratch|strike|cancel|forget) that|pardon|oops|wait)[,:\s]+"
    r"(?:it(?:'s| is) |wait,? |i mean )?(?P<new>[$*]{0,3}-?\d[\d.,/]*(?: [^\W\d]+)?)[\s.!*]*$",
    re.I,
)
"""A value that its own sentence corrects: `25, no, 26`."""


def taken_back(text: str, mark: Mark) -> Final | None:
    """What replaces a mark that the text after it takes back; None: it stands."""
    rest = without_doubts(text[mark.end : mark.end + 4000])
    if len(rest) < 6:
        return None
    lower = rest.lower()
    match = RETRACTION().search(lower)
    if match is not None:
        after = rest[match.end() :]
        if CONFIRMED().search(lower, match.end()) and not restated(after):
            return None
        new = restated(after)
        if new is not None:
            return Final(new, "a correction after the marked answer", spoken=True)
        return Final(None, "the answer is taken back")
    if GIVES_UP().search(lower[:400]):
        return Final(None, "the text gives up after the marked answer")
    doubt = DOUBT().search(lower)
    if doubt is not None:
        bare = _SAID_ANEW().match(rest, doubt.start())
        if bare is not None:
            return Final(bare["new"], "a correction after the marked answer", spoken=True)
        new = restated(rest[doubt.end() :], strict=True)
        if new is not None and not CONFIRMED().search(lower, doubt.end()):
            return Final(new, "a correction after the marked answer", spoken=True)
    return None


_SAID_ANEW = pattern(
    r"(?:(?:actually|rather|hmm+|wait|oh|ah|sorry|no|or rather"
    r"|hold on)[\s,.:;!\u2026\u2014-]+){1,3}(?:it(?:'s| is) )?"
    r"(?P<new>[$*]{0,3}-?\d[\d.,/]*(?: [^\W\d]+)?)(?=\W*(?:$|[.!;,\n(]|since|because|as|for"
    r"|after))",
    re.I,
)
"""A doubt and nothing but another value: `hmm, actually 30`."""


_RESTATED = pattern(
    r"(?:(?<![a-z])(?:it|that|this|answer|result|value|total|count|number|sum|the correct "
    r"one|which|there|the (?:new|real|right|actual|true|current|corrected) \w+)(?:'s| is| are| "
    r"should be| should have been| must be| has to be| "
    r"equals| comes to| would be| becomes)(?: really| actually| in fact| instead| then| "
    r"now| rather)?|(?<![a-z])(?:es (?:ist|sind)|richtig ist|c'est|es|il s'agit de|è|é|это"
    r"|получается|будет|правильно)|(?<![a-z])(?:gives|giving|makes|making|yields|yielding|leaves"
    r"|leaving|means|i get|we get|so"
    r"|=|correction"
    r"|rather|make (?:it|that)|i mean|i meant|instead|not \S{1,12}(?:,)? but)"
    r"|应该是|應該是|正しくは|是|为)\s*[:,]?\s*(?P<new>[^.!?\n\u3002]*\d[^!?\n\u3002]{0,80}"
    r"|[^.!?\n\u3002]{1,60})"
)


_SAID_INSTEAD = pattern(
    r"[\s,.;:!\u2014\u2013-]*(?:no[,.]? )?(?:is|was|it(?:'s| is| was| must be| should be)"
    r"|the (?:correct |right |real )?answer is|i meant?|make that|rather)"
    r"\s+(?!not|wrong|incorrect|unclear)(?P<new>[^.!?,;\n]{1,60})[.!]?\s*$",
    re.I,
)
"""A word or a letter that a correction says: `wait, no, it is Lisbon`."""


def restated(after: str, strict: bool = False) -> str | None:
    """The answer that a correction states in its own words; the last one."""
    spans = sentences(after)
    if not strict and spans:
        first = after[slice(*spans[0])].strip(" .,:;!-\u2014\u2013")
        if 0 < len(first) < 24 and any(c.isdigit() for c in first):
            return first
    found = None
    for match in _RESTATED().finditer(after.lower()):
        new = after[match.start("new") : match.end("new")].strip(" .,:*")
        if new and any(c.isdigit() for c in new) and not RETRACTION().search(new.lower()):
            found = new
    if found is None and not strict:
        said = _SAID_INSTEAD().match(after)
        if said is not None and not EMPTY_TALK().match(said["new"].lower()):
            return said["new"].strip()
        while spans and is_remark(after[slice(*spans[-1])]):
            spans.pop()
        last = after[slice(*spans[-1])].strip() if spans else ""
        if last and len(last) < 40 and any(c.isdigit() for c in last):
            return last
    return found
