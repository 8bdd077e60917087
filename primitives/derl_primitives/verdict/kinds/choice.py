"""Multiple choice: the letter, in any form and case; several golds are exactly that set."""

from __future__ import annotations

import re

from derl_grammar.records import record
from derl_primitives.patterns import pattern
from derl_primitives.verdict.denial import denied_after, denied_before
from derl_primitives.verdict.kinds.kind import Kind
from derl_primitives.verdict.kinds.text import plain_words
from derl_primitives.verdict.statement import conclusion
from derl_primitives.verdict.words import OR_WORDS

Letters = frozenset[str]


@record
class Choice:
    """The letters of a gold, and the text of its option when it names one."""

    letters: Letters
    text: str = ""


_LETTER = r"[\[(]?\s*[A-J]\s*[\])]?"
_SET = pattern(
    r"(?:\(?[A-J]\)?)(?:\s*(?:,|;|/|&|\+|\band\b|\bund\b|\bet\b|\by\b|и|和|,\s*and"
    r"|\s)\s*(?:\(?[A-J]\)?))+|[A-J]{2,6}"
)
_WITH_TEXT = pattern(
    r"(?:(?:option|choice|answer|letter|antwort|opción"
    r"|réponse)\s+)?[\[(]?\s*(?P<letter>[A-J])\s*(?:[\])]\s*[.:)]?|[.:)])\s*(?P<text>\S.*)",
)
_ONE = pattern(
    r"(?:(?i:option|choice|answer|letter|antwort|opción"
    r"|réponse)\s+)?[\[(]?\s*(?P<letter>[A-J])\s*[\])]?\s*[.:]?"
)


def _gold(text: str) -> Choice | None:
    text = text.strip()
    one = _ONE().fullmatch(text)
    if one:
        return Choice(frozenset(one["letter"]))
    if len(text) == 3 and text[0] == "(" and text[2] == ")" and text[1] in "abcdefgh":
        return Choice(frozenset(text[1].upper()))
    if _SET().fullmatch(text):
        letters = [c for c in text if "A" <= c <= "J"]
        return Choice(frozenset(letters)) if len(set(letters)) == len(letters) else None
    inner = text[1:-1].strip() if text[:1] in "[{\u2983" and text[-1:] in "]}\u2984" else ""
    if inner and _SET().fullmatch(inner):
        return Choice(frozenset(c for c in inner if "A" <= c <= "J"))
    said = _WITH_TEXT().fullmatch(text)
    return Choice(frozenset(said["letter"]), said["text"].strip()) if said else None


_START = pattern(
    r"[\s*_(\[\"'`]*(?:(?:the )?(?:correct |right |best |final )?(?:options?|choices?"
    r"|answers?|letters?|opci[oó]n(?:es)?|option|antwort(?:en)?|réponses?|respuestas?"
    r"|вариант\w*|ответ|选项|選択肢)\s*(?:is|are|:|ist|est|es)?\s*)?[\s*_(\[\"'`{]*"
    r"(?P<letter>[A-Ja-j])(?P<end>[\s*_]*(?:[\])}]|[.:,;!](?=\s|$)|[*_\"'`](?![A-Za-z])|$"
    r"|\s*[-\u2013\u2014]\s|\s(?=\()|[。，、入です입是]))",
)
_LIST = pattern(
    r"^[\s*_(\[{\u2983\"'`]*(?:(?i:options?|choices?|answers?"
    r"|letters?)\s+)?(?P<list>[\[(]?[A-Ja-j][\])]?[.)]?(?:\s*(?:,\s*and|,|;|/|&|\+|\band\b"
    r"|\bund\b|\bet\b|\by\b|и|和|と"
    r"|、)\s*[\[(]?[A-Ja-j][\])]?[.)]?(?![a-zA-Z]))+)[\s*_)\]}\u2984\"'`.!]*(?:$|\s(?:since"
    r"|because|are|only|both|sind|sont)\b|[;,.]\s)"
)
_PACKED_LAST = pattern(r"(?<![A-Za-z])(?P<list>[A-J]{2,6})[\s.!]*$")
_PACKED = pattern(r"^[\s*_(\[{\"'`]*(?P<list>[A-J]{2,6})[\s*_)\]}\"'`.!]*$")
_NAMED = pattern(
    r"(?<![A-Za-z])(?:(?i:option|choice|answer|letter|choose|prefer|chose|pick|select|settled? on"
    r"|settled? for|landed? on|opted? for|went with|decided? on|go(?:ing)? "
    r"with|opción|option|antwort|réponse|wähle|choisis|elijo|вариант|выбираю|selecting"
    r"|choosing|picking|leaves|leaving|left with|only|so|therefore|thus|hence|it's|it is"
    r"|must be|is|ist|est|es|это|是|选|選ぶ|:)\s*(?:the )?(?:(?:correct |right )?(?:option"
    r"|choice|answer|letter)\s*)?[\s*_\"'`:]*)"
    r"(?:[\[(](?P<a>[A-Ja-j])[\])]|(?P<b>[A-J]))(?![A-Za-z0-9'])|(?:^"
    r"|\s)[\s*_]*[\[(]?(?P<c>[A-J])[\])]?[\s*_]*\s(?:is|are|would be|must be|seems|ist|est"
    r"|es|fits|matches|works|holds|follows)(?:\s(?:the\s)?(?:correct|right|best|true"
    r"|answer|only|one|option|choice|richtig|correcte?|la|the))|\((?P<d>[A-J])\)"
    r"|选项?\s?(?P<e>[A-J])|(?:^|\s)[(\[]?(?P<g>[B-J])[\])]? (?:fits (?:better|best|well)"
    r"|is (?:better|best)|works"
    r"|wins|is it|it is)(?!\w)|(?P<f>[A-J])\s?(?:是正确|が正|이 정답|가 정답)"
)
_ALONE = pattern(r"(?<![A-Za-z0-9'])[\[(]?(?P<l>[B-HJ])[\])]?(?![A-Za-z0-9'])")


