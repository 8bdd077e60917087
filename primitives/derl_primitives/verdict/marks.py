r"""Marks of a final answer: boxes, `####`, answer tags, "the answer is", a bold last line.

Each finder returns the marks of its kind in a text, in order; `final` chooses among them. The
text is a window of bounded length, and every finder reads it once.
"""

from __future__ import annotations

import re

from derl_grammar.records import record
from derl_primitives.patterns import pattern
from derl_primitives.verdict.sentences import sentence_end
from derl_primitives.verdict.statement import without_doubts
from derl_primitives.verdict.words import (
    ANSWER_NOUNS,
    COPULA,
    EMPTY_TALK,
    GAP,
    NOT_THE_ANSWER,
    NOUN,
    REFUSAL,
)


@record
class Mark:
    """An answer that a text marks: where, how, what; `whole` is False when it is cut off."""

    start: int
    end: int
    how: str
    text: str
    whole: bool = True


_BOX_OR_BRACE = pattern(r"\\(?:boxed|fbox|framebox)\s{0,3}\{|\\[{}\\]|[{}]")
_BARE_BOX = pattern(r"\\boxed\s{0,3}(?!\s|\{)(\$?[^\s{}$,;]{1,40})")


def boxes(text: str) -> list[Mark]:
    r"""The outermost boxes in one pass; the last may be cut off.

    >>> [m.text for m in boxes(r"\boxed{7} or \boxed{\text{no}}")]
    ['7', '\\text{no}']
    """
    first = min(
        (
            at
            for at in (text.find("\\boxed"), text.find("\\fbox"), text.find("\\framebox"))
            if at >= 0
        ),
        default=-1,
    )
    if first < 0:
        return []
    open_: list[tuple[int, int] | None] = []
    closed: list[Mark] = []
    for match in _BOX_OR_BRACE().finditer(text, first):
        token = match.group()
        if token == "}":
            box = open_.pop() if open_ else None
            if box is not None:
                closed.append(
                    Mark(box[0], match.end(), "box", text[box[1] : match.start()].strip())
                )
        elif token == "{":
            open_.append(None)
        elif len(token) > 2:
            open_.append((match.start(), match.end()))
    found: list[Mark] = []
    for mark in sorted(closed, key=lambda m: m.start):
        if not found or mark.start >= found[-1].end:
            found.append(mark)
    left = [box for box in open_ if box is not None and (not found or box[0] >= found[-1].end)]
    if left:
        found.append(Mark(left[0][0], len(text), "box", text[left[0][1] :].strip(), whole=False))
    if not found:
        found = [Mark(m.start(), m.end(), "box", m[1]) for m in _BARE_BOX().finditer(text)]
    return found


_HEADING = pattern(
    r"(?:step|part|case|verif|check|explan|conclusion|summary|solution|approach|reasoning"
    r"|method|note|proof|analysis|calculat|comput|given|problem|question|setup|understand"
    r"|final step|schritt|étape|paso|шаг)",
    re.I,
)


def hashes(text: str) -> list[Mark]:
    """The lines after `####` that are no heading."""
    found: list[Mark] = []
    at = text.rfind("####")
    for _ in range(8):
        if at < 0:
            break
        start = at
        while start > 0 and text[start - 1] == "#":
            start -= 1
        begin = at + 4
        end = text.find("\n", begin)
        end = len(text) if end < 0 else end
        line = text[begin:end].strip()
        plain = line.strip("*_: ").lower()
        named = NOUN().search(plain) and len(plain) < 24 and not any(c.isdigit() for c in plain)
        heading = _HEADING().match(plain) or line.endswith(":") or named
        if line and not heading:
            found.append(Mark(start, end, "hashes", line))
        at = text.rfind("####", 0, start)
    return found[::-1]


_TAG_NAMES = (
    "answer|final_answer|finalanswer|final-answer|final|ans|result|solution|output"
    "|response|boxed_answer|final_result|reponse|antwort"
)
_TAG = pattern(
    rf"<(?P<name>{_TAG_NAMES})(?:\s[^<>]{{0,60}})?>|\[(?P<name2>ANSWER|FINAL_ANSWER)\]"
    rf"|<\|begin_of_(?P<name3>answer)\|>"
    rf"|</(?:{_TAG_NAMES})\s{{0,3}}>|\[/(?:ANSWER|FINAL_ANSWER)\]|<\|end_of_answer\|>",
    re.I,
)
_HALF_TAG = pattern(r"<(?:/\w{0,14}|\|?)$")


def tags(text: str) -> list[Mark]:
    """Answer tags in one pass; the last may be cut off."""
    if "<" not in text and "[" not in text:
        return []
    found: list[Mark] = []
    open_: tuple[int, int] | None = None
    for match in _TAG().finditer(text):
        if match["name"] or match["name2"] or match["name3"]:
            if open_ is not None:
                found.append(Mark(*_cut(text, open_, match.start())))
            open_ = match.start(), match.end()
        elif open_ is not None:
            found.append(
                Mark(open_[0], match.end(), "answer tag", text[open_[1] : match.start()].strip())
            )
            open_ = None
    if open_ is not None:
        found.append(Mark(*_cut(text, open_, len(text))))
    return found


def _cut(text: str, open_: tuple[int, int], end: int) -> tuple[int, int, str, str, bool]:
    content = _HALF_TAG().sub("", text[open_[1] : end])
    return open_[0], end, "answer tag", content.strip(" "), False


