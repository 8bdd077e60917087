r"""Sets, lists of solutions and tuples.

Of a set and a list the order does not count, completeness does; of a tuple both do. `(a, b)` may
also be an open interval: then the same interval in another spelling is the same answer, a closed
one is another.
"""

from __future__ import annotations

import re

from derl_grammar.records import record
from derl_primitives.patterns import pattern
from derl_primitives.verdict.clean import SET_CLOSE, SET_OPEN, squeezed
from derl_primitives.verdict.elements import name_of, same_items, same_row, unnamed
from derl_primitives.verdict.kinds import interval
from derl_primitives.verdict.kinds.kind import Kind
from derl_primitives.verdict.quantity import joined, read_quantity
from derl_primitives.verdict.split import at_top, bracketed, listed
from derl_primitives.verdict.statement import views

_EMPTY = pattern(
    r"^(?:\u2205|\u2983\s*\u2984|\{\s*\}|set\(\)|(?:there (?:are|is) )?no (?:real "
    r"|integer |such |valid |possible )?(?:solutions?|roots?|values?|elements?|number"
    r"|[xyzn])(?: (?:exists?|works?|satisf\w+ (?:it|this|them)|is possible))?|(?:the )?(?:empty"
    r"|null) set|empty|(?:the )?(?:solution )?set is empty|none|\u00f8|\u00d8|keine lösung(?:en)?"
    r"|leere menge|aucune solution|ensemble vide|sin solución|conjunto vacío|нет решений"
    r"|пустое множество|无解|空集|解なし)$"
)
_PLUS_MINUS = pattern(r"\u00b1|\+/-|\+-|plus or minus ")
_SETWORDS = pattern(
    r"^(?:the )?(?:set|solution set|solutions?|roots?|values?|answers?|zeros?|numbers|points"
    r"|elements|digits|divisors|factors|primes)\s*(?:is|are"
    r"|=|:)?\s*(?=[\d\u2983{(\[x-])|^x\s*\u2208\s*",
    re.I,
)
_EACH = pattern(
    r"^\([a-z](?:\s*,\s*[a-z])+\)\s*=\s*(?=\()|^[a-zA-Z]\s*(?:\u2208|=)\s*(?=[\u2983{])"
)


@record
class Items:
    """Some entries: in order (a tuple), or not; `bare` when no bracket says which."""

    entries: tuple[str, ...]
    ordered: bool
    bare: bool = False
    comma: bool = False
    names: tuple[str | None, ...] = ()
    squared: bool = False


def _unfolded(entries: list[str]) -> list[str]:
    """`\u00b1 3` is two entries; a repeated one counts once."""
    found: list[str] = []
    for entry in entries:
        match = _PLUS_MINUS().search(entry)
        both = (
            [entry] if match is None else [_PLUS_MINUS().sub(s, entry, count=1) for s in ("+", "-")]
        )
        for one in both:
            one = one.strip().removeprefix("+").strip()
            if squeezed(one) not in map(squeezed, found):
                found.append(one)
    return found


def items_of(text: str, comma: bool = False) -> Items | None:
    """The entries of a set, a list or a tuple, or None when the text is none of them."""
    text = text.strip(" .;!")
    if _EMPTY().match(text.casefold()):
        return Items((), ordered=False, comma=comma)
    text = _EACH().sub("", _SETWORDS().sub("", text))
    if not text or len(text) > 2000:
        return None
    body = unnamed(text)
    inner = bracketed(body) or bracketed(text)
    if inner is not None:
        kind = inner[0] + inner[2]
        if kind in (SET_OPEN + SET_CLOSE, "{}"):
            return Items(
                tuple(_unfolded([e.strip() for e in at_top(inner[1], ",;")])),
                ordered=False,
                comma=comma,
            )
        if kind in ("()", "[]", "\u27e8\u27e9"):
            entries = [e.strip() for e in at_top(inner[1], ",;")]
            if len(entries) > 1 and all(entries):
                return Items(tuple(entries), ordered=True, comma=comma, squared=kind == "[]")
    text = joined(text, comma) if "," in text else text
    entries = listed(text)
    if len(entries) < 2 and not _PLUS_MINUS().search(text):
        return None
    names = tuple(name_of(e) for e in entries)
    return Items(tuple(_unfolded(entries)), ordered=False, bare=True, comma=comma, names=names)


def _gold(text: str) -> Items | None:
    items = items_of(text)
    if items is None:
        return None
    if items.bare and (
        read_quantity(text) is not None or not all(_mathematical(e) for e in items.entries)
    ):
        return None
    return items if items.bare or not items.entries or all(items.entries) else None


_WORDY = pattern(r"(?<!\\)(?<![A-Za-z])(?!sin|cos|tan|log|ln|sqrt|exp|pi)[A-Za-z]{3,}")


def _mathematical(entry: str) -> bool:
    entry = unnamed(entry)
    return read_quantity(entry) is not None or not _WORDY().search(entry)


