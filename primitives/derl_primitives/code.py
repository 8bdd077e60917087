"""Primitives of program text: does it parse. It is read, never run."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

from derl_primitives.arrays import bools, per_row
from derl_primitives.primitive import primitive

if TYPE_CHECKING:
    from derl_primitives.arrays import Bools

LONGEST_CODE = 20_000
"""Longer texts count as no program: parsing takes up to a microsecond a character, and memory."""


def parses(text: str) -> bool:
    """Whether a text is a program of this Python."""
    if len(text) > LONGEST_CODE or not text.strip():
        return False
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    return True


@primitive(
    "(text: text) -> bool", cost="parse", source="Python's own parser (`ast.parse`)", good=True
)
def valid_python(text: Sequence[str] | str) -> Bools:
    r"""Whether the text is a Python program: it parses, in the version that runs this.

    It is not run or compiled. Blank texts, those of more than 20,000 characters and those nested
    deeper than the parser goes count as none. Write `valid_python(last_code(completion))`.

    >>> valid_python(["x = 1\n", "x = = 1", "So it is 4."]).tolist()
    [True, False, False]
    """
    (text,) = per_row(text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # such as of invalid escapes in strings
        return bools(map(parses, text), len(text))
