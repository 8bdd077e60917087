"""Regular expressions of the primitives.

The policy writes the text they run on, so each is linear: no quantifier inside a quantifier that
can match the same text in two ways, possessive or counted ones where two meet. They are compiled
at first use, since checking a reward reads signatures only and must start fast.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache


def pattern(source: str, flags: re.RegexFlag = re.NOFLAG) -> Callable[[], re.Pattern[str]]:
    """A function that gives the compiled pattern, compiled once.

    >>> digits = pattern("[0-9]+")
    >>> digits().findall("3 + 14")
    ['3', '14']
    """

    @cache
    def compiled() -> re.Pattern[str]:
        return re.compile(source, flags)

    return compiled
