"""Numbers in words: English in full, other languages up to the thousands, CJK numerals."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import cache

from derl_primitives.patterns import pattern

_EN = {
    w: i
    for i, w in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
        ]
    )
}
_EN |= {
    w: 10 * i
    for i, w in enumerate(
        ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], 2
    )
} | {"fourty": 40, "nought": 0}
_SCALES = {
    "hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12,
    "dozens": 12, "score": 20, "hundreds": 100, "thousands": 1000, "millions": 10**6, "billions": 10**9, "lakh": 10**5, "crore": 10**7,
    "hundert": 100, "tausend": 1000, "millionen": 10**6, "milliarde": 10**9, "milliarden": 10**9, "dutzend": 12,
    "mille": 1000, "millions ": 10**6, "milliard": 10**9, "milliards": 10**9, "douzaine": 12,
    "mil": 1000, "millón": 10**6, "millones": 10**6, "milhão": 10**6, "milhões": 10**6, "mila": 1000, "milione": 10**6, "milioni": 10**6,
    "тысяча": 1000, "тысячи": 1000, "тысяч": 1000, "миллион": 10**6, "миллиона": 10**6, "миллионов": 10**6, "docena": 12, "mln": 10**6, "mn": 10**6, "bn": 10**9,
}  # fmt: skip
_UNITS = {
    "de": "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn "
    "vierzehn fünfzehn sechzehn siebzehn achtzehn neunzehn",
    "fr": "zéro un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze "
    "quinze seize dix-sept dix-huit dix-neuf",
    "es": "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce "
    "quince dieciséis diecisiete dieciocho diecinueve",
    "pt": "zero um dois três quatro cinco seis sete oito nove dez onze doze treze catorze "
    "quinze dezesseis dezessete dezoito dezenove",
    "it": "zero uno due tre quattro cinque sei sette otto nove dieci undici dodici tredici "
    "quattordici quindici sedici diciassette diciotto diciannove",
    "ru": "ноль один два три четыре пять шесть семь восемь девять десять одиннадцать "
    "двенадцать тринадцать четырнадцать пятнадцать шестнадцать семнадцать восемнадцать "
    "девятнадцать",
    "nl": "nul een twee drie vier vijf zes zeven acht negen tien elf twaalf dertien veertien "
    "vijftien zestien zeventien achttien negentien",
    "pl": "zero jeden dwa trzy cztery pięć sześć siedem osiem dziewięć dziesięć jedenaście "
    "dwanaście trzynaście czternaście piętnaście szesnaście siedemnaście osiemnaście "
    "dziewiętnaście",
}
_TENS = {
    "de": "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig",
    "fr": "vingt trente quarante cinquante soixante - quatre-vingt -",
    "es": "veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa",
    "pt": "vinte trinta quarenta cinquenta sessenta setenta oitenta noventa",
    "it": "venti trenta quaranta cinquanta sessanta settanta ottanta novanta",
    "ru": "двадцать тридцать сорок пятьдесят шестьдесят семьдесят восемьдесят девяносто",
    "nl": "twintig dertig veertig vijftig zestig zeventig tachtig negentig",
    "pl": "dwadzieścia trzydzieści czterdzieści pięćdziesiąt sześćdziesiąt siedemdziesiąt "
    "osiemdziesiąt dziewięćdziesiąt",
}
_MORE = {
    "ein": 1, "eine": 1, "une": 1, "una": 1, "uma": 1, "duas": 2, "одна": 1, "две": 2, "dreissig": 30, "cien": 100, "ciento": 100,
    "doscientos": 200, "trescientos": 300, "quinientos": 500, "cem": 100, "cento": 100, "duzentos": 200, "trezentos": 300, "сто": 100,
    "двести": 200, "триста": 300, "четыреста": 400, "пятьсот": 500, "шестьсот": 600, "семьсот": 700, "восемьсот": 800, "девятьсот": 900,
    "dezasseis": 16, "dezassete": 17, "quatre-vingts": 80, "septante": 70, "huitante": 80, "nonante": 90, "honderd": 100, "duizend": 1000, "tre": 3, "ventuno": 21,
    "veintiuno": 21, "veintidós": 22, "veintitrés": 23, "veinticuatro": 24, "veinticinco": 25, "veintiséis": 26, "veintisiete": 27, "veintiocho": 28, "veintinueve": 29,
}  # fmt: skip
_PARTS = {
    "half": 2, "halves": 2, "third": 3, "thirds": 3, "quarter": 4, "quarters": 4, "fourth": 4, "fourths": 4, "fifth": 5, "fifths": 5, "sixth": 6, "sixths": 6,
    "seventh": 7, "sevenths": 7, "eighth": 8, "eighths": 8, "ninth": 9, "ninths": 9, "tenth": 10, "tenths": 10, "eleventh": 11, "elevenths": 11, "twelfth": 12, "twelfths": 12,
    "twentieth": 20, "twentieths": 20, "hundredth": 100, "hundredths": 100, "thousandth": 1000, "thousandths": 1000, "fifteenth": 15, "fifteenths": 15, "sixteenth": 16, "sixteenths": 16,
}  # fmt: skip
_FRENCH = frozenset(["deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf"])
_AND_PART = pattern(
    r"[ -]+and[ -]+(an?|one|two|three|four|five|six|seven|eight|nine|ten)[ -]+((?:half|third"
    r"|quarter|fourth"
    r"|fifth|sixth|seventh|eighth|ninth|tenth|twelfth|sixteenth)s?|halves)(?![a-z])",
    re.I,
)
_HALF_OF = pattern(r" an? (dozen|hundred|thousand|million)(?!\w)")
_POINT = pattern(
    r"[ -]+point((?:[ -]+(?:zero|oh|one|two|three|four|five|six|seven|eight|nine))+)", re.I
)
_JOINERS = frozenset(("and", "y", "et", "e", "und", "и", "en", "i"))
_LINKS = {"de": "und", "nl": "en"}
_CJK = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2, "兩": 2}
_NOT_COUNTED = frozenset("共起定样樣些旦直般切致")
"""What makes a character that counts another word: `一共`."""
_CJK_TENS = {"十": 10, "百": 100, "千": 1000}
_CJK_BIG = {"万": 10**4, "萬": 10**4, "亿": 10**8, "億": 10**8}
_KO = {c: i for i, c in enumerate("영일이삼사오육칠팔구")}
_KO_TENS = {"십": 10, "백": 100, "천": 1000}
_KO_BIG = {"만": 10**4, "억": 10**8}
_CJK_RUN = pattern(
    "[零〇一二三四五六七八九十百千万萬亿億两兩]+|[영일이삼사오육칠팔구십백천만억]+(?=(?:입|이에|개|명|원|$|\\s|\\.))"
)
_WORD = pattern(r"[^\W\d_]+(?:[-'][^\W\d_]+)*")


@cache
def _words() -> dict[str, int]:
    """Each word for a number below a hundred, whatever its language."""
    table = dict(_MORE)
    for language, line in _UNITS.items():
        units = line.split()
        table |= {w: i for i, w in enumerate(units)}
        for ten, word in enumerate(_TENS[language].split(), 2):
            if word == "-":
                continue
            table[word] = 10 * ten
            for digit in range(1, 10):
                table[_joined(language, word, units, digit)] = 10 * ten + digit
    for digit, word in enumerate(_UNITS["fr"].split()[10:20]):
        table["soixante-" + word] = 70 + digit
        table["quatre-vingt-" + word] = 90 + digit
    table["soixante-et-onze"] = 71
    return table | _EN


def _joined(language: str, ten: str, units: list[str], digit: int) -> str:
    unit = units[digit]
    if language in ("de", "nl"):
        unit = "ein" if unit == "eins" else unit
        link = "ën" if language == "nl" and unit.endswith("e") else _LINKS[language]
        return unit + link + ten
    if language == "it":
        return (ten[:-1] if digit in (1, 8) else ten) + unit
    return f"{ten}-{unit}"


def _compound(word: str) -> list[str]:
    """German and Italian compounds split at hundreds and thousands: `dreihundertfünf`."""
    for big in ("tausend", "hundert", "cento", "mila"):
        head, found, tail = word.partition(big)
        if found and (head in _words() or not head or _compound(head)[1:]):
            return [
                *(_compound(head) if head else []),
                big,
                *(_compound(tail.removeprefix("und")) if tail else []),
            ]
    return [word]


def words_value(text: str) -> tuple[Fraction, int] | None:
    """The number that a text starts with in words, and where it ends; None when it does not.

    >>> words_value("two hundred and five apples"), words_value("三十五")
    ((Fraction(205, 1), 20), (Fraction(35, 1), 3))
    >>> words_value("three quarters"), words_value("apples")
    ((Fraction(3, 4), 14), None)
    """
    cjk = _CJK_RUN().match(text)
    if cjk and text[cjk.end() : cjk.end() + 1] in _NOT_COUNTED:
        return None
    if cjk:
        number = _cjk(cjk.group())
        return None if number is None else (Fraction(number), cjk.end())
    found = _spoken(text)
    if found is None or found[0].denominator != 1:
        return found
    value, end = found
    more = _AND_PART().match(text, end)
    if more:
        return value + Fraction(_EN.get(more[1].lower(), 1), _PARTS[more[2].lower()]), more.end()
    more = _POINT().match(text, end)
    if more:
        digits = "".join(str(_EN.get(w, 0)) for w in more[1].lower().replace("-", " ").split())
        return value + Fraction(int(digits), 10 ** len(digits)), more.end()
    return found


def _cjk(run: str) -> int | None:
    digits, tens, big = (
        (_KO, _KO_TENS, _KO_BIG) if "가" <= run[0] <= "힣" else (_CJK, _CJK_TENS, _CJK_BIG)
    )
    if len(run) > 30:
        return None
    if all(c in digits for c in run):
        return int("".join(str(digits[c]) for c in run))
    total = section = 0
    digit: int | None = None
    for char in run:
        if char in digits:
            digit = digits[char]
        elif char in tens:
            section += (1 if digit is None or digit == 0 else digit) * tens[char]
            digit = None
        elif char in big:
            total += (section + (digit or 0) or 1) * big[char]
            section, digit = 0, None
    return total + section + (digit or 0)


def _spoken(text: str) -> tuple[Fraction, int] | None:
    total = current = 0
    end = 0
    seen = False
    last_small: int | None = None
    at = 0
    parts: Fraction | None = None
    before = ""
    for _ in range(24):
        match = _WORD().match(text, at)
        if match is None:
            break
        word = match.group().lower()
        pieces = _pieces(word)
        if word in ("cent", "cents") and before in _FRENCH:
            pieces = [("scale", 100)]
        before = word
        if pieces is None:
            low = word.split("-")
            if not seen and len(low) == 2 and low[1] in _PARTS and low[0] in _EN:
                return Fraction(_EN[low[0]], _PARTS[low[1]]), match.end()
            if seen and word in _JOINERS:
                at = _gap(text, match.end())
                continue
            if seen and low[-1] in _PARTS and parts is None and (current or total):
                parts = Fraction(total + current, _PARTS[low[-1]])
                end = match.end()
            elif not seen and word in ("a", "an", "one"):
                at = _gap(text, match.end())
                nxt = _WORD().match(text, at)
                if nxt and (nxt.group().lower() in _PARTS or nxt.group().lower() in _SCALES):
                    seen, current, last_small = True, 1, 1
                    continue
                return None
            elif not seen and word in ("half",):
                scale = _HALF_OF().match(text, match.end())
                if scale:
                    return Fraction(_SCALES[scale[1]], 2), scale.end()
                return Fraction(1, 2), match.end()
            break
        for kind, value in pieces:
            if kind == "scale":
                if value >= 1000:
                    total += (current or 1) * value
                    current = 0
                else:
                    current = (current or 1) * value
                last_small = None
            else:
                if last_small is not None and not (
                    last_small >= 20 and last_small % 10 == 0 and value < 10
                ):
                    return _done(total + current, parts, end) if seen else None
                current += value
                last_small = value if value < 100 else None
        seen, end = True, match.end()
        at = _gap(text, end)
        nxt = _WORD().match(text, at)
        if nxt and nxt.group().lower() in _PARTS:
            parts = Fraction(total + current, _PARTS[nxt.group().lower()])
            return parts, nxt.end()
    if not seen:
        return None
    return _done(total + current, parts, end)


def _done(value: int, parts: Fraction | None, end: int) -> tuple[Fraction, int]:
    return (Fraction(value) if parts is None else parts), end


def _gap(text: str, at: int) -> int:
    while at < len(text) and text[at] in " -,":
        at += 1
    return at


def _pieces(word: str) -> list[tuple[str, int]] | None:
    table = _words()
    if word in table:
        return [("small", table[word])]
    if word in _SCALES:
        return [("scale", _SCALES[word])]
    found: list[tuple[str, int]] = []
    for part in word.split("-"):
        for piece in _compound(part):
            if piece in table:
                found.append(("small", table[piece]))
            elif piece in _SCALES:
                found.append(("scale", _SCALES[piece]))
            elif piece in _JOINERS and found:
                continue
            else:
                return None
    return found


def scale_of(word: str) -> int | None:
    """What a scale word multiplies a number before it by: `million`, `dozen`, `万`."""
    if word in ("k", "K", "M"):
        return 10**6 if word == "M" else 1000
    if word in _CJK_TENS:
        return _CJK_TENS[word]
    return _SCALES.get(word.lower()) or _CJK_BIG.get(word) or _KO_BIG.get(word)


SCALE_AFTER = re.compile(
    r"\s*(hundred|thousand|million|billion|trillion|dozen|lakh|crore|tausend|Millionen"
    r"|Million|Milliarden?|milliards?|mille|mil|millones|millón|milhões|milhão|milioni"
    r"|milione|тысячи?|миллион(?:а|ов)?|mln|bn|千|百|万|萬|亿|億|만|억"
    r"|(?<=\d)(?-i:[kM])(?!\w))(?![a-zA-Z])",
    re.I,
)
