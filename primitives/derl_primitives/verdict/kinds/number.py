"""Numbers and amounts with units: by exact value."""

from __future__ import annotations

import re
from fractions import Fraction

from derl_grammar.records import record
from derl_primitives.patterns import pattern
from derl_primitives.verdict import values
from derl_primitives.verdict.denial import affirmed, denied_after, denied_before
from derl_primitives.verdict.elements import name_of, unnamed
from derl_primitives.verdict.formula import symbols
from derl_primitives.verdict.kinds.expression import pieces
from derl_primitives.verdict.kinds.kind import Kind
from derl_primitives.verdict.number_words import words_value
from derl_primitives.verdict.quantity import (
    NUMBER,
    Quantity,
    quantity_at,
    read_quantity,
    same_quantity,
)
from derl_primitives.verdict.statement import (
    beside_each,
    conclusion,
    unhedged,
    views,
    without_asides,
)
from derl_primitives.verdict.words import OR_WORDS, STATES


@record
class Stated:
    """The amounts that an answer states side by side as one (`1/3 = 0.333...`), and its name."""

    amounts: tuple[Quantity, ...]
    name: str | None


_JOINTS = pattern(
    r"(?P<near>\s*(?:,?\s*(?:or|which is|that is|i\.e\.,?|i\.e)?\s*(?:\u2248"
    r"|(?<![a-z])(?:approximately|approx\.?|about|roughly|around|rounded to|rounds "
    r"to)(?![a-z])))\s*)"
    r"|(?P<same>\s*(?:==?|\u2261|,\s*(?:or|which is|that is|i\.e\.|in other words|that is to say"
    r"|namely"
    r"|equivalently|das heißt|d\.h\.|c'est-à-dire|es decir|то есть)[,\s]\s*|\bi\.e\.,?\s*|\bor "
    r"equivalently\b|\bor simply\b|\bor\b|\u21d2|=>|\u2192|\())"
)
_NAME = pattern(r"^(?=[^\d]*[^\W\d_])(?:[^\W\d_]|[\\{}'|, ]|_\{?\w\}?|\(\s*\w{1,3}\s*\)){1,60}$")


_TOPIC = pattern(r"(?<!\w)(?:task|question|problem|story|exercise|text) (?:is|was)$", re.I)
_LAST_NAME = pattern(r"(?<![^\W\d_])(?P<name>[^\W\d_])\s*$")


def _last_name(text: str) -> str | None:
    """The single letter that a text before `=` ends in: `Solving, k`."""
    match = _LAST_NAME().search(text)
    return match["name"] if match else None


def _gold(text: str) -> Stated | None:
    return amounts(text, False)


def amounts(text: str, comma: bool) -> Stated | None:
    """The amounts of an answer that states one value in several ways; None when they differ."""
    name = name_of(text)
    text = unnamed(text.strip())
    whole = read_quantity(text, comma)
    if whole is not None:
        return Stated((whole,), name) if not symbols(whole.value) else None
    parts, joints, at = [], [], 0
    joints_said: list[str] = []
    for match in _JOINTS().finditer(text):
        parts.append(text[at : match.start()])
        joints.append("equals" if "=" in match.group() else match.lastgroup)
        joints_said.append(match.group().lower())
        at = match.end()
    if not joints or len(joints) > 6:
        return None
    parts.append(text[at:])
    found: list[Quantity] = []
    for k, part in enumerate(parts):
        part = part.strip(" ),.")
        quantity = read_quantity(part, comma) if part else None
        defined = k == 0 and joints[0] in ("equals", "near")
        named = (
            defined
            and "|" not in part
            and _NAME().match(part)
            and (quantity is None or symbols(quantity.value))
        )
        turned = k == len(parts) - 1 and found and joints[-1] == "equals" and len(part) == 1
        if turned and part.isalpha():
            name = name or part
            continue
        if named and _TOPIC().search(part):
            return None
        if named:
            name = name or _last_name(part)
        if not part or named:
            continue
        if quantity is None or symbols(quantity.value):
            return None
        if found and not _one_value(found[-1], quantity, "near" in joints[:k], text):
            return None
        rounded = "round" in joints_said[k - 1] if k else False
        if found and rounded and _DECIMAL().fullmatch(parts[k - 1].strip()):
            found.clear()
        found.append(quantity)
    return Stated(tuple(found), name) if found else None


