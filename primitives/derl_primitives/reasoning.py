"""Words that show reasoning: doubt and checking, and the joints of an argument."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from derl_primitives.primitive import primitive
from derl_primitives.text import count_matches

if TYPE_CHECKING:
    from derl_primitives.arrays import Floats

Texts = Sequence[str] | str

# RE2's and Python's syntax alike; only first letters may be capitals.
REFLECTIONS = (
    r"\b(?:[Ww]ait|[Hh]mm+|[Aa]lternatively|[Oo]n second thought"
    r"|[Ll]et(?:'s| me| us) (?:re-?)?(?:check|verify|examine|consider|think again)"
    r"|[Dd]ouble[- ]check|[Rr]e-?(?:check|examine|verify|think)"
    r"|[Tt]o (?:check|verify)|I made (?:a|an) (?:mistake|error))\b"
)
CONNECTIVES = (
    r"\b(?:[Tt]herefore|[Tt]hus|[Hh]ence|[Bb]ecause|[Ss]ince|[Cc]onsequently|[Aa]s a result"
    r"|[Ii]t follows|[Ff]irst(?:ly)?|[Ss]econd(?:ly)?|[Tt]hird(?:ly)?|[Nn]ext|[Tt]hen|[Ff]inally)\b"
)


def _counted(completion: Texts, pattern: str) -> Floats:
    found: Floats = count_matches(completion, pattern)
    return found


@primitive(
    "(completion: text) -> number[0, 1e9]",
    cost="scan",
    source="self-checks of DeepSeek-R1-Zero (arXiv 2501.12948)",
    whole=True,
)
def reflections(completion: Texts) -> Floats:
    """The number of phrases in which the text doubts or checks itself.

    Such as "Wait", "Hmm", "Let me check", "Let's verify", "Double-check", "Alternatively", "On
    second thought", "I made a mistake"; in English, as whole words, with a small or capital first
    letter.

    >>> reflections(["Wait, let me check: 2+2=4. Hmm.", "So it is 4, waiting."]).tolist()
    [3.0, 0.0]
    """
    return _counted(completion, REFLECTIONS)


@primitive(
    "(completion: text) -> number[0, 1e9]",
    cost="scan",
    source="after the reasoning-steps reward of open-r1",
    whole=True,
)
def connectives(completion: Texts) -> Floats:
    """The number of words that join the steps of an argument.

    "Therefore", "thus", "hence", "because", "since", "consequently", "as a result", "it follows",
    "first", "second", "third" (also with -ly), "next", "then", "finally"; in English, as whole
    words, with a small or capital first letter.

    >>> connectives(["First add, then halve; thus 4.", "The thirdborn."]).tolist()
    [3.0, 0.0]
    """
    return _counted(completion, CONNECTIVES)