def _given(text: str, gold: Items, comma: bool) -> Items | None:
    found = items_of(text, comma)
    if found is not None:
        return found
    one = text.strip(" .")
    if gold.ordered and interval.union_of(one, comma):
        return Items((one,), ordered=False, bare=True, comma=comma)
    if read_quantity(unnamed(one), comma) is not None:
        return Items((one,), ordered=False, bare=True, comma=comma)
    return None


_SPAN = pattern(
    r"[\u2983{][^\u2983\u2984{}]{0,300}[\u2984}]|\((?:[^()]|\([^()]{0,60}\)){1,200}\)"
    r"|\[[^\[\]]{1,200}\]"
)


_NAMED_ITEMS = pattern(
    r"(?<![\w\\])[A-Za-z](?:_\{?\w\}?)?\s?=\s?[^=]{1,40}(?:,|and|or|und"
    r"|;)\s{0,2}[A-Za-z](?:_\{?\w\}?)?\s?=.{1,200}$"
)


_IS_VALUE = pattern(
    r"(?<![A-Za-z'])([a-zA-Z]) (?:is|equals|must be|ist|est|es|\u00e8|\u00e9) (?=[-\d\\(])"
)
_BEHIND_NOUN = pattern(
    r"(?<!\w)(?:solutions|roots|values|zeros|zeroes|answers|numbers|elements|lösungen|soluciones"
    r"|racines|soluzioni"
    r"|soluções)\s?(?:,|:|,? namely)\s+(?P<items>[-+\d\\a-z(][^.;]{0,120}?)\.?$",
    re.I,
)
"""The list behind its noun: `there are two solutions, 4 and -9`."""
_SUBJECT = pattern(
    r"\W*(?:(?:so|thus|hence|therefore)[, ]+)?(?P<items>[^A-Za-z]{1,60}? (?:and|und|et|y|e|или|и) "
    r"[^A-Za-z]{1,30}?) (?:are|sind|sont|son|sono) (?:the|its|all|both|die|les|las|los)(?!\w)",
    re.I,
)
"""The list that a sentence opens with: `3 and 8 are the roots`."""


def _spoken(text: str, gold: Items, comma: bool) -> Items | None:
    """The last bracketed list of a sentence, else its list in words."""
    text = _IS_VALUE().sub(r"\1 = ", text)
    named = _NAMED_ITEMS().search(text)
    if named is not None:
        whole = items_of(named.group(), comma)
        if whole is not None and len(whole.entries) > 1 and None not in whole.names:
            return whole
    subject = _SUBJECT().match(text)
    behind = _BEHIND_NOUN().search(text)
    if gold.ordered and len(gold.entries) == 2 and _spans(gold):
        for view in views(text):
            if "(" not in view and interval.union_of(view, comma):
                return Items((view,), ordered=False, bare=True, comma=comma)
    first = [found["items"] for found in (subject, behind) if found]
    for view in (*first, *views(text)):
        whole = items_of(view, comma)
        if whole is not None and (not whole.bare or all(_mathematical(e) for e in whole.entries)):
            return whole
    spans = [m.group() for m in _SPAN().finditer(text)]
    for span in reversed(spans):
        found = items_of(span, comma)
        if found is not None and not (gold.bare and found.bare):
            return found
    return _given(text, gold, comma)


def _same(given: Items, gold: Items) -> bool | None:
    if gold.ordered:
        return _same_tuple(given, gold)
    if given.ordered and gold.entries and not gold.bare:
        return False
    return same_items(given.entries, gold.entries, given.comma)


def _spans(gold: Items) -> bool:
    """Whether a tuple may mean an open interval, from which a closed one differs."""
    return interval.union_of("(" + ", ".join(gold.entries) + ")") is not None


def _same_tuple(given: Items, gold: Items) -> bool | None:
    if given.ordered:
        if given.squared and not gold.squared and _spans(gold):
            return False
        return same_row(given.entries, gold.entries, given.comma)
    if (
        given.bare
        and len(given.names) == len(given.entries) == len(gold.entries)
        and None not in given.names
    ):
        ordered = sorted(zip(given.names, given.entries, strict=True), key=lambda p: str(p[0]))
        wanted = [name_of(e) for e in gold.entries]
        if None not in wanted:
            by_name = dict(zip(given.names, given.entries, strict=True))
            return same_row([by_name.get(n, "") for n in wanted], gold.entries, given.comma)
        return same_row([e for _, e in ordered], gold.entries, given.comma)
    if len(gold.entries) == 2 and len(given.entries) <= 2:
        open_interval = interval.union_of("(" + ", ".join(gold.entries) + ")")
        other = (
            interval.union_of(given.entries[0], given.comma) if len(given.entries) == 1 else None
        )
        return bool(open_interval) and other == open_interval
    return False


KIND = Kind("set, list or tuple", _gold, _given, _same, _spoken)