_DECIMAL = pattern(r"[^\d/]*\d+\.\d+,?")
"""A decimal, which what it is rounded to replaces: `2.236 rounds to 2.24`."""


def _one_value(a: Quantity, b: Quantity, near: bool, text: str) -> bool:
    if same_quantity(b, a):
        return True
    if not near and "..." not in text and "\u2026" not in text:
        return False
    try:
        x, y = values.at(a.value, {}), values.at(b.value, {})
    except values.Undefined:
        return False
    if a.percent != b.percent:
        x, y = x / (100 if a.percent else 1), y / (100 if b.percent else 1)
    return abs(x - y) <= 0.02 * max(abs(x), abs(y), 0.05)


def _given(text: str, gold: Stated, comma: bool) -> Stated | None:
    del gold
    return amounts(text, comma)


def _same(given: Stated, gold: Stated) -> bool | None:
    if (
        given.name
        and gold.name
        and given.name != gold.name
        and len(given.name) == len(gold.name) == 1
    ):
        return False
    verdicts = [same_quantity(one, other) for one in given.amounts for other in gold.amounts]
    if True in verdicts:
        return True
    return None if None in verdicts else False


def _spoken(text: str, gold: Stated, comma: bool) -> Stated | None:
    """The amount that a sentence states in its concluding clause."""
    if _OR_ASIDE().search(text):
        return None
    if _HYPOTHETICAL().search(text) or _ELSE().search(text) or beside_each(text):
        return None
    turned = _TURNED_INTO().search(text)
    text = text[turned.end() :] if turned else text
    picked = _PICKED_OF_RANGE().search(text)
    if picked:
        return amounts(picked["new"], comma)
    text = _INTRODUCED().sub("", text)
    text = without_asides(text)
    if (
        _ABSOLUTE().search(text)
        or _BY_CASE().search(text)
        or _OPERATES().search(text)
        or _NO_SUBJECT().match(text)
    ):
        return None
    other = _year(text, gold) or _odds(text, gold)
    if other is not None:
        return other
    text = _BELOW_ZERO().sub(r"-\1", _SELECTED().sub("", text))
    subject = _SUBJECT().match(text)
    if subject:
        return amounts(subject["n"], comma)
    if _PARALLEL().match(text) or _LABELLED().match(text):
        return None
    whole = _with_rounding(text, comma)
    if whole is not None:
        return whole
    clause = conclusion(text, _SAYS())
    if _ONE_OF_THESE().search(clause):
        return None
    for view in _exact_first(clause):
        found = amounts(view.rstrip("!"), comma) or amounts(view, comma)
        if found is not None and not (found.amounts[0].unit and len(view.split()) > 6):
            head = clause[: max(0, clause.rfind(view))]
            if _bounded(head) or (
                not _PICKED().search(head) and _offered(head, clause[len(head) + len(view) :])
            ):
                return None
            return found
    if gold is not None and gold.amounts[0].value[0] != "num":
        symbolic = _symbolic(text, comma)
        if symbolic is not None:
            return symbolic
    return _named_total(text, comma) or _scanned(clause, comma)


def _symbolic(text: str, comma: bool) -> Stated | None:
    """The only formula of a sentence that has a root, a power or \u03c0 in it."""
    found = {p.strip(" .") for p in pieces(text) if _SYMBOLIC().search(p)}
    return amounts(found.pop(), comma) if len(found) == 1 else None


_SYMBOLIC = pattern(r"[\u03c0\u221a]|\\(?:sqrt|frac)|(?<![a-z])(?:pi|sqrt)(?![a-z])")


_SO_ABOUT = pattern(
    r"(?<=\S),?\s(?:so|or|hence|i\.e\.,?|that is,?|which is)\s(?:about|roughly|approximately"
    r"|around|circa)\s",
    re.I,
)


def _with_rounding(text: str, comma: bool) -> Stated | None:
    """An exact value with its rounding: `it is 2/3, so roughly 0.67`."""
    match = _SO_ABOUT().search(text)
    if match is None:
        return None
    rounded = amounts(text[match.end() :], comma)
    if rounded is None:
        return None
    for view in views(text[: match.start()]):
        exact = amounts(view, comma)
        if exact is not None and _one_value(exact.amounts[-1], rounded.amounts[0], True, text):
            return Stated(exact.amounts + rounded.amounts, exact.name)
    return None