_ALONE_A = pattern(r"(?<![A-Za-z0-9'])A(?=\s*[.,;)]|$)")


_RATED = pattern(
    r"(?<![A-Za-z])[\[(]?(?P<l>[A-J])[\])]?[\s*_]*[:.)\u2013-]\s*[^.;\n]{0,40}?(?P<r"
    r">\bright|\bcorrect|\btrue|\byes|\u2713|\u2714|\bwrong|\bincorrect|\bfalse|\bno\b"
    r"|\bnot\b|\u2717|\u2718|\u274c|\u2705)",
    re.I,
)


_JUDGED = pattern(
    r"(?P<list>(?<![A-Za-z])[\[(]?[A-J][\])]?(?:\s*(?:,\s*and|,|and|&)\s*[\[(]?[A-J][\])]?)*)"
    r"\s+(?:(?:is|are|ist|sind|est|sont|es|son|\u00e8|sono|\u00e9|s\u00e3o)\s+)?(?:both |all "
    r"|the |also |only |beide )*"
    r"(?P<r>true|correct|right|false|wrong|incorrect|not|richtig|korrekt|falsch|juste|vraie?"
    r"|fausse|faux"
    r"|correct[aeo]s?|incorrect[ao]s?|fals[aoei]s?|giust[ao]|sbagliat[ao]|corrett[ao]|cert[ao]"
    r"|errad[ao]|верн\w+"
    r"|неверн\w+|правильн\w+)(?!\w)"
)
_RIGHT = pattern(
    r"true|correct|right|richtig|korrekt|juste|vraie?|correct[aeo]s?|giust[ao]|corrett[ao]"
    r"|cert[ao]|верн\w+|правильн\w+"
)


_WRONG_ONES = pattern(
    r"[;,.]\s*(?:while |whereas |and |but )?[\[(]?[A-J][\])]?(?:\s*(?:,\s*and|,|and"
    r"|&)\s*[\[(]?[A-J][\])]?){1,6}"
    r"\s+(?:is|are) (?:both |all )?(?:wrong|false|incorrect|not)(?!\w)[^;,.]{0,40}"
)
"""Letters that a clause of their own turns down."""


def _judged(text: str) -> Choice | None:
    """`A and D are true, B and C are false`."""
    right: set[str] = set()
    for match in _JUDGED().finditer(text):
        if _RIGHT().fullmatch(match["r"]):
            right |= {c for c in match["list"] if "A" <= c <= "J"}
    return Choice(frozenset(right)) if right else None


def _rated(text: str) -> Choice | None:
    """`A: wrong. B: right. C: wrong.`"""
    found = list(_RATED().finditer(text))
    if len(found) < 2:
        return None
    right = {
        m["l"].upper()
        for m in found
        if m["r"].lower() in ("right", "correct", "true", "yes", "\u2713", "\u2714", "\u2705")
    }
    return Choice(frozenset(right))


def _given(text: str, gold: Choice, comma: bool) -> Choice | None:
    del comma
    text = _WRONG_ONES().sub("", text.strip())
    rated = _rated(text)
    if rated is not None:
        return rated
    several = _LIST().match(text) or (
        _PACKED().match(text) if len(gold.letters) > 1 or _PACKED().match(text) else None
    )
    if several:
        letters = frozenset(
            c
            for c in several["list"].upper().replace("AND", "").replace("UND", "")
            if "A" <= c <= "J"
        )
        return Choice(letters)
    start = _START().match(text)
    if start and not _article(text, start):
        rest = text[start.end() :].strip(" *_()].,\"'`}")
        if _TURNED_DOWN().fullmatch(rest):
            return Choice(frozenset())
        return (
            None
            if _another(rest, start["letter"].upper())
            else Choice(frozenset(start["letter"].upper()), rest)
        )
    if gold.text and plain_words(text) == plain_words(gold.text):
        return gold
    return None


