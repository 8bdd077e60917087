"""Numbers and amounts with units: by exact value."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from derl_primitives.patterns import pattern
from derl_primitives.verdict import values
from derl_primitives.verdict.elements import unnamed
from derl_primitives.verdict.kinds.kind import Kind
from derl_primitives.verdict.numerals import words_value
from derl_primitives.verdict.quantity import NUMBER, Quantity, quantity_at, read_quantity, same_quantity
from derl_primitives.verdict.words import HEDGES, OR_WORDS, STATES

Amounts = tuple[Quantity, ...]
"""Amounts that an answer states side by side as one: `1/3 = 0.333...`, exact and rounded."""

_JOINTS = pattern(
    r"(?P<near>\s*(?:,?\s*(?:or|which is|that is|i\.e\.,?|i\.e)?\s*(?:\u2248|(?<![a-z])(?:approximately|approx\.?|about|roughly|around|rounded to|rounds to)(?![a-z])))\s*)"
    r"|(?P<same>\s*(?:==?|\u2261|,\s*(?:or|which is|that is|i\.e\.)\s*|\bi\.e\.,?\s*|\bor equivalently\b|\bor simply\b|\bor\b|\u21d2|=>|\u2192|\())"
)
_NAME = pattern(r"^[^\d=\u2248]{0,60}$")


def _gold(text: str) -> Amounts | None:
    quantity = read_quantity(text)
    if quantity is not None:
        return None if values.symbols(quantity.value) else (quantity,)
    return amounts(text, False)


def amounts(text: str, comma: bool) -> Amounts | None:
    """The amounts of an answer that states one value in several ways; None when they differ."""
    text = unnamed(text.strip())
    whole = read_quantity(text, comma)
    if whole is not None:
        return (whole,) if not values.symbols(whole.value) else None
    parts, joints, at = [], [], 0
    for match in _JOINTS().finditer(text):
        parts.append(text[at : match.start()])
        joints.append(match.lastgroup)
        at = match.end()
    if not joints or len(joints) > 6:
        return None
    parts.append(text[at:])
    found: list[Quantity] = []
    for k, part in enumerate(parts):
        part = part.strip(" ),.")
        if not part or (k == 0 and _NAME().match(part) and not words_value(part.lower())):
            continue
        quantity = read_quantity(part, comma)
        if quantity is None or values.symbols(quantity.value):
            return None
        if found and not _one_value(found[-1], quantity, "near" in joints[:k], text):
            return None
        found.append(quantity)
    return tuple(found) or None


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


def _given(text: str, gold: Amounts, comma: bool) -> Amounts | None:
    del gold
    return amounts(text, comma)


def _same(given: Amounts, gold: Amounts) -> bool | None:
    verdicts = [same_quantity(one, other) for one in given for other in gold]
    if True in verdicts:
        return True
    return None if None in verdicts else False


def _spoken(text: str, gold: Amounts, comma: bool) -> Amounts | None:
    """The amount that a sentence states: the only one, or the one after its last verb."""
    hedge = HEDGES().match(text)
    bare = text[hedge.end() :] if hedge else text
    found = amounts(bare.rstrip("!"), comma) or amounts(bare, comma)
    if found is not None and not (found[0].unit and len(bare.split()) > 6):
        return found
    matches = [m for m in NUMBER().finditer(text)][:40]
    if not matches:
        return _worded(bare, comma)
    quantities = [quantity_at(text, m, comma) for m in matches]
    if None in quantities:
        return None
    distinct = {(q.value, q.percent, q.unit and q.unit.dims) for q in quantities if q}
    if len(distinct) == 1:
        return (quantities[-1],) if quantities[-1] else None
    return _after_verb(text, matches, quantities, comma)


def _worded(text: str, comma: bool) -> Amounts | None:
    """A number word of a sentence without digits: the only one."""
    found = []
    words = _WORD().finditer(text)
    stop = 0
    for match in words:
        if match.start() < stop:
            continue
        value = words_value(text[match.start() :].lower()) if match.group().lower() not in _WEAK else None
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
    quantity = read_quantity(f"{-value[0] if minus else value[0]} {' '.join(tail[:2])}".replace("/", "/"), comma)
    return (quantity or Quantity(("num", -value[0] if minus else value[0])),)


_WORD = pattern(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_WEAK = frozenset("one un une una uma ein eine a second an one's seconds cent sei tre six a due or een".split()) - {"six"}


def _after_verb(text: str, matches: list, quantities: list, comma: bool) -> Amounts | None:
    verbs = [m for m in STATES().finditer(text) if m.end() <= matches[-1].start()]
    if not verbs:
        return None
    verb = verbs[-1]
    after = [k for k, m in enumerate(matches) if m.start() >= verb.end()]
    stated = text[verb.end() :]
    first = after[0]
    end = matches[after[1]].start() if len(after) > 1 else len(text)
    between = text[matches[first].end() : end]
    if len(after) > 1 and (OR_WORDS().search(between) or between.strip() in (",", "-", "\u2013", "to", "/", "and", "&")):
        found = amounts(stated, comma)
        return found
    if OR_WORDS().search(text[verb.end() : matches[first].start()]):
        return None
    return (quantities[first],)


def scaled(quantity: Quantity, factor: Fraction) -> Quantity:
    """The quantity times a factor."""
    return replace(quantity, value=("mul", ("num", factor), quantity.value))


KIND = Kind("number or amount", _gold, _given, _same, _spoken)