_ONE_OF_THESE = pattern(
    r"(?<!\w)one of (?:these: |the (?:numbers|values) )?[$]?\d[\d.,]*(?:,| and"
    r"| or) [^;:]*\d[\d.]*[.!]*$",
    re.I,
)
"""Candidates of which none is chosen: `one of 84 and 85`."""
_ROUNDED = pattern(r"(?:\u2248|,? so (?:about|roughly|approximately|around))\s*$", re.I)


def _exact_first(clause: str) -> list[str]:
    """The views of a clause, those that a sign of rounding opens last: `9\u03c0 \u2248 28.27`."""
    found = list(views(clause))
    return sorted(found, key=lambda v: bool(_ROUNDED().search(clause[: clause.rfind(v)])))


_HYPOTHETICAL = pattern(
    r"(?<!\w)would (?:have been|be) [^,;]*\d[^,;]*(?<!\w)(?:if|without|unless|were"
    r"|in that case)(?!\w)"
    r"|(?<!\w)(?:contradiction|absurd)[.!]*$",
    re.I,
)
"""What would be, and what leads to nothing."""
_ELSE = pattern(
    r"\d[^;]{0,30};\s+(?:if not|else|otherwise|or else|failing that)(?!\w)[^;]*\d", re.I
)
"""Another value for another case: `12; if not, 47`."""
_TURNED_INTO = pattern(
    r"^\W*(?:the )?[$]?\d[\d.,]*\s+(?:changes? (?:in)?to|becomes?|turns? into|(?:has to|must"
    r"|should) be (?:replaced|corrected|changed) (?:by|to|with|into))\s+"
    r"|^\W*(?:replace|change|correct) [$]?\d[\d.,]*\s+(?:by|to|with|into)\s+(?=[$]?\d)",
    re.I,
)
"""A value that becomes another one: `12 changes into 47`."""
_PICKED_OF_RANGE = pattern(
    r"(?<!\w)(?:between|from|either|or)(?!\w)[^.;]{0,60}\d[,;:]\s+(?:so |but |and )?(?:probably"
    r"|most likely|very likely|presumably"
    r"|i'd say|i would say|i(?:'d| would)? guess|my guess is|i (?:\w+ )?(?:pick|choose"
    r"|take))\s+(?P<new>[$]?-?\d[\d.,/]*\d?(?: \w+)?)[.!]*$",
    re.I,
)
"""A range, then the value that is picked: `between 40 and 50, probably 45`."""
_INTRODUCED = pattern(
    r"^\W*(?:at first|initially|first|originally|yesterday)(?!\w)[^,;]*\d[^,;]*[,;]\s+(?=(?:in "
    r"the end|finally|now"
    r"|then|today|but|later)(?!\w))"
    r"|^\W*(?:when|for|with|if|at|setting|putting|taking|let) [a-z]\s?=\s?[^,;]{1,20},\s+"
    r"|^\W*(?:after|when|since|as|with|by|having|once"
    r"|upon) [^,;.]*\d[^,;.]*,\s+(?=[$]?\d[\d.,]*\s+(?:[a-z]+ )?(?:is|are|was|were|remain|stay))",
    re.I,
)
"""A clause before the number of its sentence: `after selling 9, 45 are left`."""
_OR_ASIDE = pattern(
    r"\d[^\d()]{0,20}\((?:alternatively|respectively|resp\.)[,:]? [$]?\d|"
    r"\d[^\d()]{0,20}\((?:or|perhaps|maybe|possibly)\s+[$]?\d[\d.,]*(?: \w+)?,? (?:with|without"
    r"|if|when|counting|including|excluding|depending|after|before|on)(?!\w)(?! (?:rounded|you "
    r"round|round))[^()]*\)",
    re.I,
)
"""Another value in brackets: `34 (or 35 with the guide)`."""
_BOUND = pattern(
    r"(?<!\w)(?:(?:more|less|fewer|greater|bigger|larger|smaller|higher|lower"
    r"|longer|shorter"
    r"|older|younger|other|rather) than|at (?:least|most)"
    r"|(?<!add )(?<!adds )(?<!added )(?<!sum )(?<!sums )up to|as (?:many|much|few|little|long"
    r"|high) as|exceeds?"
    r"|below|above|under(?! \w)|beyond|anywhere near|multiple of|divisible by|twice|double|thrice"
    r"|triple|(?:number|one|prime|integer|value|square|multiple) (?:after|before|above|below"
    r"|following|preceding)"
    r"|(?:is|are|was|were|well|just|slightly) over|(?:factor|divisor|power|part) of|such as"
    r"|e\.g\.,?|for (?:example|instance),?|(?:half|third|quarter|fifth|root"
    r"|square|cube|fraction|percent|%|share|multiple|most"
    r"|part) of|(?:two|three|four|five|ten|\d) times)(?: than)?(?: or equal to)?(?: the)?[\s$*]*$",
    re.I,
)
_CHANGED = pattern(
    r"[\s$*)]*(?:squared|cubed|to the (?:power|\w+ power|second|third|\w+th(?= power|[.!]|$))"
    r"|factorial|choose|mod(?:ulo)?"
    r"|or (?:more|less|fewer|greater|higher|lower|above|below|so many|over|under)|and (?:up|over"
    r"|above|more)"
    r"|(?:more|less|fewer|greater|larger|smaller|higher|lower) than (?:[\d$][\d.,]*|\w(?!\w))"
    r"|(?:and|plus|with) (?:an? )?(?:\w+ )?(?:tip|tax|fee|bonus|surcharge|deposit) of [\d$]"
    r"|plus (?:another |an? (?:extra )?)?[\d$][\d.,]*|(?:times|percent of|% of) [\d$][\d.,]*"
    r"|\+(?=[\s.]|$)|plus or minus|give or take)(?!\w)",
    re.I,
)
_PART_OF = pattern(r"\s*\}?\s*of\s+[$\d\\]")


