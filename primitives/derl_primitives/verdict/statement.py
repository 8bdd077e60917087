"""What a sentence states: its concluding clause, and the places where the answer may begin."""

from __future__ import annotations

import re
from collections.abc import Iterator

from derl_primitives.patterns import pattern
from derl_primitives.verdict.words import HEDGES, IS, STATES

_JOINTS = pattern(
    r"(?:,\s(?:half|a (?:third|quarter|fifth|half)|one (?:half|third)|two thirds|three quarters"
    r"|double|twice) of which "
    r"(?:is|are|makes|gives|equals)\s|,\s(?:and|but)\s(?:since|because|as)\s[^,;]{1,80},\s"
    r"|;\s(?:since|because"
    r"|as)\s[^,;]{1,80},\s|;\s|(?<!\d):\s+|(?<=\d):\s+|\s[\u2014\u2013]+\s|\s--\s|(?:,\s*|\s+"
    r"|^)(?:and )?(?:so|hence|thus|therefore|consequently|which (?:leaves|gives|makes"
    r"|means|yields|equals|comes to)|leaving|giving|making|for a total of|a (?:net )?(?:change"
    r"|gain|loss|total|difference|profit|sum) of|totall?ing"
    r"|settling on|donc|also|daher|somit|folglich|por lo tanto|así que|entonces|portanto"
    r"|logo|quindi|dunque|поэтому|значит|итак|следовательно)(?!\w)(?:\s+(?:that"
    r"|far))?[,:]?\s*|[,，]?\s*(?:所以|因此|故|したがって|よって|따라서|그러므로|لذلك|إذن|इसलिए)[,，]?\s*)",
    re.I,
)
_RECALL = pattern(
    r"is (?:just |only |again )?(?:what|the (?:number|amount|total|value|sum"
    r"|count)(?: that)?) (?:we|he|she|they|i) "
    r"(?:started|began|had|have|were given)|"
    r"what (?:we|he|she|they|you|it|was|is|the) (?:had|have|started|began|were|was|given"
    r"|said|asked|wanted|needed|states?|stated)|as (?:given|required|expected|desired|it "
    r"should|claimed|stated|needed|before)|which (?:matches|agrees|checks|fits|is right"
    r"|is correct)|(?:matches|agrees with|consistent with) the|checks out|\u2713|like "
    r"before",
    re.I,
)
_ASIDE = pattern(
    r"\s[(\[][^()\[\]]*\d[^()\[\]]*\s[A-Za-z]{3,}[)\]]|\s*[(\[](?!\s*(?:or|oder|ou|o"
    r"|или)\s)[^()\[\]]*[A-Za-z]{2,}\s+[^()\[\]]*[)\]]"
)
_BROKEN_DOWN = pattern(r"(?<=\d):\s+\d[\d.,]* [a-z]+(?:,| and) [^;:]*$")
"""The parts of a whole: `47: 12 red, the others blue`."""
_WOULD_BE = pattern(
    r"(?<=\w)[;.]\s+(?:but |and )?(?:with|without|if|for|had"
    r"|otherwise)(?!\w)[^;]{0,80}(?<!\w)would(?!\w)[^;]*$"
    r"|(?<=\w)[;.]\s+(?:but |and )?[$]?\d[\d.,]*(?: \w+)? would (?:be too|not|only|leave"
    r"|never)[^;]*$",
    re.I,
)
"""What would be otherwise: `16 euros; with a tip it would be 18`."""
_OF_WHOM = pattern(
    r"(?!, (?:half|a \w+|one \w+|two thirds|three quarters|double|twice) of which (?:is|are|makes"
    r"|gives|equals)\s),\s+(?:\w+ )?(?:of|among) (?:whom|which|these|those"
    r"|them)(?!\w)[^,;.]*(?:,|(?=[;.]|$))"
)
"""A part of what was counted: `37 pupils, of whom 12 are girls, take part`."""
_WORKING = pattern(
    r"(?<=\d)\s?[(\[]\s?=?\s?\$?\d[\d.,]*\s?[-+*/\u00d7\u00b7\u00f7][^()\[\]A-Za-z]{1,40}[)\]]"
)
_PURPOSE = pattern(
    r"((?<!\w)(?:needs?|requires?|takes?|lacks?|braucht|fehlen|is|are|short"
    r"|missing)(?: \w+){0,2} \$?\d[\d.,/]*"
    r"(?: [^\W\d]+){0,4}) (?:in order )?to (?:reach|get|obtain|make|have|be|finish|complete|fill"
    r"|cover|buy|pay)"
    r"\s[^.;:]*\d[^.;:]*\.?$",
    re.I,
)
"""What an amount is needed for: `75 more euros to reach 200`."""
_COMMA = pattern(r",\s+(?!\d{3}(?!\d))(?:and |but |or )?")


