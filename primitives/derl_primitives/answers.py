r"""Reading the final answer out of a text and comparing two answers.

What counts, in one place; `exact`, `numeric_equal` and `contains_answer` build on it.

1. **Marked answer**: the content of a `\boxed{...}` (balanced braces, not blank) or the first line
   after `####`, whichever starts last in the text. A leading "The answer is" is dropped.
2. **Gold**: the marked answer of the `answer` column, or all of it when nothing is marked.
3. **Number**: digits with optional sign, grouped by commas or spaces, decimals, exponent, as `a/b`,
   `\frac{a}{b}` or a mixed number (`2 2/3`), with currency and percent signs dropped and a unit
   after it ignored ("5 apples", "12 cm"). Numbers compare by value, exactly: `90,000`, `90000`
   and `90000.0` are one number, and `0.33` is not `1/3`.
4. Anything else compares as text without white space, LaTeX spacing and a closing full stop;
   case counts.

Every step is linear in the text: completions are written by an adversary.
"""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction

from derl_primitives.patterns import pattern

Value = Decimal | Fraction

LONGEST_ANSWER = 300
"""Longer answers are compared as they stand: no number or formula is that long."""

LONGEST_BOX = 10_000

_BOX = "\\boxed{"
_HASHES = "####"
_BRACES = pattern(r"\\[{}]|[{}]")
_BOXES_AND_BRACES = pattern(r"\\boxed\{|\\[{}]|[{}]")
_LEAD_IN = pattern(r"(?:the\s++)?(?:final\s++)?answer\b(?:\s++is\b)?+\s*+[:=]?\s*+", re.I)
_LEAD_IN_STARTS = frozenset("TtFfAa")
_DIGITS = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)"
_DECIMAL = rf"(?:{_DIGITS}(?:\.[0-9]*)?|\.[0-9]+)"
_NUMBER_IN_TEXT = pattern(
    rf"(?:(?<![\w)\]}}])[-\u2212])?\$?(?:{_DIGITS}(?:\.[0-9]+)?|\.[0-9]+)(?:/[0-9]+)?"
)
_NUMBER_CHARS = "0123456789,./$-\u2212"
_ANSWER_NUMBER = pattern(
    rf"(?:[A-Za-z]\s?=)?\s*+(?P<sign>[-+]?)\s*+(?P<top>{_DECIMAL})"
    rf"(?P<exponent>[eE][-+]?[0-9]{{1,3}})?(?:\s?/\s?(?P<bottom>{_DECIMAL}))?"
    r"(?P<unit>\s[A-Za-z][A-Za-z ./-]*(?:\^[23])?"
    r"|(?:km|cm|mm|kg|mg|ml|mph|lbs?|oz|ft|hrs?|mins?|secs?)(?:/[a-z]+|\^[23])?)?"
)
_LATEX_FRACTION = pattern(r"\\[dt]?frac(?:\{([^{}]*)\}\{([^{}]*)\}|([0-9])([0-9]))")
_LATEX_TEXT = pattern(r"\\(?:text(?:bf|rm|it)?|mathrm|mathbf|mbox)\{([^{}]*)\}")
_LATEX_SPACE = pattern(r"\\[,;: ]|~")
_WIDE_GROUPS = pattern(
    r"(?<![0-9.,])[0-9]{1,3}(?:(?:[ \u00a0\u2009\u202f]|\\,)[0-9]{3})+(?![0-9])(?!,[0-9])"
)
_MIXED = pattern(r"(?<![0-9./])([0-9]{1,30})[ ]+([0-9]{1,30})/([0-9]{1,30})(?![0-9./])")
_END_TOKEN = pattern(
    r"<\|[a-z_]{1,24}\|>|</s>|<eos>|<end_of_turn>|<\uff5cend\u2581of\u2581sentence\uff5c>"
)
_NOISE = pattern(
    r"\\(?:left|right|displaystyle)(?![A-Za-z])|\\[$%()\[\]]|\^\{?\\circ\}?|[$%\u00a3\u20ac\u00b0]"
)
_NO_UNIT = pattern(
    r"\b(?:(?:hundred|thousand|million|billion|trillion|dozen|third|quarter)s?|half|halves|and|or"
    r"|plus|minus|times|over|by|pi|sqrt|squared|cubed|factorial|mod|[eiknxyz])\b",
    re.I,
)
"""Words after a number that change its value, so that they are no unit."""


def marked_answer(text: str) -> str | None:
    r"""The answer a text marks as final, or None when it marks none.

    >>> marked_answer(r"So \boxed{\frac{1}{2}}."), marked_answer("...\n#### 90,000\n")
    ('\\frac{1}{2}', '90,000')
    """
    if "\\" in text:  # one character is found ten times as fast as a word
        return marked(text)[0]
    hashes = text.rfind(_HASHES)
    return None if hashes < 0 else _line(text[hashes + len(_HASHES) :])