def _bounded(head: str) -> bool:
    """Whether the words before a number make it a bound or a part of the answer: `more than 30`."""
    return _BOUND().search(affirmed(head.lower())) is not None or denied_before(head.lower())


def _altered(text: str, match: re.Match[str]) -> bool:
    """Whether the words around a number make it another one: `4 squared`, `2/3 of 3`."""
    share = match["frac"] or match["pct"] or match.group().startswith("\\")
    return (
        _bounded(text[max(0, match.start() - 160) : match.start()])
        or _CHANGED().match(text, match.end()) is not None
        or denied_after(text[match.end() : match.end() + 160].lower())
        or bool(share and _PART_OF().match(text, match.end()))
    )


_BELOW_ZERO = pattern(
    r"(?<![\w-])(\d[\d.,]*(?: (?:degrees?|°C?))?(?: \w+)?) below (?:zero|freezing|sea level)", re.I
)
_ABSOLUTE = pattern(r"\|[^|]*[A-Za-z][^|]*\|\s*=\s*[^=]*$")
"""`|x| = 18`: not what x is."""
_BY_CASE = pattern(
    r"\d[^.;\d]{0,30}(?<!\w)otherwise(?!\w)[^.;\d]{0,20}\d|"
    r"\d[^.;\d]{0,40}(?<!\w)if [^.;]{1,60}(?<!\w)(?:otherwise|else)(?!\w)[^.;]*\d|"
    r"\d[^.;\d]{0,40}(?<!\w)if\s.{1,60}?\d[^.;\d]{0,40}(?<!\w)(?:if|otherwise|else)(?!\w)"
)
"""`5 if n is odd and 7 if n is even`: two answers."""
_OPERATES = pattern(
    r"(?<!\w)(?:we|i|you|one|he|she|they|must|then|now|just|to|let's|can|should|be|is|are|it|and"
    r"|so)"
    r" (?:\w+ly )?(?:divid|multipl|subtract|add|split|deduct|round|substitut|rais|factor|plug"
    r"|compar)"
    r"(?:e|y|t|s|es|ies|ed|ied|ing)?(?!\w)(?![^.;]{0,80}(?:=|(?<!\w)(?:is|are|to (?:get|obtain"
    r"|give|reach"
    r"|make|find|have|arrive)|up to|down to|equals?|gives?|makes?|leaves?|gets?|giving"
    r"|for)(?!\w)))[^,;:=]*$",
    re.I,
)
"""A step that is still to be done: `so we divide by 12`."""
_SUBJECT = pattern(
    r"\W*(?:(?:so|thus|hence|therefore|then)[, ]+)?(?P<n>[-+]?[$]?\d[\d.,/]*\d|\d) (?:is"
    r"|are) (?:thus |therefore |then "
    r"|indeed )?(?:the|our) (?:\w+ )?(?:smallest|largest|least|greatest|only|answer|solution"
    r"|result|minimum"
    r"|maximum|best|lowest|highest)(?!\w)",
    re.I,
)
"""The value that a sentence opens with and names: `14 is the smallest, and 15 the next`."""
_PARALLEL = pattern(
    r"\W*(?:(?:so|thus|hence|therefore)[, ]+)?\d[\d.,]* [^\d,;=]{3,60}, (?:and|while|whereas"
    r"|but) \d[\d.,]* "
    r"[^\d,;=]{3,60}$",
    re.I,
)
"""Two values side by side: `36 children take part, and 4 stay at home`."""
_PICKED = pattern(
    r"(?<!\w)i(?:'ll|'d| will| would)? (?:\w+ly )?(?:pick|choose|take|say|select|go (?:with|for)"
    r"|settle (?:on|for)"
    r"|opt for|decide on|keep|answer)\s[\s$*]*$",
    re.I,
)
_LABELLED = pattern(
    r"\W*[^\W\d_]+(?: [^\W\d_]+){0,2}:\s*[$]?\d[\d.,/]*(?: \w+)?[,;]\s*(?!total|sum|altogether"
    r"|together|so|answer"
    r"|result|in total|in all|left)[^\W\d_]+(?: [^\W\d_]+){0,2}:\s*[$]?\d[\d.,/]*(?: \w+)?\W*$",
    re.I,
)
"""Two values, each with its label: `ducks: 71, geese: 12`."""
_NO_SUBJECT = pattern(
    r"\W*(?:no|nope|nein|non|нет)\W+\d[\d.,]*\s+(?:leaves|is|does|fails|has|would|can|cannot"
    r"|gives|was"
    r"|isn't|doesn't|won't|hat|ist|a|est|tiene|es)(?!\w)",
    re.I,
)
"""A value that is turned down: `No: 12 leaves a remainder`."""
_YEAR = pattern(
    r"(?<!\w)(?:in|since|of|year|around|jahre?|en|em|nel|в|l'an) ([12]\d{3})(?![\d.,]*\d)", re.I
)


