r"""Which answer of a completion is final.

`finals` gives the candidates, best first: the last mark that still stands (a box, `####`, an answer
tag, "the answer is", a bold last line), else what the concluding sentence states. An answer that
the text takes back, denies, refuses or leaves unfinished is none; the reason is kept for `why`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from derl_primitives.patterns import pattern
from derl_primitives.verdict import marks
from derl_primitives.verdict.candidate import Final
from derl_primitives.verdict.clean import plain
from derl_primitives.verdict.concluding import unmarked
from derl_primitives.verdict.corrections import CORRECTED, FOLLOWS, restated, taken_back
from derl_primitives.verdict.denial import denied_after, denied_before
from derl_primitives.verdict.marks import Mark
from derl_primitives.verdict.thinking import spoken
from derl_primitives.verdict.words import (
    COMMA_LANGUAGE,
    RETRACTION,
)

WINDOW = 6144
"""How much of a completion is searched for marks; an answer stands at its end."""


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
    text = _standing(plain(_window(said.text))).strip()
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
        found = list(unmarked(text, said.stopped))
    return [replace(final, comma=comma) for final in found] if comma else found


_STRUCK = pattern(r"~~[^~\n]{1,200}~~|<(?P<s>s|del|strike)>[^<>]{0,200}</(?P=s)>")
_HTML = pattern(
    r"<(?P<t>b|strong|i|em|u|p|span|div|h[1-6]|code|mark|center|big"
    r"|font)(?:\s[^<>]{0,60})?>(?P<in>[^<>]{0,400})</(?P=t)>"
)


def _standing(text: str) -> str:
    """The text without what is struck through and without HTML around words."""
    if "~~" in text or "</" in text:
        text = _HTML().sub(r"\g<in>", _STRUCK().sub("", text))
    return text


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
            new = restated(text[mark.end : mark.end + 400])
            if new is not None:
                yield Final(new, "what is said instead of the denied answer", spoken=True)
                return
            denied.append("".join(mark.text.split()))
            continue
        if "".join(mark.text.split()) in denied:
            break
        if mark.how == "phrase" and mark.text.startswith("not "):
            following = FOLLOWS().match(text, mark.end)
            if following is not None:
                yield Final(
                    following["new"], "what is said instead of the denied answer", spoken=True
                )
                return
        after = taken_back(text, mark)
        if after is not None:
            yield after
            return
        if mark.how == "phrase" and _OWNED_UP().search(mark.text):
            yield Final(None, "the answer is taken back")
            return
        anew = CORRECTED().search(mark.text) if mark.how == "phrase" else None
        if anew is not None:
            yield Final(anew["new"], "a correction in the marked answer", spoken=True)
            return
        yield Final(mark.text, mark.how, spoken=mark.how != "box", weak=mark.how == "phrase")
        if mark.how != "phrase":
            return
    if denied:
        yield Final(None, "the answer is denied")


_OWNED_UP = pattern(
    r",?\s+(?:which|but (?:that|this|it)|and (?:that|this)) (?:is|was|seems|must be|cannot be"
    r"|can't be) (?:\w+ly )?"
    r"(?:wrong|incorrect|false|mistaken|an? (?:mistake|error)|not (?:right|correct|true)"
    r"|right)(?<!right)(?!\w)",
    re.I,
)
"""An answer that its own sentence calls wrong."""
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


_TURNS = pattern(
    r"(?<!\w)(?:but|however|yet|contradict\w*|no,|still|otherwise|aber|mais|pero|но)(?!\w)|但|しかし"
)
"""Between an answer and a mark that does not end: the text turns away from the answer."""


def _ignored_if_quiet(text: str, mark: Mark, before: Mark) -> str:
    gap = text[before.end : mark.start].lower()[-1500:]
    started = "".join(mark.text.split())
    earlier = "".join(before.text.split())
    if (
        _TURNS().search(gap)
        or RETRACTION().search(gap)
        or (started and not earlier.startswith(started))
    ):
        return "cut"
    return "ignored"


_BESIDE = pattern(
    r"[\s$.,;:&*()]{0,6}(?:\\text\s?\{\s{0,2})?(?:and|or|y|o|oder|und|et|ou|и|или|和|或|&|as well "
    r"as)?(?:\s{0,2}\})?[\s$,*]{0,4}(?:(?:is |are )?[a-zA-Z](?:_\{?\w\}?)?\s{0,2}(?:=|\u2248"
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
