"""The verdict on one completion: the final answer, gold, and whether they are the same."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from derl_grammar.records import record
from derl_primitives.patterns import pattern
from derl_primitives.verdict.candidate import Final
from derl_primitives.verdict.clean import squeezed, undressed
from derl_primitives.verdict.concluding import ENDLESS
from derl_primitives.verdict.final import finals
from derl_primitives.verdict.gold import IMPLIED, LEAD, LONGEST_ANSWER, Gold, read_gold
from derl_primitives.verdict.instead import without_denial
from derl_primitives.verdict.kinds import text as text_kind
from derl_primitives.verdict.quick import ending
from derl_primitives.verdict.sentences import sentences
from derl_primitives.verdict.statement import without_doubts
from derl_primitives.verdict.trimmed import trimmed
from derl_primitives.verdict.words import (
    COMMA_LANGUAGE,
    CONCLUDES,
    NO,
    REFUSAL,
    STATES,
    YES,
)


@record
class Verdict:
    """Whether a completion is right; None: only math-verify can tell (`ask` holds what to ask).

    `answer` is the final answer as written, `source` where it stands, `layer` what decided.
    """

    right: bool | None
    answer: str | None
    source: str
    kind: str
    layer: str
    ask: tuple[str, str] | None = None


def judge(completion: str, answer: str) -> Verdict:
    r"""The verdict on a completion, with how it came about.

    >>> judge(r"<think>\boxed{6}</think><answer>5</answer>", "5").right
    True
    >>> judge("The answer is 2 2/3.", "2/3").right
    False
    """
    gold = read_gold(answer)
    if gold is None:
        return Verdict(False, None, "the gold answer is blank", "none", "no gold")
    verdict = _judged(completion, gold)
    if not verdict.right and verdict.ask is None and _DECIMAL_COMMA().fullmatch(gold.bare):
        other = read_gold(gold.bare.replace(",", "."))
        if other is not None and finals(completion)[0].comma:
            return _judged(completion, other)
    if not verdict.right and gold.number is not None and gold.number >= 1000:
        tail = completion[-2000:]
        if _POINT_GROUP().search(tail) and COMMA_LANGUAGE().search(tail.lower()):
            return _judged(completion, gold, comma=True)
    return verdict


_POINT_GROUP = pattern(r"(?<![\d.,])\d{1,3}(?:\.\d{3})+(?![\d,]|\.\d)")
"""`1.600` in a language that groups digits by points."""
_DECIMAL_COMMA = pattern(r"-?\d+,\d+")
"""A list of two numbers, or one number in a language that writes 3,5."""


def _judged(completion: str, gold: Gold, comma: bool = False) -> Verdict:
    if gold.number is not None and not comma:
        ended = ending(completion)
        if ended is not None:
            text, how, value = ended
            return Verdict(value == gold.number, text, how, gold.kind.name, "by value")
    found = finals(completion)
    for final in found:
        verdict = _verdict(replace(final, comma=True) if comma else final, gold)
        if verdict is not None:
            return verdict
    return Verdict(False, None, found[-1].how, gold.kind.name, "no answer")


def _verdict(final: Final, gold: Gold) -> Verdict | None:
    """The verdict on one candidate; None: it says nothing of gold's kind, the next is tried."""
    name = gold.kind.name
    if final.text is None:
        return Verdict(False, None, final.how, name, "no answer")
    if len(final.text) > LONGEST_ANSWER * 2:
        return (
            None
            if final.how == "the whole text"
            else Verdict(False, final.text, final.how, name, "too long")
        )
    bare = undressed(without_doubts(LEAD().sub("", final.text.strip())))
    bare = IMPLIED().split(bare)[-1].strip() or bare
    bare = bare.rstrip("\u3002\uff01\uff0e\u0964\u06d4 ")
    bare = bare if final.tentative else _NO_NOT().sub("", bare)
    if final.spoken and name == "number or amount":
        bare = _IT_S().sub(r"\1 is", bare)
    if not bare:
        return None
    if final.how == "refusal":
        same = text_kind.KIND.same(
            text_kind.Words("", bare), text_kind.Words(text_kind.plain_words(gold.bare), gold.bare)
        ) or _same_refusal(bare, gold)
        return Verdict(same, final.text, "a refusal", name, "no answer")
    same = _as_it_stands(bare, gold)
    if same:
        return Verdict(True, final.text, final.how, name, "same text")
    if ENDLESS().search(bare):
        return None if final.tentative else Verdict(False, final.text, final.how, name, "too long")
    if final.spoken and not final.tentative:
        bare = trimmed(bare, final.how.startswith("the "))
    denied = without_denial(bare, gold)
    if denied is not None and final.tentative:
        return None
    if denied is not None:
        if denied == "":
            return Verdict(False, final.text, final.how, name, "denied")
        bare, final = denied, Final(denied, final.how, True, final.comma)
    return _by_kind(bare, final, gold)


def _as_it_stands(bare: str, gold: Gold) -> bool:
    if len(gold.bare) == 1 and gold.bare.isalpha():
        return bare.strip(" .").casefold() == gold.bare.casefold()
    return squeezed(bare).rstrip(".") == squeezed(gold.bare).rstrip(".")