def marked(text: str) -> tuple[str | None, bool]:
    r"""The answer a text marks as final, or None, and whether it stands in a `\boxed{...}`."""
    hashes, box = text.rfind(_HASHES), text.rfind(_BOX)
    if box >= 0:
        content, start = _last_box(text, box)
        if content is not None and start > hashes:
            return _without_lead_in(content), True
    if hashes < 0:
        return None, False
    return _line(text[hashes + len(_HASHES) :]), False


def _line(after: str) -> str:
    """The answer on the first line after `####`."""
    after = after.strip()
    if "\n" in after:
        after = after.partition("\n")[0].rstrip()
    return _without_lead_in(without_end(after))


def without_end(text: str) -> str:
    """The text before its first end token, such as `<|im_end|>`.

    >>> without_end("42<|im_end|>")
    '42'
    """
    short = len(text) <= 4 * LONGEST_ANSWER
    end = _END_TOKEN().search(text) if short and "<" in text else None
    return text[: end.start()].rstrip() if end else text


def has_box(text: str) -> bool:
    r"""Whether the text holds a `\boxed{...}` with balanced braces and something in it."""
    last = text.rfind(_BOX) if "\\" in text else -1
    return last >= 0 and _last_box(text, last)[0] is not None


def gold_answer(answer: str) -> str:
    """The answer a gold column holds: the marked one, or the whole text."""
    marked = marked_answer(answer)
    return answer.strip() if marked is None else marked


def _without_lead_in(answer: str) -> str:
    if answer[:1] not in _LEAD_IN_STARTS:
        return answer
    match = _LEAD_IN().match(answer)
    return answer[match.end() :] if match else answer


def _last_box(text: str, last: int) -> tuple[str | None, int]:
    """The content and start of the last complete box; `last` is where the last box opens.

    A box closes within 10,000 characters, and of longer texts the end is searched for others: a
    megabyte of braces is no answer.
    """
    depth = 1
    start = last + len(_BOX)
    for match in _BRACES().finditer(text, start, start + LONGEST_BOX):
        token = match.group()
        if len(token) == 1:
            depth += 1 if token == "{" else -1
        if depth == 0:
            content = text[start : match.start()].strip()
            if content:
                return content, last
            break
    return _last_complete_box(text)


def _last_complete_box(text: str) -> tuple[str | None, int]:
    """The same in one pass over all boxes, for texts whose last one is cut off or blank."""
    open_braces: list[int] = []
    found: tuple[str | None, int] = (None, -1)
    first = max(text.find(_BOX), len(text) - 2 * LONGEST_BOX)
    for match in _BOXES_AND_BRACES().finditer(text, first):
        token = match.group()
        if token == _BOX:
            open_braces.append(match.start())
        elif token == "{":
            open_braces.append(-1)
        elif token == "}" and open_braces:
            start = open_braces.pop()
            if start > found[1]:
                content = text[start + len(_BOX) : match.start()].strip()
                found = (content, start) if content else found
    return found


def tidy(answer: str) -> str:
    r"""The answer without LaTeX dressing, currency and percent signs and closing punctuation.

    >>> tidy(r"\$\dfrac{3}{4}\text{ cup}"), tidy("**18**."), tidy(r"50\%")
    ('3/4 cup', '18', '50')
    """
    if "\\" in answer:
        answer = _LATEX_FRACTION().sub(_plain_fraction, answer)
        answer = _LATEX_TEXT().sub(r"\1", answer)
        answer = _LATEX_SPACE().sub(" ", answer.replace("\\!", ""))
    answer = _NOISE().sub("", answer.replace("{,}", ",")).replace("\u2212", "-")
    return answer.strip(" \t\r\n*_`").rstrip(".").strip(" \t\r\n*_`")


def _plain_fraction(match: re.Match[str]) -> str:
    top, bottom = match[1] or match[3] or "", match[2] or match[4] or ""
    plain = (top + bottom).replace(".", "").lstrip("-").isalnum()
    # The space keeps the mixed number `3\frac{1}{2}` from reading as 31/2.
    return f" {top}/{bottom}" if plain else f"({top})/({bottom})"