_OF_ANOTHER = pattern(r"(?<!\w)(?:is|are|was|were|be) (?:\w+ )?(?![12]\d{3}(?!\d))\d")


def _year(text: str, gold: Stated) -> Stated | None:
    """The year that a sentence names when gold may be one: `Apollo 11 landed in 1969`."""
    wanted = gold.amounts[0]
    if (
        wanted.unit
        or wanted.percent
        or wanted.value[0] != "num"
        or not 1000 <= wanted.value[1] < 3000
    ):
        return None
    if _OF_ANOTHER().search(text):
        return None
    years = set(_YEAR().findall(text))
    return amounts(years.pop(), False) if len(years) == 1 else None


_ODDS = pattern(
    r"(?<![\w.,])(?P<k>\w+) (?:in|out of) (?P<n>(?!the|all|his|her|a )\w+)(?![\w.,]\d)", re.I
)


def _odds(text: str, gold: Stated) -> Stated | None:
    """A share in words when gold is one: `one in six`."""
    wanted = gold.amounts[0].value
    whole = 100 if gold.amounts[0].percent else 1
    if wanted[0] != "num" or not 0 < wanted[1] < whole:
        return None
    for match in _ODDS().finditer(text):
        share = read_quantity(match["k"]), read_quantity(match["n"])
        if share[0] and share[1] and share[0].value[0] == share[1].value[0] == "num":
            part, whole = share[0].value[1], share[1].value[1]
            if 0 < part < whole:
                return Stated((Quantity(("num", part / whole)),), None)
    return None


_SAYS = pattern(
    r"\d|(?<![a-z])(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen"
    r"|\w+ty|hundred|thousand|million|half|zero|dozen)(?![a-z])|\u03c0|[零一二三四五六七八九十百千万]",
    re.I,
)


_OTHERS = pattern(
    r"\(?(?:or|oder|ou|или)\s+(?:\d|some|another|any|something|else|more|the other)", re.I
)


