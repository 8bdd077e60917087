"""Sentences and lines: where one ends, which is the last that says something."""

from __future__ import annotations

from derl_primitives.patterns import pattern
from derl_primitives.verdict.words import REMARK

_STOP = pattern(
    r"[.!?\u2026]++(?=[\"'\u201d)\]*_`]{0,4}(?:\s|$))|[\u3002\uff01\uff1f\u0964\u06d4\u061f]|\n"
)
_SHORTENED = pattern(
    r"(?<![A-Za-z])(?:approx|e\.g|i\.e|[ap]\.m|dr|mr|mrs|ms|st|no|vs|ca|etc|prof|eq|fig"
    r"|min|max|sq|ft|cu|resp|z\.b|d\.h|bzw|nr|aprox|sr|u\.s|jan|feb|mar|apr|jun|jul|aug"
    r"|sept?|oct|nov|dec)\.$"
)
_REASON = pattern(r"(?:because|weil|denn|parce que|porque|потому что)\s")
_INITIAL = pattern(
    r"(?:(?<!\w)(?:by|of|von|(?<![ ,(][A-J] )and)|(?<!\w)(?!Option|Choice|Answer|Letter|Part"
    r"|Only|So|Thus|Hence|It|Is)[A-Z][a-z]+|(?<!\w)[A-Z]\.)"
    r" ?(?<!\w)[A-Z]\.(?=\Z)"
)
_FENCE = pattern(
    r"^\s*(?:`{3,}\w*|\$\$|\\\[|\\\]|\\\(|\\\)|-{3,}|\*{3,}|_{3,}|={3,}|\\end\{\w+\*?\}"
    r"|\\begin\{(?:align|equation|aligned|gather)\*?\})\s*$"
)


def sentence_end(text: str, start: int) -> int:
    """Where the sentence that runs at `start` ends: after its stop, or before a line break.

    >>> sentence_end("about 3.5 kg. Then", 0)
    13
    """
    if text.startswith("$$", start):
        close = text.find("$$", start + 2)
        return close + 2 if close > 0 else len(text)
    if text.startswith("\\[", start):
        close = text.find("\\]", start)
        return close + 2 if close > 0 else len(text)
    for match in _STOP().finditer(text, start):
        if match.group() == ".":
            head = text[max(start, match.start() - 7) : match.end()].lower()
            if _SHORTENED().search(head) and _goes_on(text, match.end()):
                continue
            if _INITIAL().search(text, max(start, match.start() - 24), match.end()):
                continue
        if match.group() == "!" and _factorial(text, match.start()):
            continue
        return match.start() if match.group() == "\n" else match.end()
    return len(text)


def _factorial(text: str, at: int) -> bool:
    """Whether an exclamation mark is a factorial: `there are 4! ways`."""
    return at > 0 and (text[at - 1].isdigit() or text[at - 1] in ")}") and _goes_on(text, at + 1)


def _goes_on(text: str, at: int) -> bool:
    rest = text[at : at + 3].lstrip(" ")
    return bool(rest) and rest[0] not in "\n" and not rest[0].isupper()


def sentences(text: str) -> list[tuple[int, int]]:
    """The spans of all sentences and lines that are not blank."""
    spans: list[tuple[int, int]] = []
    at = 0
    while at < len(text) and len(spans) < 4000:
        end = sentence_end(text, at)
        piece = text[at:end]
        if piece.strip() and not _FENCE().match(piece):
            spans.append((at, end))
        at = max(end, at + 1)
        while at < len(text) and text[at] in " \t\n\"')]*_":
            if text[at] in "*_\"'" and (at + 1 < len(text) and not text[at + 1].isspace()):
                break
            at += 1
    return spans


def is_remark(sentence: str) -> bool:
    """Whether a sentence only closes a text: thanks, a check, an offer of help.

    >>> is_remark("Hope this helps!"), is_remark("So she has 12.")
    (True, False)
    """
    bare = sentence.strip(" \t\n*_>#-")
    if bare.startswith("(") and len(bare.split()) > 3 and bare[1:2].isalpha():
        return "answer" not in bare
    if _REASON().match(bare.lower()) and "," not in bare:
        return True
    cheer = bare.endswith("!") and len(bare.split()) < 4 and not any(c.isdigit() for c in bare)
    return cheer or bool(REMARK().match(bare.lower()))
