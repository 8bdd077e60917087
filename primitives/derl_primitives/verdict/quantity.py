"""Amounts: a number in any spelling, with the unit and the percent sign beside it.

`read_quantity` reads a whole answer, `numbers_in` finds the numbers of a sentence. Numbers are
exact: a `Quantity` holds the tree of its formula, which is a fraction wherever it can be.
"""

from __future__ import annotations

import re
from fractions import Fraction

from derl_grammar.records import record
from derl_primitives.patterns import pattern
from derl_primitives.verdict import values
from derl_primitives.verdict.clean import SET_CLOSE, SET_OPEN
from derl_primitives.verdict.formula import Node, read_formula, repeating, symbols
from derl_primitives.verdict.number_words import SCALE_AFTER, scale_of, words_value
from derl_primitives.verdict.units import Unit, agree, unit_of

LONGEST = 300


@record
class Quantity:
    """An amount: its formula, its unit, whether a percent sign stands with it."""

    value: Node
    unit: Unit | None = None
    percent: bool = False


_GROUPED = pattern(
    r"(?<![\d.,'])(?:\d{1,3}(?:(?P<a>\{,\}|,)\d{3})(?:(?P=a)\d{3})*|\d{1,3}(?: \d{3})+"
    r"|\d{1,3}(?:'\d{3})+|\d{1,3}(?:_\d{3})+"
    r"|\d{1,2}(?:(?:,|\{,\})\d{2})+(?:,|\{,\})\d{3}|\d{1,3}(?:\.\d{3}){2,}|\d{1,3}(?:, "
    r"\d{3}){2,}(?=\.\d))(?![\d']|,\d|\{,\}\d| \d)"
)
_COMMA_DECIMAL = pattern(r"(?<![\d.,])(\d{1,3}(?:[. ]\d{3})+|\d+)(?:,|\{,\})(\d+)(?![\d,])")
_POINT_GROUPS = pattern(r"(?<![\d.,])\d{1,3}(?:\.\d{3})+(?![\d.,])")
_SCIENTIFIC = pattern(
    r"(?<![A-Za-z\\\d])(\d+(?:\.\d*)?|\.\d+)\s?[eE]\s?\{?([-+]?\d{1,4})\}?(?![\dA-Za-z.])"
)
_MIXED = pattern(
    r"(?<![\d./])(\d+)(?:\s+and\s+|\s*&\s*|\s+"
    r"|\s*-\s*(?=\d+\s*/\s*\d+\s*$))(?=(\d+)\s*/\s*(\d+)(?!\s*[\d/^]))(\d+\s*/\s*\d+)"
)
_AND_FRACTION = pattern(r"(?<=\d)\s+and\s+(?=\\frac)")
_SIGN_WORD = pattern(
    r"^(?:minus|negative|neg\.?|moins|menos|meno|минус|负|負|マイナス|마이너스|سالب|ऋण)\s*", re.I
)
_LEADING = pattern(
    r"^(?:[=:\u2248\u2261~\s]|≈|(?:approximately|approx\.?|about|around|roughly|exactly"
    r"|only|just|a total of|total of|precisely|ca\.|circa|etwa|ungefähr|environ|unos|约|約"
    r"|大约)(?![a-z]))+",
    re.I,
)
_CURRENCY_FIRST = pattern(
    r"^(-|\+)?\s*(US\$|A\$|C\$|\$|€|£|¥|₹|₽|₩|¢|USD|EUR|GBP|INR|CNY|RMB|JPY|CHF|CAD|AUD"
    r"|Rs\.?)\s*(-|\+)?\s*(?=[\d.])"
)
_NUMBER_INSIDE = pattern(r"[,;] (?:so|and|but|then|that|which|hence|thus)\s.*\d")
_OF_A = pattern(r"(?<=[a-z\d}]) of an? (?=[a-z])")
_UNIT_FRACTION = pattern(
    r"\s*\\frac\s*\{ ([A-Za-z]{1,5}(?: ?\^\{?\d\}?)?) ?\}\s*\{ ([A-Za-z]{1,5}(?: ?\^\{?\d\}?)?) ?\}"
)
_PERCENT = pattern(
    r"^\s*(?:%|percent(?:age points?)?(?![a-z])|per cent(?![a-z])|pct\.?(?![a-z])"
    r"|prozent(?![a-z])|pour ?cent(?![a-z])|por ?ciento(?![a-z])|por cento(?![a-z])|per "
    r"cento(?![a-z])|процент\w*|パーセント|퍼센트|بالمئة|प्रतिशत|процентов)",
    re.I,
)
_CLOSING = " \t\n.!?;:,\u3002\uff01\u0964\u06d4\"'"
_HEAD = pattern(
    r"^[-+(\s]*(?:\d+(?:\.\d+)?|\.\d+)(?:\s*/\s*\d+(?:\.\d+)?)?(?:\s*(?:\u00d7|x|\u00b7"
    r"|\*)\s*10\s*(?:\^|\*\*)\s*(?:\{\s*[-+]?\d+\s*\}|\(?[-+]?\d+\)?))?[)\s]*"
)
_LATEX_HEAD = pattern(r"^-?\s*\d*\s*\\frac\s*(?:\{\s*-?\d+\s*\}\s*\{\s*\d+\s*\}|\d\s*\d)")
_SYMBOLIC_UNIT = pattern(
    r"^(?P<head>.*\d\s?pi|.*[\d)}\u03c0!]|[^ "
    r"]*\u03c0)\s+(?P<unit>(?:[A-Za-z\u00b0µμ/][A-Za-z\u00b0µμ./ "
    r"-]*)(?:\^\s*\{?-?\d\}?)?(?:\s*/\s*[a-z]+)?(?:\^\s*\{?\d\}?)?)$"
)
_NOT_UNIT = frozenset(
    [
        "or",
        "and",
        "to",
        "of",
        "plus",
        "minus",
        "times",
        "over",
        "by",
        "squared",
        "cubed",
        "from",
        "mod",
        "more",
        "less",
        "than",
        "not",
        "if",
        "factorial",
        "pi",
        "sqrt",
        "e",
        "i",
        "x",
        "y",
        "z",
        "n",
        "k",
        "thousand",
        "million",
        "billion",
        "dozen",
        "hundred",
        "half",
        "percent",
        *("is", "are", "was", "were", "has", "have", "had", "does", "do", "did", "can", "will"),
        *("turned", "turns", "divides", "works", "fails", "fits", "contradicts", "seems", "looks"),
        *("appears", "occurs", "becomes", "changes", "exceeds", "could", "might", "may", "wrong"),
        *("would", "should", "must", "ist", "sind", "est", "sont", "es", "son"),
    ]
)


