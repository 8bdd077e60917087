"""Numbers and amounts with units: by exact value."""

from __future__ import annotations

import re
from dataclasses import dataclass

from derl_primitives.patterns import pattern
from derl_primitives.verdict import values
from derl_primitives.verdict.elements import name_of, unnamed
from derl_primitives.verdict.formula import symbols
from derl_primitives.verdict.kinds.kind import Kind
from derl_primitives.verdict.number_words import words_value
from derl_primitives.verdict.quantity import (
    NUMBER,
    Quantity,
    quantity_at,
    read_quantity,
    same_quantity,
)
from derl_primitives.verdict.statement import conclusion, unhedged, views, without_asides
from derl_primitives.verdict.words import OR_WORDS, STATES


@dataclass(frozen=True, slots=True)
class Stated:
    """The amounts that an answer states side by side as one (`1/3 = 0.333...`), and its name."""

    amounts: tuple[Quantity, ...]
    name: str | None


_JOINTS = pattern(
    r"(?P<near>\s*(?:,?\s*(?:or|which is|that is|i\.e\.,?|i\.e)?\s*(?:\u2248"
    r"|(?<![a-z])(?:approximately|approx\.?|about|roughly|around|rounded to|rounds "
    r"to)(?![a-z])))\s*)"
    r"|(?P<same>\s*(?:==?|\u2261|,\s*(?:or|which is|that is|i\.e\.)\s*|\bi\.e\.,?\s*|\bor "
    r"equivalently\b|\bor simply\b|\bor\b|\u21d2|=>|\u2192|\())"
)
_NAME = pattern(r"^(?=[^\d]*[^\W\d_])(?:[^\W\d_]|[\\{}'|, ]|_\{?\w\}?|\(\s*\w{1,3}\s*\)){1,60}$")


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
    for match in _JOINTS().finditer(text):
        parts.append(text[at : match.start()])
        joints.append("equals" if "=" in match.group() else match.lastgroup)
        at = match.end()
    if not joints or len(joints) > 6:
        return None
    parts.append(text[at:])
    found: list[Quantity] = []
    for k, part in enumerate(parts):
        part = part.strip(" ),.")
        quantity = read_quantity(part, comma) if part else None
        defined = k == 0 and joints[0] in ("equals", "near")
        named = defined and _NAME().match(part) and (quantity is None or symbols(quantity.value))
        if not part or named:
            continue
        if quantity is None or symbols(quantity.value):
            return None
        if found and not _one_value(found[-1], quantity, "near" in joints[:k], text):
            return None
        found.append(quantity)
    return Stated(tuple(found), name) if found else None


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
    text = without_asides(text)
    clause = conclusion(text, _SAYS())
    for view in views(clause):
        found = amounts(view.rstrip("!"), comma) or amounts(view, comma)
        if found is not None and not (found.amounts[0].unit and len(view.split()) > 6):
            if _offered(clause, view):
                return None
            return found
    return _scanned(clause, comma)


_SAYS = pattern(
    r"\d|(?<![a-z])(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen"
    r"|\w+ty|hundred|thousand|million|half|zero|dozen)(?![a-z])|\u03c0|[零一二三四五六七八九十百千万]",
    re.I,
)


def _offered(clause: str, view: str) -> bool:
    """Whether the clause offers another number before the view: `7 or 8`."""
    at = clause.rfind(view)
    head = clause[:at] if at > 0 else ""
    return (
        bool(head)
        and OR_WORDS().search(head.lower()) is not None
        and any(c.isdigit() for c in head)
    )


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
    quantities = [quantity_at(text, m, comma) for m in main]
    if None in quantities:
        return None
    distinct = {(q.value, q.percent, q.unit and q.unit.dims) for q in quantities if q}
    if len(distinct) == 1 and quantities[-1]:
        return Stated((quantities[-1],), None)
    return _after_verb(text, main, [q for q in quantities if q])


_DENIED = pattern(
    r"(?<!\w)(?:not|isn't|wasn't|aren't|never|nicht|keine?|pas|kein|не|ikke|inte)\s+(?:[a-z]+\s+)?[*$]{0,3}$"
    r"|(?:不是|并非|не)\s*$",
    re.I,
)
_ASIDE_NUMBER = pattern(
    r"(?<![a-z])(?:of|out of|of the|of those|of these|of his|of her|of their|of all|of its"
    r"|at|in|per|for|with|between|than|from|by|after|before|on|every|each|to (?!about"
    r"|exactly|nearly|roughly|approximately|almost|be |get |obtain |give |reach "
    r")[a-z]{3,14}|the|those|these"
    r"|all|other|first|last|step|case|part|day|week|page|figure|equation|problem|question"
    r"|chapter|over|under|into|among|across|within|during|since|der|den|von|aus|sur|de|des"
    r"|les|los|las|из|por|para|en)\s+[*$]{0,3}$",
    re.I,
)


def _worded(text: str, comma: bool) -> Stated | None:
    """A number word of a sentence without digits: the only one."""
    found = []
    words = _WORD().finditer(text)
    stop = 0
    for match in words:
        if match.start() < stop:
            continue
        value = (
            words_value(text[match.start() :].lower())
            if match.group().lower() not in _WEAK
            else None
        )
        if value is not None:
            found.append((match.start(), value))
            stop = match.start() + value[1]
        if len(found) > 8:
            return None
    if not found or len({v[0] for _, v in found}) > 1:
        return None
    start, value = found[-1]
    minus = text[:start].rstrip().casefold().endswith(("minus", "negative"))
    tail = text[start + value[1] :].split()
    quantity = read_quantity(f"{-value[0] if minus else value[0]} {' '.join(tail[:2])}", comma)
    return Stated((quantity or Quantity(("num", -value[0] if minus else value[0])),), None)


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


def _after_verb(
    text: str, matches: list[re.Match[str]], quantities: list[Quantity]
) -> Stated | None:
    verbs = [m for m in STATES().finditer(text) if m.end() <= matches[-1].start()]
    if not verbs:
        return None
    after = [k for k, m in enumerate(matches) if m.start() >= verbs[-1].end()]
    if len(after) > 1:
        between = text[matches[after[0]].end() : matches[after[1]].start()]
        if between.strip() in (",", "-", "\u2013", "to", "/", "and", "&", ", and"):
            return None
    return Stated((quantities[after[0]],), None)


KIND = Kind("number or amount", _gold, _given, _same, _spoken)