def unhedged(text: str) -> str:
    """Without the words before an answer that leave it alone.

    >>> unhedged("So it is about 7")
    '7'
    """
    match = HEDGES().match(text)
    return text[match.end() :] if match else text


def without_asides(text: str) -> str:
    """Without remarks in brackets and clauses that only recall something."""
    text = _BROKEN_DOWN().sub("", _WOULD_BE().sub("", text))
    text = _OF_WHOM().sub(" ", text).strip()
    text = _WORKING().sub("", _ASIDE().sub("", text) or text)
    text = _PURPOSE().sub(r"\1", text)
    if _RECALL().search(text):
        kept = [part for part in _COMMA().split(text) if not _RECALL().search(part)]
        text = ", ".join(kept) if kept else text
    return text


def conclusion(sentence: str, says: re.Pattern[str]) -> str:
    """The last clause of a sentence in which `says` occurs; the sentence when there is none."""
    for clause in reversed(_JOINTS().split(sentence)):
        if clause and says.search(clause):
            return clause.strip()
    return sentence


def views(text: str) -> Iterator[str]:
    """The places of a sentence where its answer may begin, the likeliest first.

    Behind a verb that does something ("walks 3 miles") only when no number stands before it.
    """
    seen = set()
    digit = _DIGIT().search(text)
    first = digit.start() if digit else len(text)
    starts = [m.end() for m in IS().finditer(text)]
    starts += [m.end() for m in STATES().finditer(text, 0, first)]
    bare = unhedged(text)
    for view in (bare, text, *(unhedged(text[at:]) for at in sorted({*starts[-9:]}, reverse=True))):
        view = view.strip(" ,")
        if view and view not in seen:
            seen.add(view)
            yield view


_BESIDE_EACH = pattern(
    r"^\W*(?!so|thus|hence|therefore|first|then|now|i |we )(?P<a>[A-Z][a-z]+) (?P<v>has|had|gets"
    r"|got|needs|pays|owns|buys|is|was) [$]?\d[^,;]{0,30}[,;]"
    r"\s+(?:and |while |whereas |but )?(?!so|thus|hence|now"
    r"|then)(?P<b>[A-Z][a-z]+) (?P=v) [$]?\d[^,;]{0,30}$"
)
"""Two people side by side: `Ann has 47, Tom has 12`."""


def beside_each(text: str) -> bool:
    """Whether a sentence only says what each of two has.

    >>> beside_each("Ann has 47, while Tom has 12."), beside_each("So Ann has 47.")
    (True, False)
    """
    return _BESIDE_EACH().search(text) is not None


_DIGIT = pattern(r"\d")
_CLAUSES = pattern(
    r"(?:if (?:my|our|the|this|i'm|i am) (?:\w+ )?(?:arithmetic|maths?|calculations?"
    r"|computations?|memory"
    r"|reasoning|counts?|counting|work|logic|algebra|right|correct)(?: (?:is|are|was|were|serves "
    r"me|checks out|holds))?"
    r"(?: (?:right|correct|up|well|sound|fine))?,|if i (?:had|have) to (?:guess|choose|bet|say"
    r"|pick)(?: \w+)?(?=,)|unless i(?:'ve| have)?(?: \w+)? (?:miscounted|misread|miscalculated"
    r"|erred|missed \w+"
    r"|forgot \w+|overlooked \w+|made an? (?:\w+ )?(?:mistake|error|slip))|if i(?:'m"
    r"| am) not mistaken|unless i(?:'m| am) "
    r"mistaken|to the best of my "
    r"knowledge|if i recall correctly|if i (?:did|counted|calculated) (?:\w+ )?(?:right"
    r"|correctly)"
    r"|i(?:'m| am) not (?:entirely|completely|totally|100 ?%|fully|quite|very)? ?(?:sure"
    r"|certain),? but|i (?:could|may|might) be wrong,? but|,? ?i (?:believe|think|guess"
    r"|suppose|would say)(?=[.!]?$))\s*,?\s*",
    re.I,
)


def without_doubts(text: str) -> str:
    """Without clauses that only hedge.

    >>> without_doubts("If I am not mistaken, it is 7.")
    'it is 7.'
    """
    return _CLAUSES().sub("", text)