def joined(text: str, comma: bool = False) -> str:
    r"""The text with grouped digits written together and decimal commas as points.

    `comma` says that the text is in a language that writes 3,5.

    >>> joined("1 234 567"), joined("12,34,567.5"), joined("3,5", comma=True), joined("1.200,5")
    ('1234567', '1234567.5', '3.5', '1200.5')
    """
    if not any(c.isdigit() for c in text):
        return text
    if "," in text and (comma or "." in text or "{,}" in text or " " in text):
        text = _COMMA_DECIMAL().sub(lambda m: _decimal(m, comma), text)
        if comma:
            text = _POINT_GROUPS().sub(lambda m: m.group().replace(".", ""), text)
    elif comma and "." in text:
        text = _POINT_GROUPS().sub(lambda m: m.group().replace(".", ""), text)
    return _GROUPED().sub(lambda m: re.sub(r"[^\d]", "", m.group()), text)


def _decimal(match: re.Match[str], comma: bool) -> str:
    whole, part = match[1], match[2]
    grouped = not whole.isdigit()
    if not comma and not grouped and ("{,}" not in match.group() or len(part) == 3):
        return match.group()
    return re.sub(r"\D", "", whole) + "." + part


_TIMES_TEN = pattern(r"(?<=\d)\s*[xX]\s*(?=10\s*(?:\^|\*\*))")
"""`3 x 10^4`: here the letter is a sign."""


def _prepared(text: str, comma: bool) -> str:
    text = repeating(joined(text, comma))
    text = _TIMES_TEN().sub("\u00d7", text)
    text = _SCIENTIFIC().sub(r"(\1*10^{\2})", text)
    text = _AND_FRACTION().sub(" ", text)
    return _MIXED().sub(_mixed, text)


