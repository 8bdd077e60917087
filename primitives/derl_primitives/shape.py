"""Primitives that measure how a completion is written: length and visible steps."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from derl_primitives.arrays import LONGEST_SCANNED, floats, per_row
from derl_primitives.patterns import pattern
from derl_primitives.primitive import primitive

if TYPE_CHECKING:
    from derl_primitives.arrays import Bools, Floats

# Each begins with a literal, which `re` finds fast; what stands before it is looked at then.
_STEP = pattern(r"tep(?<=\b[Ss]tep)[ \t]{1,4}[0-9]{1,4}[ \t]{0,4}[:.]")
_STEP_CAPITALS = pattern(r"TEP(?<=\bSTEP)[ \t]{1,4}[0-9]{1,4}[ \t]{0,4}[:.]")
_ITEM = pattern(
    r"\n[ \t>*_#-]*+[0-9]{1,4}[.)][ \t]{1,4}+(?![*_]{0,3}[Ss](?:tep|TEP)[ \t]{1,4}[0-9])"
)
_ITEM_STARTS = frozenset(" \t>*_#-0123456789")


def count_step_markers(text: str) -> int:
    r"""The number of step markers of one text, as `step_markers` defines them."""
    text = text[:LONGEST_SCANNED]
    found = 0
    if "\n" in text or text[:1] in _ITEM_STARTS:
        found = len(_ITEM().findall("\n" + text))
    # Most texts have none of these letters, and looking for them costs next to nothing.
    if "tep" in text:
        found += len(_STEP().findall(text))
    if "P" in text and "TEP" in text:
        found += len(_STEP_CAPITALS().findall(text))
    return found


@primitive(
    "(completion: text) -> number[0, 1e9]",
    cost="scan",
    source="after DERL (arXiv 2512.13399), g3, and the reasoning-steps reward of open-r1",
    good=True,
    whole=True,
)
def step_markers(completion: Sequence[str] | str) -> Floats:
    r"""The number of step markers in the completion.

    A marker is `Step 1:` or `Step 1.` anywhere, or an item number `1. ` or `1) ` at the start of a
    line (after white space and Markdown marks such as `**` or `##`). `1. Step 1:` is one marker. A
    number that ends a sentence is none. Of a text the first 262,144 characters count.

    >>> step_markers(["Step 1: add. Step 2: halve.", "1. add\n2. halve", "It is 5. Ok."]).tolist()
    [2.0, 2.0, 0.0]
    """
    (completion,) = per_row(completion)
    return floats(map(count_step_markers, completion), len(completion))


@primitive(
    "(completion: text) -> number[0, 1e9]",
    cost="constant",
    source="length in code points",
    whole=True,
    per_word=5.0,
)
def chars(completion: Sequence[str] | str) -> Floats:
    """The number of characters (Unicode code points) of the completion.

    >>> chars(["", "naïve", "a\\n"]).tolist()
    [0.0, 5.0, 2.0]
    """
    (completion,) = per_row(completion)
    return floats(map(len, completion), len(completion))


@primitive(
    "(completion: text) -> number[0, 1e9]",
    cost="scan",
    source="length in words, as `wc -w` counts",
    whole=True,
    per_word=1.0,
)
def words(completion: Sequence[str] | str) -> Floats:
    """The number of words of the completion: runs of characters between Unicode white space.

    >>> words(["", "so  it is\\n#### 18", "   "]).tolist()
    [0.0, 5.0, 0.0]
    """
    (completion,) = per_row(completion)
    return floats(map(count_words, completion), len(completion))


_SHORT = 4096
_CHUNK = 65_536
_LAST_SPACE = 0x3000


def count_words(text: str) -> int:
    """The words of a text; of a long one the places where white space ends are counted."""
    if len(text) < _SHORT:
        return len(text.split())
    import numpy as np

    found, after_blank = 0, True
    for at in range(0, len(text), _CHUNK):
        piece = text[at : at + _CHUNK]
        if piece.isascii():
            blank = _blanks()[np.frombuffer(piece.encode("ascii"), np.uint8)]
        else:
            # As NumPy's own text, which holds lone surrogates too; it drops NULs at the end.
            codes = np.array([piece + "."]).view(np.uint32)[:-1]
            blank = _blanks()[np.minimum(codes, _LAST_SPACE + 1)]
        found += int(np.count_nonzero(blank[:-1] & ~blank[1:])) + bool(after_blank and not blank[0])
        after_blank = bool(blank[-1])
    return found


@cache
def _blanks() -> Bools:
    """Whether each character up to the last space of Unicode is white space."""
    import numpy as np

    return np.array([chr(code).isspace() for code in range(_LAST_SPACE + 2)])
