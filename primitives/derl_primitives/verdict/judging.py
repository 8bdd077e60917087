"""The verdict on one completion: the final answer, gold, and whether they are the same."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from typing import Any

from derl_grammar.records import record
from derl_primitives.patterns import pattern
from derl_primitives.verdict import marks
from derl_primitives.verdict.candidate import Final
from derl_primitives.verdict.clean import plain, squeezed, undressed
from derl_primitives.verdict.concluding import ENDLESS
from derl_primitives.verdict.denial import affirmed, denied_after, negates_value, stance
from derl_primitives.verdict.final import finals, joined
from derl_primitives.verdict.kinds import number as number_kind
from derl_primitives.verdict.kinds import text as text_kind
from derl_primitives.verdict.kinds.kind import Kind
from derl_primitives.verdict.kinds.number import Stated
from derl_primitives.verdict.kinds.table import KINDS
from derl_primitives.verdict.quantity import Quantity
from derl_primitives.verdict.quick import ending
from derl_primitives.verdict.sentences import sentences
from derl_primitives.verdict.statement import beside_each, without_doubts
from derl_primitives.verdict.words import (
    COMMA_LANGUAGE,
    CONCLUDES,
    ENDINGS,
    INSTEAD,
    NEGATED_AFTER,
    NEGATION,
    NO,
    REASON,
    REFUSAL,
    STATES,
    TRAILING,
    YES,
)

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


_IMPLIED = pattern(
    r"\s*(?:\u21d2|\u27f9|==?>(?!=)|\\(?:Rightarrow|implies|Longrightarrow)(?![A-Za-z]))\s*"
)
"""What leads to the answer stands before it: `5x = 10 \\Rightarrow x = 2`."""
_MATH_SPAN = pattern(r"^[^$]*?\$(?P<math>[^$]+)\$[^$]*$")
_LEAD = pattern(
    r"^(?:(?:so|thus|therefore|hence)[,\s]+)?(?:the\s+)?(?:(?:final|correct|right"
    r"|best)\s+)?(?:answer|solution|result|option|choice|antwort|lösung|réponse|respuesta"
    r"|resposta|risposta|ответ|答案|答え|정답)\b\s*(?:\bis\b|\bare\b|:|=|\u2013|-|ist|est|es|é|è"
    r"|是|は|은)+\s*",
    re.I,
)
_DOLLAR_AMOUNT = pattern(r"^\$\s?[\d.,]+\s*$")


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
    bare = _IMPLIED().split(bare)[-1].strip() or bare
    stripped = _LEAD().sub("", bare)
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


_BARE_NUMBER = pattern(r"\s*(?P<number>-?[0-9]{1,12}(?:\.[0-9]{1,12})?)\s*")


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
    bare = undressed(without_doubts(_LEAD().sub("", final.text.strip())))
    bare = _IMPLIED().split(bare)[-1].strip() or bare
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
        bare = _trimmed(bare, final.how.startswith("the "))
    denied = _denied(bare, gold)
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


_SO = pattern(
    r":\s*(?=[^:]{1,40}$)|[,;]?\s+(?:so|hence|thus|therefore|leaving|which leaves|that leaves)\s+",
    re.I,
)
_BUT_IT = pattern(
    r"[,;:]\s+(?!which|as|since|because|for|though|although|who|that)(?=[^,]{0,80}?(?<!\w)(?:is|are"
    r"|equals|must be|=)(?!\w))"
)
_COLON = pattern(r":\s*(?=[^:]{1,40}$)")
_NO_NOT = pattern(r"^\W*(?:no|nope|nein|non|нет)[,.:;!]\s+(?=(?:not|nicht|pas|non|ne|не)\s)", re.I)
"""`No, not 45, but 54`: said twice."""
_IT_S = pattern(r"(?<!\w)(it|that|there|this)'s(?!\w)", re.I)
_UNEQUAL = pattern(r"^\s*(?:\u2260|!=)")


def _denied(bare: str, gold: Gold) -> str | None:
    """What is left when a denial is taken off: the answer instead, "" for none; None: no denial."""
    lower = bare.lower()
    taken = stance(lower)
    if taken is not None and not stance(gold.bare.lower()):
        instead = next(
            filter(None, (p().search(bare, taken.end()) for p in (INSTEAD, _SO, _BUT_IT))), None
        )
        if instead is None and gold.kind.name in ("number or amount", "choice"):
            kept = [c for c in _SENTENCE_PART().split(bare) if not stance(c.lower())]
            return "; ".join(kept) if len(kept) == 1 and len(kept[0]) > 1 else ""
        return bare[instead.end() :].strip() if instead else ""
    if gold.kind.name in ("yes or no", "interval"):
        return None
    lower = affirmed(lower)
    if gold.kind.name in ("text", "set, list or tuple") and NEGATION().match(gold.bare.lower()):
        return None
    match = NEGATION().match(lower) or _UNEQUAL().match(lower)
    if match is None:
        if gold.kind.name == "text":
            return _denied_text(bare, gold)
        first = lower.partition(";")[0] if gold.kind.name == "choice" else lower
        behind = NEGATED_AFTER().search(first)
        if behind is None:
            if gold.kind.name == "number or amount" and _ENDS_DENIED().search(lower):
                return _not_called_wrong(bare)
            return "" if gold.kind.name != "choice" and negates_value(lower) else None
        instead = INSTEAD().search(bare, behind.end()) or (
            (_BUT_IT().search(bare, behind.end()) or _SO().search(bare, behind.end()))
            if gold.kind.name != "choice"
            else None
        )
        if instead is None and gold.kind.name == "choice":
            return _not_turned_down(bare)
        if instead is None and gold.kind.name == "number or amount":
            return _not_called_wrong(bare)
        return bare[instead.end() :].strip() if instead else ""
    instead = INSTEAD().search(bare, match.end()) or _SO().search(bare, match.end())
    if instead is None and gold.kind.name == "number or amount":
        plainly = _AND_THEN_VALUE().search(bare, match.end())
        return plainly["value"] if plainly else ""
    if instead is None and gold.kind.name == "choice":
        return _not_turned_down(bare)
    return bare[instead.end() :].strip() if instead else ""


_AND_THEN_VALUE = pattern(r"\d,\s+(?P<value>[$]?-?\d[\d.,/]*\d?)[\s.!]*$")
"""`Not 47, 12.`"""
_SENTENCE_PART = pattern(r";\s+")
_ENDS_DENIED = pattern(
    r"(?<!\w)(?:does not|doesn't|do not|don't|cannot|can't|is not|isn't|would not|wouldn't)[\s.!]*$"
)


def _not_called_wrong(bare: str) -> str:
    """The clauses with a number that call none wrong: `12 fits; 47 is too small`."""
    kept = [
        c
        for c in _CLAUSE_END().split(bare)
        if not NEGATED_AFTER().search(c.lower()) and not _ENDS_DENIED().search(c.lower())
    ]
    left = ", ".join(kept)
    return left if any(map(str.isdigit, left)) else ""


_CLAUSE_END = pattern(r"[,;.]\s+(?:(?:and|so|but|hence|thus|therefore|while|whereas)\s+)*")
_LETTER = pattern(r"(?<![A-Za-z])[A-J](?![A-Za-z])")


def _not_turned_down(bare: str) -> str:
    """The clauses of a sentence about options that turn no letter down: `B fails, C holds`."""
    kept = [
        c
        for c in _CLAUSE_END().split(bare)
        if not (NEGATED_AFTER().search(c.lower()) or NEGATION().match(c.lower()))
    ]
    left = ", ".join(kept)
    return left if _LETTER().search(left) else ""


def _denied_text(bare: str, gold: Gold) -> str | None:
    """A text that says of gold that it is not the answer; words elsewhere may deny anything."""
    at = bare.lower().find(gold.bare.lower())
    if at < 0:
        return None
    return "" if denied_after(bare[at + len(gold.bare) :].lower()) else None


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


def _trimmed(bare: str, sentence: bool) -> str:
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