_TURNED_DOWN = pattern(
    r"(?:(?:is|this is|not|it's) )?(?:false|wrong|incorrect|no|not|untrue|\u2717|\u2718|\u274c)",
    re.I,
)
"""What is said of an option that is none: `D: false`."""


def _article(text: str, match: object) -> bool:
    """Whether the letter is the word `a` or `I` at the start of a sentence."""
    letter, end = match["letter"], match["end"]  # type: ignore[index]
    return letter in ("a", "A", "I", "i") and not end.strip() and match.end() < len(text)  # type: ignore[attr-defined]


def _another(rest: str, letter: str) -> bool:
    """Whether another letter is offered as well: `A or B`."""
    head = rest[:12]
    return bool(_OR_NONE().match(head.lower())) or (
        bool(OR_WORDS().match(head.lower())) and bool(_ALONE().search(head)) and letter not in head
    )


_OR_NONE = pattern(r"[\s,]*(?:or|oder|ou|o) (?:none|neither|nothing|nope|both)")
_REJECTS = pattern(
    r"(?<!\w)(?:(?:rule[sd]?|ruling|cross(?:es|ed|ing)?|strike|struck|throw|threw) out"
    r"|(?:exclud|eliminat|reject|dismiss|discard|dislik|avoid|drop|skip)(?:e|es|ed|ing|s|ped|ping)?"
    r"|(?:almost|nearly|first|initially) (?:chose|picked|took|wrote|said|answered|selected|went "
    r"with)"
    r"|without|except|(?:all|any|every\w*|none|nothing|anything) but|nor|neither|unlike|than"
    r"|besides|all (?:but|except))(?: for)?"
    r"(?: (?:the |both )?(?:options?|choices?|answers?|letters?))?\s*(?:[(\[]?[A-J][)\]]?\s*(?:,"
    r"|and|or|&)*\s*)*$",
    re.I,
)


def _rejected(text: str, at: int) -> bool:
    """Whether the words around a letter reject it: `I rule out B`, `B is tempting but wrong`."""
    before = text[max(0, at - 80) : at]
    rest = _REST().sub("", text[at:], count=1)
    return (
        bool(_REJECTS().search(before))
        or denied_before(before.lower())
        or denied_after(rest.lower())
    )


_AS = pattern(r",\s*(?:as|since|because|while|whereas|though|for)\s")
_EITHER = pattern(
    r"(?<![A-Za-z])[(\[]?[A-J][)\]]?,? or (?:none|neither|nothing|both)(?!\w)"
    r"|(?<![A-Za-z])[(\[]?[A-J][)\]]?,? or (?:(?:option|choice|letter|answer) )?[(\[]?[A-J][)\]]?"
    r"(?![A-Za-z])|(?:hesitate|torn|undecided|waver|waiver"
    r"|toss-up)(?: \w+)? between [(\[]?[A-J](?![A-Za-z])"
)
_COULD_BE = pattern(
    r"(?<!\w)(?:could|might|may)(?: well| also)? be "
    r"[(\[]?[A-J][)\]]?(?![A-Za-z]).{0,40}(?<![A-Za-z])[A-J](?![A-Za-z])"
)
"""Two letters that both may be: `it could be A, but also C`."""
_MOST = 40
"""How many letters of a sentence are looked at, from its end."""
_BOTH = pattern(
    r"(?<!\w)both (?:options? )?[(\[]?[A-J][)\]]? and [(\[]?[A-J](?![A-Za-z])(?!.{0,40}(?:wrong"
    r"|out|false|incorrect|fail))",
    re.I,
)
_NAMES_THING = pattern(
    r"(?<!\w)(?:vitamin|plan|step|team|group|type|class|grade|part|section|point|figure|hepatitis"
    r"|exhibit|appendix|building|room|line|vertex|node|event|set|variable|bag|box|city|town|person"
    r"|player|machine|train|car)s? [A-J](?![A-Za-z])(?: (?:and|or|to) [A-J](?![A-Za-z]))?",
    re.I,
)
"""Letters that name something else than an option: `vitamin C`."""
_CHANGED_TO = pattern(
    r"(?<!\w)(?:chang(?:e|ed)|switch(?:ed)?|moved?|went)(?: (?:my|the) (?:mind"
    r"|answer))? from [(\[]?[A-J][)\]]? to [(\[]?(?P<to>[A-J])(?![A-Za-z])"
)
_BY_CASE = pattern(
    r"(?<![A-Za-z])[A-J](?![A-Za-z])[^.;A-J]{0,24}(?<!\w)if\s[^.;A-J]{1,60}(?<![A-Za-z])[A-J]"
    r"(?![A-Za-z])[\s,]{0,3}(?<!\w)(?:otherwise|else)(?!\w)"
)
"""A letter for each case: `B if in a hurry, D otherwise`."""
_ALL_BUT = pattern(
    r"(?<!\w)(?:all|every\w*|any\w*) (?:\w+ )?(?:but|except(?: for)?|other than"
    r"|apart from) [(\[]?[A-J](?![A-Za-z])",
    re.I,
)
_AT_FIRST = pattern(
    r"^\W*(?:at first|first|initially|originally)(?!\w)[^,;.]*[,;]\s+(?:(?:and|but) )?(?:then"
    r"|now|later|finally|in the end)(?!\w)",
    re.I,
)
_RATHER_THAN = pattern(r"\s+(?:rather than|instead of)\s+[(\[]?[A-J][)\]]?(?![A-Za-z])")
"""A letter that another one is preferred to."""
_NONE_OF_IT = pattern(
    r"[\s*_(\[]*[A-J][)\]]?[\s*_]*[:.\u2013\u2014-]\s*(?:(?:is|this is|not|it's) )?(?:false"
    r"|wrong|incorrect|no|not"
    r"|untrue|\u2717|\u2718|\u274c)[\s.!*_]*",
    re.I,
)
_LETTER_IS = pattern(
    r"(?:letter|option|choice|answer) (?:is|:|would be|must be) "
    r"[\"'(*]*(?P<l>[a-j])[\"')*]*[\s.!]*$"
    r"|(?<!\w)(?:(?:option|choice|letter) (?P<o>[a-j])|(?:it is|it's|we get|must be|so|hence"
    r"|thus|therefore) (?P<s>[b-j]))[\s.!]*$"
    r"|(?<![A-Za-z0-9'])[(\[]?(?P<r>[A-J])[)\]]? (?:remains|survives|is left|is all that is "
    r"left)(?!\w)"
)
_REST = pattern(r"^[\s(\[*]*[A-J][)\]]?")


