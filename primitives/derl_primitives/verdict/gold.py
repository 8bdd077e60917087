"""A gold answer: of which kind it is and what it means."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import Any

from derl_grammar.records import record
from derl_primitives.patterns import pattern
from derl_primitives.verdict import marks
from derl_primitives.verdict.amounts import Stated
from derl_primitives.verdict.clean import plain, undressed
from derl_primitives.verdict.final import joined
from derl_primitives.verdict.kinds import number as number_kind
from derl_primitives.verdict.kinds import text as text_kind
from derl_primitives.verdict.kinds.kind import Kind
from derl_primitives.verdict.kinds.table import KINDS
from derl_primitives.verdict.quantity import Quantity
from derl_primitives.verdict.quick import ending

LONGEST_ANSWER = 1000
LONGEST_GOLD = 4000


@record
class Gold:
    """A gold answer: as written, undressed, of which kind, what it means."""

    text: str
    bare: str
    kind: Kind
    meaning: Any

    @property
    def number(self) -> Fraction | None:
        """The plain number that gold is, without unit, percent sign and name; else None."""
        if not isinstance(self.meaning, Stated) or len(self.meaning.amounts) != 1:
            return None
        (amount,) = self.meaning.amounts
        plain = amount.unit is None and not amount.percent and amount.value[0] == "num"
        return amount.value[1] if plain else None


IMPLIED = pattern(
    r"\s*(?:\u21d2|\u27f9|==?>(?!=)|\\(?:Rightarrow|implies|Longrightarrow)(?![A-Za-z]))\s*"
)
"""What leads to the answer stands before it: `5x = 10 \\Rightarrow x = 2`."""
_MATH_SPAN = pattern(r"^[^$]*?\$(?P<math>[^$]+)\$[^$]*$")
LEAD = pattern(
    r"^(?:(?:so|thus|therefore|hence)[,\s]+)?(?:the\s+)?(?:(?:final|correct|right"
    r"|best)\s+)?(?:answer|solution|result|option|choice|antwort|lösung|réponse|respuesta"
    r"|resposta|risposta|ответ|答案|答え|정답)\b\s*(?:\bis\b|\bare\b|:|=|\u2013|-|ist|est|es|é|è"
    r"|是|は|은)+\s*",
    re.I,
)
_DOLLAR_AMOUNT = pattern(r"^\$\s?[\d.,]+\s*$")
_BARE_NUMBER = pattern(r"\s*(?P<number>-?[0-9]{1,12}(?:\.[0-9]{1,12})?)\s*")


@lru_cache(maxsize=8192)
def read_gold(text: str) -> Gold | None:
    r"""What a gold answer means, or None for a blank one.

    >>> read_gold(r"so \boxed{\frac12}").bare, read_gold("#### 18").kind.name
    ('\\frac12', 'number or amount')
    """
    plain_number = _ends_in_a_number(text)
    if plain_number is not None:
        return plain_number
    marked = _marked_gold(text)
    bare = undressed(marked)
    bare = IMPLIED().split(bare)[-1].strip() or bare
    stripped = LEAD().sub("", bare)
    bare = (stripped or bare).strip()
    if not bare or len(bare) > LONGEST_GOLD:
        return None if not bare else Gold(text, bare, text_kind.KIND, text_kind.KIND.gold(bare))
    if len(bare) > LONGEST_ANSWER:
        return Gold(text, bare, text_kind.KIND, text_kind.KIND.gold(bare))
    for kind in KINDS:
        meaning = kind.gold(bare)
        if meaning is not None:
            return Gold(text, bare, kind, meaning)
    return None


def _ends_in_a_number(text: str) -> Gold | None:
    """The commonest golds at once: a plain number, alone or behind `####` at the end."""
    alone = _BARE_NUMBER().fullmatch(text)
    if alone is None and "####" not in text[-60:]:
        return None
    ended = (alone["number"], "", Fraction(alone["number"])) if alone else ending(text)
    if ended is None or ended[1] == "box" or "$" in ended[0]:
        return None
    amount = Quantity(("num", Fraction(ended[2])))
    return Gold(text, ended[0], number_kind.KIND, Stated((amount,), None))


def _marked_gold(text: str) -> str:
    window = plain(text[-8192:])
    found = [
        m
        for m in (*marks.boxes(window), *marks.hashes(window), *marks.tags(window))
        if m.text and m.whole
    ]
    if found:
        last = max(found, key=lambda m: m.start)
        boxed = [m for m in found if m.how == "box"]
        if last.how == "box" and len(boxed) > 1:
            return joined(window, boxed)[-1].text
        return last.text
    said = marks.phrases(window) if len(window) < 2000 else []
    if said and said[-1].text and said[-1].how == "phrase":
        return said[-1].text
    if window.count("$") == 2 and not _DOLLAR_AMOUNT().match(window):
        span = _MATH_SPAN().match(window)
        if span:
            return span["math"]
    return window