_SELECTED = pattern(
    r"^\W*(?:of|among|between|from|out of)\s[\w\s,.$]{0,80}?\d,?\s+(?=(?:the|only|just|i|we|it)\s)"
    r"|^\W*(?:of|among|between)\s[\d,\s.$]{1,60}(?:and|or) [\d.]+,\s+(?=\d)",
    re.I,
)
"""Candidates of which the sentence then names one."""


def _offered(head: str, tail: str) -> bool:
    """Whether another number is offered before or behind: `7 or 8`, `7 or some other prime`."""
    if _OTHERS().search(tail):
        return True
    head = _SELECTED().sub("", head)
    return OR_WORDS().search(head.lower()) is not None and any(c.isdigit() for c in head)


_RESTATED = pattern(
    r"[,;(]\s*(?:i\.e\.,?|that is,|that is to say,?|namely"
    r"|in other words,?)\s+(?P<new>[^,;]{1,60}?)[).!]*$",
    re.I,
)
_IN_ALL = pattern(
    r"(?<![\w.,])(?P<new>[$\u20ac\u00a3]?-?\d[\d.,/]*\d?(?: [^\W\d]+)?) (?:in all|in total"
    r"|all told|altogether|all in all|combined|in the end|at the end|at last)(?!\w)",
    re.I,
)
_OF_UNKNOWN = pattern(
    r"(?:(?<![A-Za-z\d])\d+\s?[xyznkabtpqw]|(?<![A-Za-z])[xyznkabtpqw]\s?(?:\^\s?\{?\s?\d+\s?\}?"
    r"|[+*/-]\s?\d+))\s*$"
)
"""The left side of an equation that is not solved yet: `3x`, `x^{2}`, `x + 9`."""


def _named_total(text: str, comma: bool) -> Stated | None:
    """The amount that a sentence says again in other words, or calls the whole of several."""
    match = _RESTATED().search(text)
    if match is not None:
        return amounts(match["new"], comma)
    found = list(_IN_ALL().finditer(text))
    if len(found) == 1 and not denied_before(text[: found[0].start()].lower()):
        return amounts(found[0]["new"], comma)
    return None


def _scanned(text: str, comma: bool) -> Stated | None:
    """The only amount of a clause that nothing but names: `14` in "he has 14 of the 20"."""
    matches = list(NUMBER().finditer(text))[:40]
    if not matches:
        return _worded(unhedged(text), comma)
    if any(_DENIED().search(text, max(0, m.start() - 40), m.start()) for m in matches[-1:]):
        return None
    first, last = matches[0], matches[-1]
    between = text[first.start() : last.end()].lower()
    equals = text.rfind("=")
    if equals >= 0:
        if _OF_UNKNOWN().search(text, 0, equals):
            return None
        after = [
            m
            for m in matches
            if m.start() > equals and not text[equals + 1 : m.start()].strip(" $*~\u2248")
        ]
        if after and not OR_WORDS().search(between):
            found = quantity_at(text, after[0], comma)
            return Stated((found,), None) if found else None
    main = [m for m in matches if not _ASIDE_NUMBER().search(text, 0, m.start())] or matches
    if len(matches) > 1 and OR_WORDS().search(text[main[0].start() : main[-1].end()].lower()):
        return None
    if _OTHERS().search(text, matches[0].end()):
        return None
    if len(matches) > 1 and _RANGING().search(text, 0, matches[0].start()):
        return None
    quantities = [None if _altered(text, m) else quantity_at(text, m, comma) for m in main]
    if None in quantities:
        return None
    distinct = {(q.value, q.percent, q.unit and q.unit.dims) for q in quantities if q}
    if len(distinct) == 1 and quantities[-1]:
        return Stated((quantities[-1],), None)
    return _after_verb(text, main, [q for q in quantities if q])


_RANGING = pattern(
    r"(?<!\w)(?:anywhere|somewhere|between|either|rang(?:es|ing))(?: (?:from|in))?[\s$*]*$", re.I
)
_DENIED = pattern(
    r"(?<!\w)(?:not|isn't|wasn't|aren't|never|nicht|keine?|pas|kein|не|ikke"
    r"|inte)\s+(?:[a-z]+\s+)?[*$]{0,3}$"
    r"|(?:不是|并非|не)\s*$",
    re.I,
)
_ASIDE_NUMBER = pattern(
    r"(?<![a-z])(?:of (?:the|his|her|their|our|its|those|these|all) [a-z]{3,12}|of|out of|of the"
    r"|of those|of these|of his|of her|of their|of all|of its"
    r"|at|in|per|for|with|between|than|from|by|after|before|on|every|each|to (?!about"
    r"|exactly|nearly|roughly|approximately|almost|be |get |obtain |give |reach "
    r")[a-z]{3,14}|the|those|these"
    r"|all|other|first|last|step|case|part|day|week|page|bus|room|train|gate|platform|version"
    r"|lemma|theorem|item"
    r"|exercise|section|route|figure|equation|problem|question"
    r"|chapter|over|under|into|among|across|within|during|since|der|den|von|aus|sur|de|des"
    r"|les|los|las|из|por|para|en)\s+[*$]{0,3}$",
    re.I,
)


