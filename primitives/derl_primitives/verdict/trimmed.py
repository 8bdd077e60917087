"""A spoken answer without what is said behind it."""

from __future__ import annotations

import re

from derl_primitives.patterns import pattern
from derl_primitives.verdict.statement import beside_each
from derl_primitives.verdict.words import ENDINGS, REASON, TRAILING

_CONCLUDED = pattern(r";\s+(?=[^;]{0,160}?(?<!\w)(?:so|hence|thus|therefore)(?!\w))", re.I)
"""Where a sentence goes on behind a reason to its conclusion."""
_IF_NOT = pattern(r"[\s,;]*(?:if not|or else|failing that)(?!\w)", re.I)
"""What opens another case, and no condition."""
_REASON_FIRST = pattern(
    r"(?:(?<!\w)(?:and|but),?|;)\s+(?:since|because|as|given that)\s[^,;]{1,80},\s+\S", re.I
)
"""A reason that stands before its conclusion: `and since t is negative, t = -3`."""
_COMPARED = pattern(
    r"(?<=[\w%$)}]),\s+(?:just |only |about )?[$\u20ac\u00a3]?\d[\d.,]*(?:%"
    r"| %)?(?: [^\W\d]+)? (?:more|less|fewer"
    r"|higher|lower|better|longer|shorter|older|younger|bigger|larger|smaller|above|below|ahead"
    r"|behind)(?: [^\W\d]+)? (?:than|of)(?!\w).*$",
    re.I,
)
"""A comparison behind an answer: `26, 4 more than yesterday`."""
_SPREAD = pattern(
    r"(?<=[\w%$)}]),\s+[$]?\d[\d.,]*(?: [^\W\d]+)? (?:in|on|at|for|per|to) (?:each|every|a"
    r"|one)(?!\w).*$",
    re.I,
)
"""How an answer is spread: `84 tulips, 7 in each row`."""
_WHOLE_OF_IT = pattern(r"(?<!\w)(?:in all|in total|altogether)(?!\w)")
_OPEN_OR = pattern(r"(?<!\w)(?:or|oder|ou|или)\s*$", re.I)
_NOT_THAT = pattern(
    r"(?<=[\w%$)}]),\s+(?:und |et |y |e |а |aber )?(?:nicht|pas|non|no|não|не)\s+[$]?\d[^,;]*$",
    re.I,
)
"""What the answer is not, behind it: `41, nicht 14`."""


def trimmed(bare: str, sentence: bool) -> str:
    """A spoken answer without the explanation behind it and the verb that ends it."""
    for behind in (REASON if sentence else TRAILING, _COMPARED, _SPREAD, _NOT_THAT):
        match = behind().search(bare)
        if match and (_IF_NOT().match(bare, match.start()) or beside_each(bare)):
            continue
        if match and "i.e" in match.group():
            before, after = bare[: match.start()], bare[match.end() :]
            if not any(map(str.isdigit, before)) or _WHOLE_OF_IT().search(after):
                continue
        if match and _OPEN_OR().search(bare, 0, match.start()):
            continue
        if match and match.start() > 0 and not _REASON_FIRST().search(bare, match.start() - 5):
            more = _CONCLUDED().search(bare, match.end())
            bare = bare[: match.start()] + (bare[more.start() :] if more else "")
    return ENDINGS().sub("", bare).strip() or bare