def _spoken(text: str, gold: Choice, comma: bool) -> Choice | None:
    if _NONE_OF_IT().fullmatch(text):
        return Choice(frozenset())
    changed = _CHANGED_TO().search(text)
    if changed:
        return Choice(frozenset(changed["to"]))
    if (
        _COULD_BE().search(text)
        or _BY_CASE().search(text)
        or (len(gold.letters) == 1 and _BOTH().search(text))
    ):
        return None
    if len(gold.letters) == 1 and _ALL_BUT().search(text):
        return Choice(frozenset())
    text = _NAMES_THING().sub(" ", _AT_FIRST().sub("", text))
    text = _RATHER_THAN().sub("", text)
    text = conclusion(text, _ALONE_ANY())
    found = _given(text, gold, comma)
    if found is not None:
        return found
    text = _AS().split(text, maxsplit=1)[0] if _NAMED().search(_AS().split(text)[0]) else text
    said = _LETTER_IS().search(text)
    if said and len(gold.letters) == 1:
        return Choice(frozenset((said["l"] or said["o"] or said["s"] or said["r"]).upper()))
    named = [
        m
        for m in list(_NAMED().finditer(text))[-_MOST:]
        if not _rejected(text, m.start(m.lastgroup or 0))
    ]
    letters = [next(g for g in m.groups() if g).upper() for m in named]
    judged = _judged(text)
    if judged is not None:
        return judged
    if len(gold.letters) > 1:
        if _EITHER().search(text):
            return None
        at = named[0].start() if named else 0
        packed = _PACKED_LAST().search(text)
        if packed:
            return Choice(frozenset(packed["list"]))
        listed = [m["l"] for m in _ALONE_ANY().finditer(text, at)]
        return Choice(frozenset(listed)) if listed else None
    if letters:
        tail = text[named[-1].end() :]
        return (
            None if _another(tail.strip(" *_)].,"), letters[-1]) else Choice(frozenset(letters[-1]))
        )
    if _EITHER().search(text):
        return None
    letters_alone = list(_ALONE().finditer(text))[-_MOST:]
    alone = {m["l"] for m in letters_alone if not _rejected(text, m.start("l"))}
    if _ALONE_A().search(text):
        alone.add("A")
    return Choice(frozenset(alone)) if len(alone) == 1 else None


_ALONE_ANY = pattern(r"(?<![A-Za-z0-9'])[\[(]?(?P<l>[A-J])[\])]?(?![A-Za-z0-9'])")

KIND = Kind(
    "choice",
    _gold,
    _given,
    lambda given, gold: given.letters == gold.letters,
    _spoken,
    layer="by letter",
)
