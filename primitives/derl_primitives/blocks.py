r"""Cutting a text at its marks: tagged blocks, what one group of a pattern matched, thinking.

Tags are literal and case counts. What is not there is the empty text, so that a policy that leaves
it out is wrong, never unjudged.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from derl_primitives.arrays import MOST_PARTS, arrow, per_row
from derl_primitives.layout import tag_name
from derl_primitives.primitive import primitive
from derl_primitives.regex import one_group, one_group_problem

Texts = Sequence[str] | str

LONGEST_EXTRACT = 131_072
"""Characters at a text's end that `extract` reads: RE2 finds a group slower than a match."""


@primitive(
    "(text: text, tag: text) -> list[text]",
    cost="scan",
    source="tagged blocks of R1-like formats",
    literals={"tag": tag_name},
)
def blocks(text: Texts, tag: str) -> list[list[str]]:
    """What stands in each block of a tag, in order; of more than 4,096 the last ones.

    A block goes from `<tag>` to the next `</tag>`; one that is cut ends at the next `<tag>` or with
    the text.

    >>> blocks(["<a>1</a> or <a> 2", "none"], "a")
    [['1', ' 2'], []]
    """
    (text,) = per_row(text)
    start, end = f"<{tag}>", f"</{tag}>"
    return [[piece.partition(end)[0] for piece in t.rsplit(start, MOST_PARTS)[1:]] for t in text]


@primitive(
    "(text: text, tag: text) -> text",
    cost="scan",
    source="tagged blocks of R1-like formats",
    literals={"tag": tag_name},
)
def last_block(text: Texts, tag: str) -> list[str]:
    """What stands in the last block of a tag, closed or cut at the end; empty without one.

    >>> last_block(["<a>1</a> no, <a>2</a>.", "<a>1</a> or <a> 2", "none"], "a")
    ['2', ' 2', '']
    """
    (text,) = per_row(text)
    start, end = f"<{tag}>", f"</{tag}>"
    return [t.rpartition(start)[2].partition(end)[0] if start in t else "" for t in text]


@primitive(
    "(text: text, pattern: text) -> text",
    cost="scan",
    source="RE2 through pyarrow",
    literals={"pattern": one_group_problem},
)
def extract(text: Texts, pattern: str) -> list[str]:
    r"""What the pattern's one group matched, where it matches first; empty when it does not.

    Write `(?:…)` for brackets that only hold together. Of a text the last 131,072 characters count.

    >>> extract(["ANSWER: C, not D", "no idea"], r"ANSWER: ([A-D])")
    ['C', '']
    """
    import pyarrow.compute as pc

    (text,) = per_row(text)
    if not text:
        return []
    found = pc.extract_regex(arrow([t[-LONGEST_EXTRACT:] for t in text]), _named(pattern))
    return [match["found"] if match else "" for match in found.to_pylist()]


@lru_cache(maxsize=64)
def _named(pattern: str) -> str:
    return one_group(pattern, "found")


@primitive("(text: text) -> text", cost="scan", source="think blocks of DeepSeek-R1")
def thought(text: Texts) -> list[str]:
    """What stands before the last `</think>`; empty when nothing is thought.

    The opening `<think>` may stand in the prompt; where it starts the text it is left out. A block
    that is cut goes to the end of the text.

    >>> thought(["<think>2+2</think>4", "2+2</think>4", "<think>2+", "4"])
    ['2+2', '2+2', '2+', '']
    """
    (text,) = per_row(text)
    return [_divided(t)[0] for t in text]


@primitive("(text: text) -> text", cost="scan", source="think blocks of DeepSeek-R1")
def reply(text: Texts) -> list[str]:
    """What stands after the last `</think>`; all of a text that does not think.

    Empty when a `<think>` is never closed: such a text did not come to its reply.

    >>> reply(["<think>2+2</think>4", "2+2</think>4", "<think>2+", "4"])
    ['4', '4', '', '4']
    """
    (text,) = per_row(text)
    return [_divided(t)[1] for t in text]


def _divided(text: str) -> tuple[str, str]:
    """What is thought and what is said."""
    inner, closed, said = text.rpartition("</think>")
    if not closed or "<think>" in said:
        head, opened, inner = text.partition("<think>")
        # A block that follows what was said already opens a new thought, never closed.
        return (inner, "") if opened else ("", head)
    opening = inner.lstrip()
    return (opening.removeprefix("<think>") if opening.startswith("<think>") else inner), said