def _same_refusal(bare: str, gold: Gold) -> bool:
    """Whether gold itself says that there is no answer, and the completion says so too."""
    return bool(REFUSAL().search(gold.bare.lower())) and bool(REFUSAL().search(bare.lower()))


_COLON = pattern(r":\s*(?=[^:]{1,40}$)")
_NO_NOT = pattern(r"^\W*(?:no|nope|nein|non|нет)[,.:;!]\s+(?=(?:not|nicht|pas|non|ne|не)\s)", re.I)
"""`No, not 45, but 54`: said twice."""
_IT_S = pattern(r"(?<!\w)(it|that|there|this)'s(?!\w)", re.I)


def _by_kind(bare: str, final: Final, gold: Gold) -> Verdict | None:
    kind, sentence = gold.kind, final.how.startswith("the concluding")
    if sentence and _SO_FAR().search(bare):
        return Verdict(False, final.text, "the text is not done yet", kind.name, "no answer")
    weak = sentence and final.weak and kind.name != "choice"
    if weak and kind.name == "text":
        weak = not bare.casefold().startswith(gold.bare.casefold())
    elif weak and kind.name != "number or amount":
        weak = kind.given(bare, gold.meaning, final.comma) is None
    if weak and (
        _GOES_ON().search(bare) or not (final.alone or _concludes(bare) or _OPENS().match(bare))
    ):
        why = "the text breaks off before its answer"
        return Verdict(False, final.text, why, kind.name, "no answer")
    given = _given(bare, final, gold)
    if given is None:
        if final.tentative or final.weak:
            return None
        return _undecided(bare, final, gold)
    same = kind.same(given, gold.meaning)
    if same is None:
        return None if final.tentative and _WORDS().search(bare) else _undecided(bare, final, gold)
    if not same and final.tentative:
        return None
    return Verdict(same, final.text, final.how, kind.name, kind.layer)


def _given(bare: str, final: Final, gold: Gold) -> Any:
    """What a candidate means to gold's kind: as it stands, or found in its sentence."""
    kind = gold.kind
    if final.tentative:
        polar = _polar(final.text or "") if kind.name == "yes or no" and len(bare) > 12 else None
        return kind.given(polar or bare, gold.meaning, final.comma)
    if not final.spoken or not (final.how.startswith("the ") or kind.name == "text"):
        given = kind.given(bare, gold.meaning, final.comma)
        if given is not None:
            return given
        if (
            final.how in ("box", "answer tag")
            and kind.name == "number or amount"
            and not _WORDS().search(bare)
        ):
            return None  # a formula in a box is no sentence in which a number is looked for
    return (kind.spoken or kind.given)(bare, gold.meaning, final.comma)


_WORDS = pattern(r"(?<!\\)(?<![^\W\d_])[^\W\d_]{2,}")
_SO_FAR = pattern(
    r"\d[^.!?]{0,24} so far(?!\w)|(?<!\w)(?:still to come|yet to (?:be|come|add|count)|still "
    r"(?:need|have|must) to"
    r"|must still|and (?:carry|continue|keep going|move on|proceed|repeat)(?!\w)[^.!?\d]*[.!]?$"
    r"|remains to be|(?:is|are) still missing)(?!\w)",
    re.I,
)
_GOES_ON = pattern(
    r"\d[^\d.!?]*(?<!\w)(?:and|but|while|whereas|otherwise|plus|minus|times|before|until|if|when"
    r"|where|unless"
    r"|except|next|then|now|which)(?!\w)[^\d.!?]*$",
    re.I,
)
"""A sentence without its end that goes on behind its last number."""
_OPENS = pattern(
    r"^[^\d]*[$*]{0,3}\d[\d.,/]*(?:[%°]|(?: per)?\s[^\W\d]+)?$"
    r"|^[$*]{0,3}\d[\d.,/]*(?: [^\W\d]+){1,6}$"
    r"|^[$*]{0,3}\d+ of (?:the |those |all )?\d+(?: [^\W\d]+)?$"
)
"""An amount that stands alone, though no stop ends it: `15 of the 40 pupils`."""


def _concludes(bare: str) -> bool:
    lower = bare.lower()
    return (
        bool(CONCLUDES().search(lower))
        or bool(STATES().search(lower))
        or bool(_COLON().search(lower))
    )


_FIRST_WORD = pattern(r"[^\W\d_]+")


def _polar(text: str) -> str | None:
    """The last sentence that opens with yes or no."""
    for start, end in reversed(sentences(text)[-20:]):
        sentence = text[start:end]
        word = _FIRST_WORD().search(sentence.lower())
        if word and word.group() in YES | NO:
            return sentence
    return None


_LATEX = pattern(r"\\[A-Za-z]{2,}")


def _undecided(bare: str, final: Final, gold: Gold) -> Verdict:
    """Nothing here can tell: math-verify is asked where both sides are formulas."""
    formulas = gold.kind.name not in (
        "text",
        "choice",
        "yes or no",
        "date or time",
        "number in a base",
    )
    if (
        formulas
        and _LATEX().search(gold.bare + bare)
        and len(bare) < LONGEST_ANSWER
        and not COMMA_LANGUAGE().search(bare.lower())
    ):
        return Verdict(
            None, final.text, final.how, gold.kind.name, "math-verify", (gold.bare, bare)
        )
    return Verdict(False, final.text, final.how, gold.kind.name, "cannot be read as such")