def _mixed(match: re.Match[str]) -> str:
    top, bottom = int(match[2][:60]), int(match[3][:60])
    if not 0 < top < bottom or len(match[1]) > 60:
        return match.group()
    return f"({int(match[1]) * bottom + top}/{bottom})"


def read_quantity(text: str, comma: bool = False) -> Quantity | None:
    r"""The amount that a whole (undressed) answer states, or None.

    >>> read_quantity("2 2/3").value, read_quantity("$1,250.50").value
    (('num', Fraction(8, 3)), ('num', Fraction(2501, 2)))
    >>> read_quantity("28 percent").percent, read_quantity("5 or 6") is None
    (True, True)
    """
    if not text or len(text) > LONGEST:
        return None
    text = _ellipsis(text.strip(" \t\n\"'")).rstrip(_CLOSING.replace("!", ""))
    if text[:1] == SET_OPEN and text[-1:] == SET_CLOSE and "," not in text:
        text = text[1:-1].strip()
    text = _UNIT_FRACTION().sub(r" \1/\2", _LEADING().sub("", text))
    text = _OF_A().sub(" ", text)
    sign = 1
    match = _SIGN_WORD().match(text)
    if match:
        sign, text = -1, text[match.end() :]
    together = _compound(text)
    if together is not None:
        return Quantity(_negated(together.value), together.unit) if sign < 0 else together
    unit = None
    match = _CURRENCY_FIRST().match(text)
    if match:
        unit = unit_of(match[2].rstrip("."))
        sign *= -1 if "-" in (match[1], match[3]) else 1
        text = text[match.end() :]
    found = _amount(_prepared(text, comma))
    if found is None:
        return None
    if unit is not None:
        if found.unit is not None and found.unit.dims is not None and found.unit.dims != unit.dims:
            return None
        found = Quantity(
            found.value,
            unit if found.unit is None or found.unit.dims is None else found.unit,
            found.percent,
        )
    return Quantity(_negated(found.value), found.unit, found.percent) if sign < 0 else found


_COMPOUND = pattern(
    r"(?:[$\u20ac\u00a3]\s?\d+|\d+\s?(?:[^\W\d]+|°|'|\"))"
    r"(?:(?:\s*,\s*|\s+)?(?:and\s+|und\s+|et\s+|y\s+|e\s+|и\s+)?\d+(?:\.\d+)?\s?(?:[^\W\d]+|'"
    r"|\")){1,3}"
)
_COMPOUND_PART = pattern(
    r"(?P<cur>[$\u20ac\u00a3])?\s?(?P<n>\d+(?:\.\d+)?)\s?(?P<unit>[^\W\d]+|°|'|\")?"
)


def _compound(text: str) -> Quantity | None:
    """An amount in a large and a smaller unit: `2 hours and 30 minutes`, `$12 and 50 cents`."""
    if len(text) > 80 or not _COMPOUND().fullmatch(text):
        return None
    total, first, last = Fraction(0), None, None
    for match in _COMPOUND_PART().finditer(text):
        unit = unit_of(match["cur"] or match["unit"] or "")
        if unit is None or unit.dims is None or (match["cur"] and first is not None):
            return None
        if first is None:
            first = unit
        elif last is None or unit.dims != first.dims or unit.factor >= last:
            return None
        last = unit.factor
        total += Fraction(match["n"]) * unit.factor / first.factor
    return Quantity(("num", total), first)


_ONGOING = pattern(r"(\d*)\.(\d*?)(\d{1,8}?)\3+(?:\s?\.\.\.+|\u2026)")


def _ellipsis(text: str) -> str:
    """`0.777...` as a repeating decimal; at least three digits must show what repeats."""
    match = (
        _ONGOING().search(text) if len(text) < 80 and ("..." in text or "\u2026" in text) else None
    )
    if match is None or len(match.group().rstrip(".\u2026 ").partition(".")[2]) - len(match[2]) < 3:
        return text
    return f"{text[: match.start()]}{match[1]}.{match[2]}({match[3]}){text[match.end() :]}"


