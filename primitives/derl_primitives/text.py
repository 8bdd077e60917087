r"""The language's text functions: search, cut and measure, all linear in the text's length.

They work on one text per rollout, and step by step on lists of texts. Regular expressions are
RE2's (see `regex`); literals are searched with Python's own methods, which were measured faster.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import TYPE_CHECKING

from derl_primitives.arrays import (
    LONGEST_READ,
    LONGEST_SCANNED,
    MOST_PARTS,
    arrow,
    bools,
    floats,
    per_row,
)
from derl_primitives.blocks import blocks, extract, last_block, reply, thought
from derl_primitives.json_fields import json_keys, json_list, json_number, json_text
from derl_primitives.numerals import (
    arithmetic,
    arithmetic_numbers,
    number,
    numbers,
    same_numbers,
)
from derl_primitives.patterns import pattern as re_pattern
from derl_primitives.primitive import Primitive, primitive, table
from derl_primitives.regex import non_empty, regex_problem
from derl_primitives.regex_counts import counting_problem
from derl_primitives.shape import chars, words

if TYPE_CHECKING:
    from derl_primitives.arrays import Bools, Floats

Texts = Sequence[str] | str
_SOURCE = "str methods of Python"
_RE2 = "RE2 through pyarrow"
_NO_PUNCTUATION = dict.fromkeys(map(ord, string.punctuation))
_ARTICLES = re_pattern(r"\b(?:a|an|the)\b")
# What looks to the left of a match: `^` (a class such as `[^a]` makes no difference), `\A`, `\b`.
_LEFT = re_pattern(r"\^|\\[AbB]")


@primitive(
    "(text: text, part: text) -> bool", cost="scan", source=_SOURCE, either={"part": non_empty}
)
def contains(text: Texts, part: Texts) -> Bools:
    """Whether `part`, a literal or a column, occurs in the text; an empty column's text does not.

    >>> contains(["the answer is 4", "42"], "answer").tolist()
    [True, False]
    >>> contains(["the answer is 4", "42"], ["4", ""]).tolist()
    [True, False]
    """
    text, part = per_row(text, part)
    return bools((p != "" and p in t for t, p in zip(text, part, strict=True)), len(text))


@primitive(
    "(text: text, part: text) -> number[0, 1e9]",
    cost="scan",
    source=_SOURCE,
    either={"part": non_empty},
    whole=True,
)
def count(text: Texts, part: Texts) -> Floats:
    """How often `part`, a literal or a column, occurs in the text, without overlaps.

    An empty text of a column occurs nowhere.

    >>> count(["<a><a>", ""], "<a>").tolist()
    [2.0, 0.0]
    """
    text, part = per_row(text, part)
    return floats((t.count(p) if p else 0 for t, p in zip(text, part, strict=True)), len(text))


@primitive(
    "(text: text, pattern: text) -> bool",
    cost="scan",
    source=_RE2,
    literals={"pattern": regex_problem},
)
def matches(text: Texts, pattern: str) -> Bools:
    r"""Whether the regular expression matches anywhere in the text; `^` and `$` are its ends.

    >>> matches(["Step 1: add", "add"], r"^Step [0-9]+:").tolist()
    [True, False]
    """
    import pyarrow.compute as pc

    (text,) = per_row(text)
    found = pc.match_substring_regex(arrow(text), pattern)
    return bools(found.to_pylist(), len(text))


@primitive(
    "(text: text, pattern: text) -> number[0, 1e9]",
    cost="scan",
    source=_RE2,
    literals={"pattern": counting_problem},
    whole=True,
)
def count_matches(text: Texts, pattern: str) -> Floats:
    r"""How often the regular expression matches in the text, without overlaps.

    Of a text the first 262,144 characters count.

    >>> count_matches(["Step 1: add. Step 2: halve.", ""], r"Step [0-9]+:").tolist()
    [2.0, 0.0]
    """
    import pyarrow.compute as pc

    (text,) = per_row(text)
    array = arrow([t[:LONGEST_SCANNED] for t in text])
    if _LEFT().search(pattern) or pc.match_substring_regex(arrow([""]), pattern)[0].as_py():
        # Arrow counts in what is left after each match, where `^` and `\b` hold anew, and empty
        # matches by the byte. Its replacement does neither; each match adds one byte.
        longer = pc.replace_substring_regex(array, pattern, "\\0\x00")
        counts = pc.subtract(pc.binary_length(longer), pc.binary_length(array))
    else:
        counts = pc.count_substring_regex(array, pattern)
    return floats(counts.to_pylist(), len(text))


@primitive(
    "(text: text, prefix: text) -> bool",
    cost="constant",
    source=_SOURCE,
    either={"prefix": non_empty},
)
def starts_with(text: Texts, prefix: Texts) -> Bools:
    """Whether the text starts with `prefix`, a literal or a column; with an empty one none does.

    >>> starts_with(["<think>a", " <think>"], "<think>").tolist()
    [True, False]
    """
    text, prefix = per_row(text, prefix)
    pairs = zip(text, prefix, strict=True)
    return bools((p != "" and t.startswith(p) for t, p in pairs), len(text))


@primitive(
    "(text: text, suffix: text) -> bool",
    cost="constant",
    source=_SOURCE,
    either={"suffix": non_empty},
)
def ends_with(text: Texts, suffix: Texts) -> Bools:
    """Whether the text ends with `suffix`, a literal or a column; with an empty one none does.

    >>> ends_with(["done.", "done. "], ".").tolist()
    [True, False]
    """
    text, suffix = per_row(text, suffix)
    pairs = zip(text, suffix, strict=True)
    return bools((p != "" and t.endswith(p) for t, p in pairs), len(text))


@primitive(
    "(text: text, start: text, end: text) -> text",
    cost="scan",
    source=_SOURCE,
    literals={"start": non_empty, "end": non_empty},
)
def between(text: Texts, start: str, end: str) -> list[str]:
    """The text between the first `start` and the first `end` after it; empty when either lacks.

    >>> between(["<a>x</a><a>y</a>", "<a>x"], "<a>", "</a>")
    ['x', '']
    """
    (text,) = per_row(text)
    found = []
    for t in text:
        _, opened, rest = t.partition(start)
        inner, closed, _ = rest.partition(end)
        found.append(inner if opened and closed else "")
    return found


@primitive(
    "(text: text, mark: text) -> text", cost="scan", source=_SOURCE, literals={"mark": non_empty}
)
def after_last(text: Texts, mark: str) -> list[str]:
    """The text after the last `mark`; empty when it does not occur.

    >>> after_last(["a </think> b </think> c", "no mark"], "</think>")
    [' c', '']
    """
    (text,) = per_row(text)
    return [after if found else "" for _, found, after in (t.rpartition(mark) for t in text)]


@primitive(
    "(text: text, mark: text) -> text", cost="scan", source=_SOURCE, literals={"mark": non_empty}
)
def before(text: Texts, mark: str) -> list[str]:
    """The text before the first `mark`; empty when it does not occur.

    >>> before(["12 = 3 * 4 = 12", "no mark"], " =")
    ['12', '']
    """
    (text,) = per_row(text)
    return [head if found else "" for head, found, _ in (t.partition(mark) for t in text)]


@primitive("(text: text) -> text", cost="scan", source=_SOURCE)
def lower(text: Texts) -> list[str]:
    """The text in lower case.

    >>> lower(["Yes"])
    ['yes']
    """
    (text,) = per_row(text)
    return [t.lower() for t in text]


@primitive("(text: text) -> text", cost="scan", source=_SOURCE)
def strip(text: Texts) -> list[str]:
    """The text without white space at its ends.

    >>> strip([" 4 "])
    ['4']
    """
    (text,) = per_row(text)
    return [t.strip() for t in text]


@primitive(
    "(text: text) -> text", cost="scan", source="normalize_answer of SQuAD (arXiv 1606.05250)"
)
def normalise(text: Texts) -> list[str]:
    """The text as SQuAD compares answers: lower case, without punctuation and articles.

    Punctuation is ASCII's 32 characters; the articles are "a", "an" and "the" as whole words; a
    space stands for each run of white space, none at the ends. Of a text the first 65,536
    characters count.

    >>> normalise(["The  Eiffel Tower, (Paris)!", "An A.M. radio"])
    ['eiffel tower paris', 'am radio']
    """
    (text,) = per_row(text)
    bare = (t[:LONGEST_READ].lower().translate(_NO_PUNCTUATION) for t in text)
    return [" ".join(_ARTICLES().sub(" ", t).split()) for t in bare]


@primitive("(text: text) -> list[text]", cost="scan", source="line ends of Unicode's plain texts")
def lines(text: Texts) -> list[list[str]]:
    r"""The lines of the text, in order; of more than 4,096 the first ones.

    A line ends with `\n`, `\r\n` or `\r`; the end of a text that ends so begins no other line.

    >>> lines(["one\ntwo\r\n\nfour\n", ""])
    [['one', 'two', '', 'four'], []]
    """
    (text,) = per_row(text)
    return [_lines_of(t) for t in text]


def _lines_of(text: str) -> list[str]:
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    # One line more than is kept, which the rest of the text is.
    found = text.split("\n", MOST_PARTS)
    return found[:MOST_PARTS] if found[-1] or len(found) > MOST_PARTS else found[:-1]


TEXT_FUNCTIONS: dict[str, Primitive] = table(
    [
        contains,
        count,
        matches,
        count_matches,
        starts_with,
        ends_with,
        between,
        after_last,
        before,
        extract,
        blocks,
        last_block,
        thought,
        reply,
        lines,
        lower,
        strip,
        normalise,
        number,
        numbers,
        arithmetic,
        arithmetic_numbers,
        same_numbers,
        json_text,
        json_number,
        json_list,
        json_keys,
        chars,
        words,
    ]
)
