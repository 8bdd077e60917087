"""Numbers in another base: digits and base count."""

from __future__ import annotations

from derl_primitives.patterns import pattern
from derl_primitives.verdict.kinds.kind import Kind

_NAMES = {
    "two": 2, "binary": 2, "three": 3, "ternary": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "octal": 8, "nine": 9,
    "ten": 10, "decimal": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "hexadecimal": 16, "hex": 16, "twenty": 20,
}  # fmt: skip
_DIGITS = (
    r"(?P<digits>-?(?:[0-9A-Fa-f][0-9A-Fa-f ,]{0,78}[0-9A-Fa-f]"
    r"|[0-9A-Fa-f])(?:\.[0-9A-Fa-f]{1,40})?)"
)
_SUBSCRIPT = pattern(
    rf"\(?{_DIGITS}\)?\s*_\s*(?:\{{\s*(?:base\s*)?(?P<base>\w+)\s*\}}"
    rf"|\(?(?P<b2>\d{{1,2}})\)?|(?P<b3>two|eight|ten|sixteen))"
)
_WORDS = pattern(
    rf"(?:the (?:number|value) )?\(?{_DIGITS}\)?[\s,]*(?:\(|in |is |as )*\s*(?:base[- "
    rf"]?(?P<base>\w+)|(?P<b2>binary|octal|hexadecimal|hex|ternary|decimal))(?: notation| "
    rf"form)?\s*\)?",
)
_PREFIX = pattern(r"(?P<sign>-?)0(?P<p>[xXbBoO])(?P<digits>[0-9A-Fa-f_]+)")
_NOTED = pattern(
    r"(?:base[- ]?(?P<base>\d{1,2}|[a-z]+)|binary|octal"
    r"|hexadecimal)\s*[:=]\s*(?P<digits>[0-9A-Fa-f]+)"
)

Digits = tuple[str, int | None]


def _base(name: str) -> int | None:
    name = name.strip().lower()
    return int(name) if name.isdigit() and len(name) < 3 else _NAMES.get(name)


def _clean(digits: str) -> str:
    digits = digits.replace(" ", "").replace(",", "").replace("_", "").upper()
    return digits.lstrip("0") or "0"


def _gold(text: str) -> Digits | None:
    text = text.strip(" .")
    match = _PREFIX().fullmatch(text)
    if match:
        base = {"x": 16, "b": 2, "o": 8}[match["p"].lower()]
        return _valid(match["sign"] + _clean(match["digits"]), base)
    match = _SUBSCRIPT().fullmatch(text)
    if match:
        return _valid(_clean(match["digits"]), _base(match["base"] or match["b2"] or match["b3"]))
    match = _WORDS().fullmatch(text)
    if match:
        return _valid(_clean(match["digits"]), _base(match["base"] or match["b2"]))
    return None


def _valid(digits: str, base: int | None) -> Digits | None:
    if base is None or not 2 <= base <= 36:
        return None
    try:
        int(digits.replace(".", ""), base)
    except ValueError:
        return None
    return digits, base


_BARE = pattern(r"-?[0-9A-Fa-f](?:[0-9A-Fa-f ,]*[0-9A-Fa-f])?(?:\.[0-9A-Fa-f]+)?")


def _given(text: str, gold: Digits, comma: bool) -> Digits | None:
    del comma
    text = text.strip(" .")
    found = _gold(text)
    if found is not None:
        return found
    if _BARE().fullmatch(text):
        return _clean(text), None
    return None


_ANYWHERE = pattern(
    r"(?:0[xXbBoO][0-9A-Fa-f_]+|\(?-?[0-9A-Fa-f]+\)?\s?_\s?(?:\{[^{}]{1,20}\}|\d+)"
    r"|(?<![\w.])-?\d[0-9A-Fa-f]*(?![\w.]\w)\)?(?: in | \(| )(?:base[- ]?\w+|binary|octal"
    r"|hexadecimal)|(?<![\w.])(?:\d[0-9A-Fa-f]*|[A-F]+\d[0-9A-Fa-f]*)(?!\w))"
)


def _spoken(text: str, gold: Digits, comma: bool) -> Digits | None:
    found = _given(text, gold, comma)
    if found is not None:
        return found
    named = [
        r
        for r in (_given(m.group(), gold, comma) for m in _ANYWHERE().finditer(text))
        if r is not None
    ]
    based = [r for r in named if r[1] is not None]
    if based:
        return based[-1]
    return named[0] if len(set(named)) == 1 else None


def _same(given: Digits, gold: Digits) -> bool:
    return given[0] == gold[0] and given[1] in (None, gold[1])


KIND = Kind("number in a base", _gold, _given, _same, _spoken)