def number_of(answer: str) -> Value | None:
    r"""The number an answer states, or None when it is not one number.

    >>> number_of("$90,000.0"), number_of(r"\frac{1}{2}"), number_of("5 or 6")
    (Decimal('90000.0'), Fraction(1, 2), None)
    """
    if len(answer) > LONGEST_ANSWER:
        return None
    if answer.isdecimal() and answer.isascii():
        return Decimal(answer)
    plain = joined_groups(tidy(answer))
    mixed = _MIXED().fullmatch(plain.lstrip("-"))
    if mixed is not None:
        found = _mixed(mixed)
        return found if found is None or not plain.startswith("-") else -found
    match = _ANSWER_NUMBER().fullmatch(plain)
    if match is None or not _is_unit(match["unit"]):
        return None
    value = Decimal(match["sign"] + match["top"].replace(",", "") + (match["exponent"] or ""))
    if match["bottom"] is None:
        return value
    return _ratio(value, match["bottom"])


def joined_groups(text: str) -> str:
    r"""The text with digits that spaces group by three written together.

    >>> joined_groups("1 000 of 12\u202f500")
    '1000 of 12500'
    """
    return _WIDE_GROUPS().sub(lambda m: "".join(c for c in m.group() if c.isdigit()), text)


def _mixed(match: re.Match[str]) -> Fraction | None:
    """The value of a mixed number; None when its fraction is none below one."""
    whole, top, bottom = map(int, match.groups())
    return Fraction(whole * bottom + top, bottom) if 0 < top < bottom else None


def _ratio(top: Decimal, bottom: str) -> Value | None:
    divisor = Decimal(bottom.replace(",", ""))
    return Fraction(top) / Fraction(divisor) if divisor else None


def _is_unit(unit: str | None) -> bool:
    """Whether the words after a number leave its value alone ("apples", not "thousand")."""
    return unit is None or _NO_UNIT().search(unit) is None


def last_number(text: str) -> Value | None:
    """The last number that occurs in a text; a minus counts unless something is taken from.

    >>> last_number("He pays $1,250.50 in 3 parts, or 10-4"), last_number("none")
    (Decimal('4'), None)
    """
    # The last number lies in the last run of its characters: search there, not in the whole text.
    text = _numbers_joined(text)
    stop = max(map(text.rfind, "0123456789")) + 1
    start = max(0, stop - LONGEST_ANSWER)
    start += len(text[start:stop].rstrip(_NUMBER_CHARS))
    if start + LONGEST_ANSWER <= stop:
        start = max(0, stop - 4 * LONGEST_ANSWER)  # the run is longer than a number
    found = _NUMBER_IN_TEXT().findall(text, max(0, start - 1), stop)
    if not found or len(found[-1]) > LONGEST_ANSWER:
        return None
    mixed = _MIXED().search(text, max(0, stop - len(found[-1]) - LONGEST_ANSWER), stop)
    if mixed is not None and mixed.end() == stop and "/" in found[-1]:
        value = _mixed(mixed)
        if value is not None:
            return value
    top, _, bottom = found[-1].replace("$", "").replace("\u2212", "-").partition("/")
    number = Decimal(top.replace(",", ""))
    return _ratio(number, bottom) if bottom else number


_THIN = pattern(r"[0-9](?:\\[,!]|,\\!|[\u00a0\u2009\u202f])[0-9]{3}")


def _numbers_joined(text: str) -> str:
    """The end of a text with digits that LaTeX or thin spaces group written together."""
    end = text[-4 * LONGEST_ANSWER :]
    if not _THIN().search(end):
        return text
    end = end.replace(",\\!", "").replace("\\!", "").replace("\\,", "\u202f")
    return _THIN_GROUPS().sub(lambda m: "".join(c for c in m.group() if c.isdigit()), end)


_THIN_GROUPS = pattern(r"(?<![0-9.,])[0-9]{1,3}(?:[\u00a0\u2009\u202f][0-9]{3})+(?![0-9])")


def number_in(answer: str) -> Value | None:
    """The number an answer is, or else the last one that it holds."""
    value = number_of(answer)
    return last_number(answer) if value is None else value


def final_number(text: str) -> Value | None:
    """The number of the marked answer; without one the last number of the text.

    >>> final_number("#### about 18 eggs, I think"), final_number("18 eggs, then 2 more")
    (Decimal('18'), Decimal('2'))
    """
    answer = marked_answer(text)
    value = None if answer is None else number_in(answer)
    return number_in(text) if value is None else value


def same_answer(given: str, gold: str) -> bool:
    """Whether two answers are the same number, or the same text when neither is a number.

    >>> same_answer("$90,000", "90000.0"), same_answer("( 1, 2 )", "(1,2)"), same_answer("", "")
    (True, True, False)
    """
    if not gold.strip():
        return False
    if given == gold:
        return True
    if len(given) > LONGEST_ANSWER or len(gold) > LONGEST_ANSWER:
        return given.strip() == gold.strip()
    left, right = number_of(given), number_of(gold)
    if left is not None or right is not None:
        return left is not None and right is not None and left == right
    return "".join(tidy(given).split()) == "".join(tidy(gold).split())
