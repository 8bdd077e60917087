r"""The language's text functions: search, cut and measure, all linear in the text's length.

They work on one text per rollout, and step by step on lists of texts. Regular expressions are
RE2's (see `regex`); literals are searched with Python's own methods, which were measured faster.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from derl_primitives.arrays import bools, floats, per_row
from derl_primitives.patterns import pattern as re_pattern
from derl_primitives.primitive import Primitive, primitive, table
from derl_primitives.regex import non_empty, regex_problem
from derl_primitives.shape import chars, words

if TYPE_CHECKING:
    from derl_primitives.arrays import Bools, Floats

Texts = Sequence[str] | str
_SOURCE = "str methods of Python"
_RE2 = "RE2 through pyarrow"
# What looks to the left of a match: `^` (a class such as `[^a]` makes no difference), `\A`, `\b`.
_LEFT = re_pattern(r"\^|\\[AbB]")


def _arrow(texts: Sequence[str]) -> Any:
    """The texts as an Arrow array; lone surrogates, which UTF-8 has not, become '?'."""
    import pyarrow as pa

    try:
        return pa.array(texts, pa.large_string())
    except UnicodeEncodeError:
        clean = [t.encode("utf-8", "replace").decode("utf-8") for t in texts]
        return pa.array(clean, pa.large_string())


@primitive(
    "(text: text, part: text) -> bool", cost="scan", source=_SOURCE, literals={"part": non_empty}
)
def contains(text: Texts, part: str) -> Bools:
    """Whether the literal `part` occurs in the text.

    >>> contains(["the answer is 4", "42"], "answer").tolist()
    [True, False]
    """
    (text,) = per_row(text)
    return bools((part in t for t in text), len(text))


@primitive(
    "(text: text, part: text) -> number[0, 1e9]",
    cost="scan",
    source=_SOURCE,
    literals={"part": non_empty},
    whole=True,
)
def count(text: Texts, part: str) -> Floats:
    """How often the literal `part` occurs in the text, without overlaps.

    >>> count(["<a><a>", ""], "<a>").tolist()
    [2.0, 0.0]
    """
    (text,) = per_row(text)
    return floats((t.count(part) for t in text), len(text))


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
    found = pc.match_substring_regex(_arrow(text), pattern)
    return bools(found.to_pylist(), len(text))


@primitive(
    "(text: text, pattern: text) -> number[0, 1e9]",
    cost="scan",
    source=_RE2,
    literals={"pattern": regex_problem},
    whole=True,
)
def count_matches(text: Texts, pattern: str) -> Floats:
    r"""How often the regular expression matches in the text, without overlaps.

    >>> count_matches(["Step 1: add. Step 2: halve.", ""], r"Step [0-9]+:").tolist()
    [2.0, 0.0]
    """
    import pyarrow.compute as pc

    (text,) = per_row(text)
    array = _arrow(text)
    if _LEFT().search(pattern) or re.search(pattern, ""):
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
    literals={"prefix": non_empty},
)
def starts_with(text: Texts, prefix: str) -> Bools:
    """Whether the text starts with the literal `prefix`.

    >>> starts_with(["<think>a", " <think>"], "<think>").tolist()
    [True, False]
    """
    (text,) = per_row(text)
    return bools((t.startswith(prefix) for t in text), len(text))


@primitive(
    "(text: text, suffix: text) -> bool",
    cost="constant",
    source=_SOURCE,
    literals={"suffix": non_empty},
)
def ends_with(text: Texts, suffix: str) -> Bools:
    """Whether the text ends with the literal `suffix`.

    >>> ends_with(["done.", "done. "], ".").tolist()
    [True, False]
    """
    (text,) = per_row(text)
    return bools((t.endswith(suffix) for t in text), len(text))


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
        lower,
        strip,
        chars,
        words,
    ]
)