_CONDITION = pattern(
    r"(?<!\w)(?:if|whether|suppose|assuming|assume|unless|why|does|did|might (?:think|say"
    r"|believe|guess)|hoping|hope|someone|some (?:people|may|might|students|would)|at "
    r"first|would be if|imagine|pretend|claim(?:s|ed)? that|even if|wenn|falls|si|se"
    r"|если)(?!\w)[^.!?\n]{0,60}$"
)
_DIRECT = pattern(
    r"[\s*_\"'`)\]:]{0,8}(?=[\d$\u2212-]|\\\(|\\\[|\([A-Ja-j]\)|[\[*]{1,2}"
    r"|[A-J](?![A-Za-z'])|\\boxed|`)"
)
_DENIED_VERB = pattern(
    r"(?P<gap>[^.:=\n?!;]{0,40}?)(?<!\w)(?:isn't|wasn't|aren't|can't be|cannot be|won't be"
    r"|shouldn't be|couldn't be|is definitely not|is not|n'est pas|ne serait pas|ist nicht"
    r"|lautet nicht|no es|no son|não é|non è|is niet|не равен|не|nie jest)(?!\w)"
    r"|(?P<gap2>\s?)(?:[绝决当]|肯定|当然|显然|一定|可能)?(?:不是|不为|不等于|并不是|并非|لیس|ليست|ليس)"
)


def phrases(text: str) -> list[Mark]:
    """What follows "the answer is", in many languages; from the end, at most sixteen."""
    lower = text.lower()
    if len(lower) != len(text):
        lower = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    found: list[Mark] = []
    for start, end in _nouns(lower)[-48:]:
        mark = _phrase(text, lower, start, end)
        if mark is not None:
            found.append(mark)
    return found[-16:]


def _nouns(lower: str) -> list[tuple[int, int]]:
    """Where an answer is called one; a word inside a longer one counts once."""
    places: dict[int, int] = {}
    for noun in _ASCII_NOUNS if lower.isascii() else ANSWER_NOUNS:
        at = lower.rfind(noun)
        for _ in range(48):
            if at < 0:
                break
            places[at] = max(places.get(at, 0), at + len(noun))
            at = lower.rfind(noun, 0, at)
    return sorted(places.items())


_ASCII_NOUNS = tuple(n for n in ANSWER_NOUNS if n.isascii())


def _phrase(text: str, lower: str, start: int, at: int) -> Mark | None:
    before = lower[max(0, start - 90) : start]
    if (
        start
        and lower[start].isascii()
        and lower[start - 1].isalpha()
        and lower[start - 1].isascii()
    ):
        return None
    if lower[at : at + 1] == "s" and lower[start:at] == "answer":
        at += 1
    if lower[at : at + 2] in ("ed", "in") or lower[at : at + 1] == ">":
        return None
    line = without_doubts(before.rpartition("\n")[2])
    if _CONDITION().search(line) or (
        NOT_THE_ANSWER().search(line + "") and not line.rstrip().endswith(("my first",))
    ):
        return None
    end_of_line = lower.find("\n", at)
    end_of_line = len(lower) if end_of_line < 0 else end_of_line
    denied = _DENIED_VERB().match(lower, at, end_of_line)
    copula = COPULA().match(lower, at, min(end_of_line, at + 120))
    prefix = ""
    if (
        denied is not None
        and (copula is None or denied.end() <= copula.end() + 8)
        and _gap(denied["gap"] or "")
    ):
        begin, prefix = denied.end(), "not "
    elif copula is not None and _gap(copula["gap"]):
        bare = copula["gap"].strip(" *_$")
        begin = at if bare.isdigit() and not copula["verb"].isascii() else copula.end()
        if not text[begin:end_of_line].strip(" .\u3002\u0964*_") and any(
            c.isdigit() for c in copula["gap"]
        ):
            return Mark(start, begin, "phrase", copula["gap"].strip())
    else:
        direct = _DIRECT().match(text, at)
        if direct is None or at == end_of_line:
            if text[at:end_of_line].strip(" *_:#") or not _heading(line):
                return None
            begin = end_of_line
        else:
            begin = direct.end()
    return _content(text, lower, start, begin, prefix)


def _gap(gap: str) -> bool:
    return GAP().fullmatch(gap) is not None


def _heading(line: str) -> bool:
    """Whether a noun at the end of its line is a heading: `### Final answer`."""
    bare = line.strip(" #*_")
    return bare in (
        "",
        "final",
        "the",
        "the final",
        "my",
        "my final",
        "correct",
        "finale",
        "endgültige",
        "die",
        "la",
    ) or line.lstrip().startswith("#")


_RULE = pattern(r"(?:-{3,}|={3,})[ \t]*\n\s*")
"""The line under a heading."""


def _content(text: str, lower: str, start: int, begin: int, prefix: str) -> Mark | None:
    at = begin
    while at < len(text) and (text[at] in " \t\n\r*_:>" or text[at] == "\u3000"):
        at += 1
    rule = _RULE().match(text, at)
    at = rule.end() if rule else at
    if at >= len(text):
        return Mark(start, len(text), "phrase", "", whole=False)
    end = sentence_end(text, at)
    content = text[at:end]
    if REFUSAL().search(lower, start, min(end, start + 400)):
        return Mark(start, end, "refusal", content)
    if content.rstrip().endswith("?") or (EMPTY_TALK().match(content.lower()) and not prefix):
        return None
    return Mark(start, end, "phrase", prefix + content.strip())


_LAST_LINE = pattern(r"^[\s>#-]*(?:\*\*|__)(?!\s)(?P<text>[^*\n]{1,300}?)(?:\*\*|__)[\s.!]*$")


def bold_line(text: str) -> list[Mark]:
    """A last line that is bold as a whole."""
    stripped = text.rstrip()
    start = stripped.rfind("\n") + 1
    match = _LAST_LINE().match(stripped[start:])
    if match is None:
        return []
    return [Mark(start, len(stripped), "bold line", match["text"])]