def _negated(value: Node) -> Node:
    return ("num", -value[1]) if value[0] == "num" else ("neg", value)


def _amount(text: str) -> Quantity | None:
    """A number with what stands behind it, else a formula."""
    plain = _plain_number(text)
    if plain is not None:
        return plain
    match = _LATEX_HEAD().match(text) or _HEAD().match(text)
    if match and match.end() < len(text):
        found = _with_rest(match.group(), text[match.end() :])
        if found is not None:
            return found
    words = words_value(text.lower())
    if words is not None:
        return _after_number(("num", words[0]), text[words[1] :])
    match = _SYMBOLIC_UNIT().match(text)
    if match and match["unit"].split()[0].lower() not in _NOT_UNIT:
        unit, value = unit_of(match["unit"]), _valued(match["head"])
        if (
            unit is not None
            and value is not None
            and (unit.dims is not None or len(match["unit"].split()[0]) > 2)
        ):
            return Quantity(value, unit)
    value = _valued(text)
    if value is not None:
        return Quantity(value)
    if text.endswith("%"):
        value = _valued(text[:-1])
        return None if value is None else Quantity(value, None, True)
    return None


def _plain_number(text: str) -> Quantity | None:
    number = text.strip()
    if number.startswith("(") and number.endswith(")"):
        number = number[1:-1].strip()
    if number.startswith(("+", "-")):
        number = number[0] + number[1:].lstrip()
    try:
        return (
            Quantity(("num", Fraction(number)))
            if number.isascii() and "_" not in number and "/" not in number
            else None
        )
    except (ValueError, ZeroDivisionError):
        return None


def _with_rest(head: str, rest: str) -> Quantity | None:
    """A number at the start and words after it."""
    spaced = head != head.rstrip() or rest[:1] in " %\u2030°€£$¢"
    first = rest.lstrip()[:1]
    if not first or first in "+-*/^=<>,;:!|&\\_()[]{}\u00d7\u00b7\u00f7\u03c0\u221a":
        return None
    value = _valued(head.replace(" x ", "\u00d7").replace("x10", "\u00d710"))
    if value is None:
        return None
    if (
        not spaced
        and len(re.split(r"[^A-Za-zµ]", rest, maxsplit=1)[0]) < 2
        and not SCALE_AFTER.match("0" + rest, 1)
        and rest[0] not in "mgshLNJWVAKkM元个円개원℃℉"
    ):
        return None
    found = _after_number(value, rest)
    known = found is None or found.unit is None or found.unit.dims is not None
    return found if spaced or known else None


def _after_number(value: Node, rest: str) -> Quantity | None:
    scale = SCALE_AFTER.match("0" + rest, 1)
    if scale:
        size = scale_of(scale[1]) or scale_of(scale[1].lower())
        if size:
            value = (
                ("num", value[1] * size)
                if value[0] == "num"
                else ("mul", value, ("num", Fraction(size)))
            )
            rest = rest[scale.end() - 1 :]
    if rest.lstrip()[:1] == "\u2030":
        return Quantity(("mul", value, ("num", Fraction(1, 10))), None, True)
    percent = _PERCENT().match(rest)
    if percent:
        tail = rest[percent.end() :].strip(_CLOSING)
        return None if tail and not tail.replace(" ", "").isalpha() else Quantity(value, None, True)
    rest = rest.strip(_CLOSING + "()")
    if not rest:
        return Quantity(value)
    first = rest.split()[0].lower()
    if first in _NOT_UNIT or len(rest) > 60 or _NUMBER_INSIDE().search(rest):
        return None
    unit = unit_of(rest)
    if unit is None:
        return None
    if any(
        w in _NOT_UNIT and w not in ("of", "to", "from", "and", "by", "less", "more", "than")
        for w in rest.lower().split()
    ):
        return None
    return Quantity(value, unit)


def _valued(text: str) -> Node | None:
    """A formula without variables that has a value."""
    node = read_formula(text)
    if node is None:
        return None
    number = values.exact(node)
    return ("num", number) if number is not None else node