def _worded(text: str, comma: bool) -> Stated | None:
    """A number word of a sentence without digits: the only one."""
    if _NONE().match(text):
        return Stated((Quantity(("num", Fraction(0))),), None)
    if _ONE_OF().match(text):
        return Stated((Quantity(("num", Fraction(1))),), None)
    found = []
    words = _WORD().finditer(text)
    stop = 0
    for match in words:
        if match.start() < stop:
            continue
        value = (
            words_value(text[match.start() :].lower())
            if match.group().lower() not in _WEAK or _PART_WORD().match(text, match.end())
            else None
        )
        if value is not None:
            found.append((match.start(), value))
            stop = match.start() + value[1]
        if len(found) > 8:
            return None
    if not found:
        return _characters(text)
    if len({v[0] for _, v in found}) > 1:
        return None
    start, value = found[-1]
    if denied_after(text[start + value[1] :][:160].lower()):
        return None
    minus = text[:start].rstrip().casefold().endswith(("minus", "negative"))
    tail = text[start + value[1] :].split()
    quantity = read_quantity(f"{-value[0] if minus else value[0]} {' '.join(tail[:2])}", comma)
    return Stated((quantity or Quantity(("num", -value[0] if minus else value[0])),), None)


_CHARACTERS = pattern(
    "[\u96f6\u3007\u4e00\u4e8c\u4e09\u56db\u4e94\u516d\u4e03\u516b\u4e5d\u5341\u767e\u5343\u4e07"
    "\u842c\u4ebf\u5104\u4e24]+"
)


def _characters(text: str) -> Stated | None:
    """A number in Chinese characters within a sentence: the only one of two or more characters."""
    found = {
        v[0]
        for m in _CHARACTERS().finditer(text)
        if (v := words_value(text[m.start() :])) and len(m.group()) > 1
    }
    return Stated((Quantity(("num", found.pop())),), None) if len(found) == 1 else None


_NONE = pattern(r"\W*(?:so |thus |hence )?none (?:of|is|are|was|were|remain|will)(?!\w)", re.I)
_ONE_OF = pattern(
    r"\W*(?:so |thus |hence )?(?:only |exactly |just )?one of (?:the|those|these|all|his|her"
    r"|their|our|its)(?!\w)",
    re.I,
)
_PART_WORD = pattern(
    r"[ -](?:half|third|quarter|fourth|fifth|sixth|seventh|eighth|ninth|tenth)(?!\w)", re.I
)
_WORD = pattern(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_WEAK = frozenset(
    [
        "one",
        "un",
        "une",
        "una",
        "uma",
        "ein",
        "eine",
        "a",
        "second",
        "an",
        "one's",
        "seconds",
        "cent",
        "sei",
        "tre",
        "six",
        "a",
        "due",
        "or",
        "een",
    ]
) - {"six"}


_BOTH = pattern(
    r"^\s*(?:[-,\u2013/&]|to|,? ?and)\s*$|(?<!\w)(?:and|then|but|while|whereas)\s*[$*]*$"
)
"""Between two values that one sentence states side by side."""


def _after_verb(
    text: str, matches: list[re.Match[str]], quantities: list[Quantity]
) -> Stated | None:
    verbs = [m for m in STATES().finditer(text) if m.end() <= matches[-1].start()]
    if not verbs:
        return None
    after = [k for k, m in enumerate(matches) if m.start() >= verbs[-1].end()]
    if len(after) > 1:
        between = text[matches[after[0]].end() : matches[after[1]].start()]
        if _BOTH().search(between):
            return None
    return Stated((quantities[after[0]],), None)


KIND = Kind("number or amount", _gold, _given, _same, _spoken)
