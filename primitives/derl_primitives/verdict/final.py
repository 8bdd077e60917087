r"""Which answer of a completion is final.

`finals` gives the candidates, best first: the last mark that still stands (a box, `####`, an answer
tag, "the answer is", a bold last line), else what the concluding sentence states. An answer that
the text takes back, denies, refuses or leaves unfinished is none; the reason is kept for `why`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from derl_primitives.patterns import pattern
from derl_primitives.verdict import marks
from derl_primitives.verdict.clean import plain
from derl_primitives.verdict.denial import denied_after, denied_before
from derl_primitives.verdict.marks import Mark
from derl_primitives.verdict.sentences import is_remark, sentences
from derl_primitives.verdict.statement import without_doubts
from derl_primitives.verdict.thinking import spoken
from derl_primitives.verdict.words import (
    COMMA_LANGUAGE,
    CONFIRMED,
    DOUBT,
    GIVES_UP,
    INTENT,
    REFUSAL,
    RETRACTION,
)

LAST_SENTENCES = 2500
"""How much of the end of a text without a mark is searched for its concluding sentence."""

WINDOW = 6144
"""How much of a completion is searched for marks; an answer stands at its end."""


@dataclass(frozen=True, slots=True)
class Final:
    """A candidate for the final answer: as written, where it was taken from.

    `text` is None when there is none, `how` then says why. `spoken`: words of a sentence may stand
    around the answer. `comma`: the text is in a language that writes 3,5. `weak`: when it says
    nothing of gold's kind the next candidate is tried.
    """

    text: str | None
    how: str
    spoken: bool = False
    comma: bool = False
    weak: bool = False

    @property
    def tentative(self) -> bool:
        """Whether it is the text or its last line as it stands: right, or the next is tried."""
        return self.how in ("the whole text", "the last line")


def finals(completion: str) -> list[Final]:
    r"""The candidates for the final answer of a completion, best first; never empty.

    >>> finals("<think>\\boxed{6}</think> The answer is 5.")[0].text
    '5.'
    >>> finals(r"\\boxed{7}. Wait, no. I take that back.")[0].how
    'the answer is taken back'
    """
    said = spoken(completion)
    if said.cut:
        return [Final(None, "the completion ends inside its thinking")]
    text = plain(_window(said.text)).strip()
    stopped = said.stopped or completion.endswith("\n")
    if not text:
        return [
            Final(
                None,
                "nothing is said after the thinking" if said.thought else "the completion is empty",
            )
        ]
    comma = (
        "," in text
        and bool(_DIGIT_COMMA().search(text))
        and bool(COMMA_LANGUAGE().search(text[-2000:].lower()))
    )
    found = list(_marked(text, stopped))
    if not found:
        found = list(_unmarked(text, said.stopped))
    return [replace(final, comma=comma) for final in found] if comma else found


_DIGIT_COMMA = pattern(r"\d,\d|\d\.\d{3}")


def _window(text: str) -> str:
    """The end of a long text, from its last mark on when that stands further up."""
    text = text.rstrip()
    if len(text) <= WINDOW:
        return text
    tail = text[-WINDOW:]
    if "\\boxed" in tail or "####" in tail or "<answer" in tail:
        return tail
    at = max(text.rfind("boxed"), text.rfind("####"), text.rfind("answer>"))
    if at < 0:
        return tail
    return text[max(0, at - 200) : at + WINDOW // 2] + "\n" + text[-WINDOW // 2 :]


def _all_marks(text: str) -> list[Mark]:
    found = [
        *marks.boxes(text),
        *marks.hashes(text),
        *marks.tags(text),
        *marks.phrases(text),
        *marks.bold_line(text),
    ]
    found.sort(key=lambda m: (m.start, -m.end))
    outer: list[Mark] = []
    for mark in found:
        # A mark inside another says the same: the outer one holds it. A sentence ends at a box.
        if outer and mark.start < outer[-1].end:
            if (
                (
                    outer[-1].how in ("phrase", "refusal", "bold line")
                    and mark.how in ("box", "answer tag", "hashes")
                )
                or (outer[-1].how == "phrase" and mark.how == "phrase" and mark.text)
                or (outer[-1].how == "hashes" and mark.how == "box")
            ):
                outer[-1] = mark
            elif outer[-1].how == "phrase" and mark.how == "bold line":
                continue
            continue
        outer.append(mark)
    return outer


def _marked(text: str, stopped: bool) -> Iterator[Final]:
    found = joined(text, _all_marks(text))
    denied: list[str] = []
    while found:
        mark = found.pop()
        before = found[-1] if found else None
        if mark.how == "box" and not mark.text:
            if before is None and not found:
                if _tail_after(text, mark):
                    return
                yield Final(None, "the box is empty")
                return
            gap = text[before.end : mark.start] if before else ""
            gap = gap.lower()[-1500:]
            if RETRACTION().search(gap) or _TURNS().search(gap):
                yield Final(None, "the answer is taken back, and the last box is empty")
                return
            continue
        if not mark.whole:
            verdict = _cut_off(text, mark, before, stopped)
            if verdict == "ignored":
                continue
            if verdict == "counts":
                yield Final(mark.text, mark.how, spoken=True)
                return
            yield Final(None, "the last answer is cut off")
            return
        if mark.how == "refusal":
            yield Final(mark.text, "refusal", spoken=True)
            return
        if not mark.text:
            yield Final(None, "the answer is empty")
            return
        if _is_denied(text, mark):
            new = _restated(text[mark.end : mark.end + 400])
            if new is not None:
                yield Final(new, "what is said instead of the denied answer", spoken=True)
                return
            denied.append("".join(mark.text.split()))
            continue
        if "".join(mark.text.split()) in denied:
            break
        if mark.how == "phrase" and mark.text.startswith("not "):
            following = _FOLLOWS().match(text, mark.end)
            if following is not None:
                yield Final(following["new"], "what is said instead of the denied answer", spoken=True)
                return
        after = _taken_back(text, mark)
        if after is not None:
            yield after
            return
        yield Final(mark.text, mark.how, spoken=mark.how != "box", weak=mark.how == "phrase")
        if mark.how != "phrase":
            return
    if denied:
        yield Final(None, "the answer is denied")


_FOLLOWS = pattern(
    r"\s*(?:(?:rather|instead|actually|but)[, ]+)?(?:it|that|this|the (?:correct |right |real )?(?:answer|one)|es|c'|sie)"
    r"(?:'s| is| was| must be| should be|est| ist| lautet| es)\s+(?!not|nicht|pas)(?P<new>[^.!?\n]+(?:\.\d[^.!?\n]*)?)",
    re.I,
)
_SENTENCE_START = pattern(r"[.!?\u3002](?:\s|$)|\n")


def _is_denied(text: str, mark: Mark) -> bool:
    """Whether the sentence around a mark denies it."""
    if mark.how in ("hashes", "answer tag", "bold line"):
        return False
    before = text[max(0, mark.start - 160) : mark.start].lower()
    start = max((m.end() for m in _SENTENCE_START().finditer(before)), default=0)
    if mark.how == "phrase":  # the noun may be a verb: `it would be wrong to answer 42`
        before += text[mark.start : mark.start + 6].lower()
    if denied_before(before[start:]):
        return True
    return mark.how == "box" and denied_after(text[mark.end : mark.end + 160].lower())


def _tail_after(text: str, mark: Mark) -> bool:
    """Whether something is said after an empty box, which then only quoted the instructions."""
    return bool(text[mark.end :].strip(" .$\n"))


def _cut_off(text: str, mark: Mark, before: Mark | None, stopped: bool) -> str:
    """What a mark that does not end means: it counts, is ignored, or takes back what was said."""
    if mark.how == "answer tag":
        content = mark.text
        if content.strip() and (
            stopped or content.endswith("\n") or text[mark.end :].startswith("\n")
        ):
            return "counts"
        return "cut" if content.strip() or before is None else _ignored_if_quiet(text, mark, before)
    if mark.how == "phrase":
        return "ignored" if before is not None else "cut"
    return _ignored_if_quiet(text, mark, before) if before is not None else "cut"


_TURNS = pattern(r"(?<!\w)(?:but|however|yet|contradict\w*|no,|still|otherwise|aber|mais|pero|но)(?!\w)|但|しかし")
"""Between an answer and a mark that does not end: the text turns away from the answer."""


def _ignored_if_quiet(text: str, mark: Mark, before: Mark) -> str:
    gap = text[before.end : mark.start].lower()[-1500:]
    started = "".join(mark.text.split())
    earlier = "".join(before.text.split())
    if _TURNS().search(gap) or RETRACTION().search(gap) or (started and not earlier.startswith(started)):
        return "cut"
    return "ignored"


_BESIDE = pattern(
    r"[\s$.,;:&*()]{0,6}(?:and|or|y|o|oder|und|et|ou|и|или|和|或|&|as well "
    r"as)?[\s$,*]{0,4}(?:(?:is |are )?[a-zA-Z](?:_\{?\w\}?)?\s{0,2}(?:=|\u2248"
    r"|\\approx)\s{0,2})?[\s$*]{0,4}"
)


def joined(text: str, found: list[Mark]) -> list[Mark]:
    """Boxes that one sentence lists side by side become one list."""
    lists: list[Mark] = []
    for mark in found:
        if lists and _beside(text, lists[-1], mark):
            last = lists.pop()
            mark = Mark(last.start, mark.end, "box", f"{last.text}, {mark.text}")
        lists.append(mark)
    return lists


def _beside(text: str, first: Mark, second: Mark) -> bool:
    """Whether one sentence lists two different boxes side by side."""
    if not (first.how == second.how == "box" and first.text and second.text and second.whole):
        return False
    gap = text[first.end : second.start]
    if len(gap) >= 40 or "\n\n" in gap or gap.strip(" $").startswith("."):
        return False
    return bool(_BESIDE().fullmatch(gap)) and first.text.split() != second.text.split()


def _taken_back(text: str, mark: Mark) -> Final | None:
    """What replaces a mark that the text after it takes back; None: it stands."""
    rest = text[mark.end : mark.end + 4000]
    if len(rest) < 6:
        return None
    lower = rest.lower()
    match = RETRACTION().search(lower)
    if match is not None:
        after = rest[match.end() :]
        if CONFIRMED().search(lower, match.end()) and not _restated(after):
            return None
        new = _restated(after)
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
        new = _restated(rest[doubt.end() :], strict=True)
        if new is not None and not CONFIRMED().search(lower, doubt.end()):
            return Final(new, "a correction after the marked answer", spoken=True)
    return None


_SAID_ANEW = pattern(
    r"(?:(?:actually|rather|hmm+|wait|oh|ah|sorry|no|or rather|hold on)[\s,.:;!\u2026\u2014-]+){1,3}(?:it(?:'s| is) )?"
    r"(?P<new>[$*]{0,3}-?\d[\d.,/]*(?: [^\W\d]+)?)(?=\W*(?:$|[.!;,\n(]|since|because|as|for|after))",
    re.I,
)
"""A doubt and nothing but another value: `hmm, actually 30`."""


_RESTATED = pattern(
    r"(?:(?<![a-z])(?:it|that|this|answer|result|value|total|count|number|sum|the correct "
    r"one|which|there|the (?:new|real|right|actual|true|current|corrected) \w+)(?:'s| is| are| "
    r"should be| should have been| must be| has to be| "
    r"equals| comes to| would be| becomes)(?: really| actually| in fact| instead| then| "
    r"now| rather)?|(?<![a-z])(?:es (?:ist|sind)|richtig ist|c'est|es|il s'agit de|è|é|это"
    r"|получается|будет|правильно)|(?<![a-z])(?:gives|makes|leaves|leaving|means|i get|we get|so"
    r"|=|correction"
    r"|rather|make (?:it|that)|i mean|i meant|instead|not \S{1,12}(?:,)? but)"
    r"|应该是|應該是|正しくは|是|为)\s*[:,]?\s*(?P<new>[^.!?\n\u3002]*\d[^!?\n\u3002]{0,80}"
    r"|[^.!?\n\u3002]{1,60})"
)


def _restated(after: str, strict: bool = False) -> str | None:
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
        while spans and is_remark(after[slice(*spans[-1])]):
            spans.pop()
        last = after[slice(*spans[-1])].strip() if spans else ""
        if last and len(last) < 40 and any(c.isdigit() for c in last):
            return last
    return found


_CUT = pattern(
    r"(?<![a-z])(?:the|a|an|of|to|and|or|is|are|was|by|with|from|for|so|that|which|then|we"
    r"|i|in|at|on|as|equals|gives|get|than|plus|minus|times|have|has|not|but|because|if"
    r"|per|there|this|it|will|be|need|holds?|contains?|costs?|add|our|their|his|her"
    r"|also|can|whom|whose|who|where|when|multiply|divide|subtract|der|die|das|und|ist|wir|les|des|et|est|nous|el|la"
    r"|los|y|es|que|(?:for|of|to|from|in|gives?|that|and|with|by|so|then) each)$|[=+\-*/\u00d7\u00b7,(<>:]$|\\(?:frac|cdot|times|boxed|sqrt|text"
    r"|left)\{?$"
)


_REACHES = pattern(
    r"(?:to (?:get|obtain|reach|give|make)|which (?:gives|leaves|makes|is)|we get|equals?|="
    r"|leaves|leaving|giving)\s+[$*]{0,3}\d[^?]*[.!]?$"
)


_ALL_LETTERS = pattern(r"(?:[\s(]*[A-J][.):;]\s+){2,}[\s(]*[A-J]\W*")
_NUMBERED = pattern(r"(?:\s*(?:\d{1,2}[.)]|[-*\u2022])\s+[$*]{0,3}-?\d[\d.,/]*[$*]{0,3}\s*(?:\n|$)){2,}")
_ASKED = pattern(r"[\W_]*the (?:question|problem|task)(?!\w)")
_COLON_END = pattern(r":\s*[^\s:]{1,20}(?: [^\s:]{1,12}){0,2}[.!]?[*]*$")
_PICKS = pattern(
    r"\W*(?:let me|let's|i will|i'll|we can) (?:just )?(?:go with|say|pick|choose|answer|settle "
    r"on)(?!\w)"
)


_NO = pattern(r"\W*(?:no|nope|nein|non|não|нет|不)(?!\w)[\s:,.;\u2014\u2013-]+(?!only|just|other|nothing)", re.I)
_VALUE = pattern(r"\d[\d.,/]*(?<![.,])")


_OPENS_CONCLUSION = pattern(
    r"[\W_]*(?:so|thus|therefore|hence|in total|altogether|in conclusion|also|somit|insgesamt|donc|por lo tanto"
    r"|quindi|итак)(?!\w)[^.!?]*\d|[\W_]*(?:所以|因此)[^\u3002]*\d",
    re.I,
)
_ADDS = pattern(
    r"\d|^[\W_]*(?:then|next|now|but|however|after|later|no|not|and|or|this|that|it|yet|still|if|wait|also)(?!\w)"
    r"|(?<!\w)(?:wrong|mistake|incorrect|not|half|twice|double|more|less|another|other|one|two|three|four|five|six"
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


def _unmarked(text: str, stopped: bool) -> Iterator[Final]:
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
    if len(spans) > 1 and REFUSAL().search(text[slice(*spans[-2])].lower()[-300:]):
        yield Final(text[slice(*spans[-2])].strip(), "refusal", spoken=True)
        return
    last = without_doubts(text[start:end].strip())
    if len(spans) > 1 and _answered_no(text[slice(*spans[-2])], last):
        yield Final(None, "the question is answered with no")
        return
    if len(spans) == 1 or len(whole) < 60:
        yield Final(whole, "the whole text", spoken=False)
    lower = last.lower()
    if REFUSAL().search(lower[-600:]):
        yield Final(last, "refusal", spoken=True)
        return
    ended = last[-1:] in ".!?\u3002\uff01\u0964\u06d4)]}$*`\"'" or stopped
    if _CUT().search(lower[-40:]) and not ended:
        yield Final(None, "the text breaks off before its answer")
        return
    if last.endswith(("?", "\uff1f", "\u061f")):
        yield Final(None, "the text ends in a question")
        return
    if len(spans) > 1:
        yield Final(last, "the last line", spoken=False)
        before = text[slice(*spans[-2])].strip()
        if _OPENS_CONCLUSION().match(before) and not _ADDS().search(last):
            yield Final(last, "the last sentence", spoken=True, weak=True)
            yield Final(before, "the concluding sentence", spoken=True)
            return
    retracted = RETRACTION().search(lower)
    if retracted and not _restated(last[retracted.end() :]):
        yield Final(None, "the answer is taken back")
        return
    if (
        INTENT().match(lower.lstrip("*_> "))
        and not _REACHES().search(lower)
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
    )