def same_quantity(given: Quantity, gold: Quantity) -> bool | None:
    """Whether two amounts are the same by value, unit and percent sign."""
    factor = agree(given.unit, gold.unit)
    if factor is None:
        return False
    left = given.value
    if factor != 1:
        left = ("mul", ("num", factor), left)
    same = values.equal(left, gold.value)
    if given.percent == gold.percent or same is None:
        return same
    if (given.unit or gold.unit) is not None:
        return False
    if same and _is_number(gold.value):
        return True
    hundredth = ("num", Fraction(1, 100))
    if given.percent:
        return values.equal(("mul", hundredth, left), gold.value)
    return values.equal(left, ("mul", hundredth, gold.value))


def _is_number(node: Node) -> bool:
    return not symbols(node)


NUMBER = pattern(
    r"(?P<cur>(?:US\$|[$€£¥₹₽₩])\s?)?(?P<sign>(?<![\w)\]}%])[-+](?:\s?[$€£])?\s?"
    r"|(?<![\w)\]}%])(?:minus|negative|minus|moins|menos|meno|минус) )?"
    r"(?P<num>(?:\d{1,3}(?:(?:,|\{,\}|'| )\d{3})+(?![\d])|\d{1,2}(?:,\d{2})+,\d{3}(?!\d)"
    r"|\d+)(?:[.,]\d+)*(?:\\overline\{\d+\}|\(\d+\)(?=[\s.,]|$))?|\.\d+"
    r"|\\frac\s?\{-?\d+\}\{\d+\}|\\frac\s?\d\d)"
    r"(?P<exp>\s?(?:\u00d7|\u00b7|x|\*)\s?10\s?(?:\^|\*\*)\s?(?:\{[-+]?\d+\}|[-+]?\d+)"
    r"|[eE][-+]?\d+(?![\w.]))?(?P<frac>\s?/\s?\d+(?:\.\d+)?(?![\d])|\s\d+/\d+(?![\d/])"
    r"|\s?\\frac\s?\{\d+\}\{\d+\})?(?P<pct>\s?%)?",
    re.I,
)


def quantity_at(text: str, match: re.Match[str], comma: bool) -> Quantity | None:
    """The amount of a number found in a sentence, with the unit in the words after it."""
    number = match.group().strip()
    rest = text[match.end() :]
    if _CLUNG().match(rest) and not SCALE_AFTER.match(text, match.end()):
        head = re.match(r"[^\W\d_]+", rest)
        if head is None or unit_of(head.group()) is None or unit_of(head.group()).dims is None:  # type: ignore[union-attr]
            return None
    if text[: match.start()].rstrip()[-1:] in _STICKY:
        return None
    words = _UNIT_AFTER().match(rest)
    tail = words.group() if words else ""
    for end in range(len(tail.split()), 0, -1):
        part = " ".join(tail.split()[:end])
        unit = unit_of(part)
        if unit is not None and unit.dims is not None and (len(part) > 1 or rest[:1] in " °€£$¢%"):
            found = read_quantity(f"{number} {part}", comma)
            if found is not None:
                return found
    scale = SCALE_AFTER.match(text, match.end())
    percent = _PERCENT().match(rest)
    if scale or percent:
        return read_quantity(number + (scale or percent).group(), comma)  # type: ignore[union-attr]
    first = tail.split()[0] if tail.split() else ""
    found = read_quantity(number, comma)
    if (
        found is not None
        and found.unit is None
        and not found.percent
        and first.isalpha()
        and len(first) > 2
    ):
        return Quantity(found.value, unit_of(first), False)
    return found


_CLUNG = pattern(
    r"[A-Za-z_^\\(\u03c0\u221a!]|\s?[+*/\u00d7\u00b7\u00f7^]|\s-\s|\s?(?:\u03c0|pi\b|\\)"
)
_STICKY = frozenset("\u00b1\u2260<>\u2264\u2265^\\_(+*/\u00d7\u00b7\u00f7\u221a[{\u2983")
_UNIT_AFTER = pattern(
    r"\s?(?:[^\W\d]|[°€£$¢₹µ℃℉])[^\W\d_./^{}-]*(?:\^\{?\d\}?)?(?:(?:\s?/\s?|\s"
    r"|-)[^\W\d]+(?:\^\{?\d\}?)?){0,3}"
)
