r"""Intervals and inequalities: sets of real numbers as unions of intervals with exact ends.

`(2, 5]`, `2 < x \le 5`, `x > 2 and x \le 5`, `\{x | ...\}`, `x \ne 0`, `\mathbb{R}`, `|x| < 3`.
An end is a fraction where it can be, else a float of ten digits; infinite ends are floats.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from itertools import pairwise

from derl_primitives.patterns import pattern
from derl_primitives.verdict import values
from derl_primitives.verdict.clean import SET_OPEN
from derl_primitives.verdict.elements import formula_of
from derl_primitives.verdict.formula import symbols
from derl_primitives.verdict.kinds.kind import Kind
from derl_primitives.verdict.split import bracketed
from derl_primitives.verdict.statement import views

End = Fraction | float
Piece = tuple[End, bool, End, bool]
"""Lower end and whether it belongs, upper end and whether it belongs."""
Union = tuple[Piece, ...]

INFINITY = math.inf
EVERYTHING: Union = ((-INFINITY, False, INFINITY, False),)
_SIGNS = {
    "<": "<",
    ">": ">",
    "\u2264": "\u2264",
    "\u2265": "\u2265",
    "<=": "\u2264",
    ">=": "\u2265",
    "=<": "\u2264",
    "=>": "\u2265",
    "\u2260": "\u2260",
    "!=": "\u2260",
}
_FLIPPED = {"<": ">", ">": "<", "\u2264": "\u2265", "\u2265": "\u2264", "\u2260": "\u2260"}
_COMPARE = pattern(r"<=|>=|=<|=>|!=|[<>\u2264\u2265\u2260]")
_WORDS = (
    (
        pattern(
            r"\s*(?:is |are )?(?:strictly )?(?:greater|more|larger|bigger) than or equal to\s*"
            r"|\s*(?:is )?at least\s*|\s*(?:is )?no less than\s*|\s*is not less than\s*"
        ),
        " \u2265 ",
    ),
    (
        pattern(
            r"\s*(?:is |are )?(?:strictly )?(?:less|smaller|fewer) than or equal to\s*|\s*(?:is "
            r")?at most\s*|\s*(?:is )?no (?:more|greater) than\s*|\s*is not (?:more|greater) "
            r"than\s*"
        ),
        " \u2264 ",
    ),
    (pattern(r"\s*(?:is |are )?(?:strictly )?(?:greater|more|larger|bigger) than\s*"), " > "),
    (pattern(r"\s*(?:is |are )?(?:strictly )?(?:less|smaller|fewer) than\s*"), " < "),
    (pattern(r"\s*(?:is |are )(?:strictly )?positive$"), " > 0"),
    (pattern(r"\s*(?:is |are )(?:strictly )?negative$"), " < 0"),
    (pattern(r"\s*(?:is |are )(?:non-?negative|not negative)$"), " \u2265 0"),
    (pattern(r"\s*(?:is |are )(?:non-?positive|not positive)$"), " \u2264 0"),
    (
        pattern(r"\s*(?:is )?not equal to\s*|\s*does not equal\s*|\s*is different from\s*"),
        " \u2260 ",
    ),
)
_ANY_NUMBER = pattern(
    r"^(?:[a-z] (?:is|may be|can be|could be) )?(?:any|every|all) (?:real )?(?:numbers?|values?"
    r"|reals?) "
    r"(?:strictly )?(?=between|from)"
)
_MUST_BE = pattern(r"\s+(?:must|has to|have to|needs? to|should|can only) be(?!\w)")
_NUMBERS_THAT = pattern(
    r"^(?:all|any|every) (?:the )?(?:real )?(?:numbers?|values?|reals?)(?: of)?(?: [a-z])?"
    r"(?: that are| which are| with| such that)?\s+(?=[<>\u2264\u2265\u2260])"
)
_SIGNED = pattern(
    r"^(?:the )?(?:set of )?(?:all |any |every )?(?:the )?(?:strictly )?(non-?negative"
    r"|non-?positive|positive|negative)"
    r" (?:real )?(?:numbers?|reals?|values?)(?: of x| x)?$"
)
_EXCEPT = pattern(
    r"^(?:[a-z] (?:is|can be) )?(?:all|any|every) (?:the )?(?:real )?(?:numbers?|values?|reals?"
    r"|x)(?: of x)?"
    r"(?: (?:x|except|but|other than|apart from|besides))+(?: for| x =)?\s+(?=\S)"
)
_REALS = pattern(
    r"^(?:(?:x|y|t)\s*\u2208\s*)?(?:all (?:the )?real(?:s| numbers?)?(?: x)?"
    r"|\\mathbb\s*\{?R\}?|\\R|\u211d|(?:the set of )?(?:all )?real numbers|(?:any|every) "
    r"real(?: number)?|all reals?)$"
)
_MEMBER = pattern(
    r"^\s*(?:for\s+)?(?:all\s+|any\s+)?[A-Za-z\u03b8]\s*(?:\u2208|(?:lies |is )?in(?= *[(\[]))\s*"
)
_BUILDER = pattern(r"^\s*[A-Za-z]\s*(?:\u2208\s*(?:\\mathbb\s*\{?R\}?|\u211d|R))?\s*[|:]\s*")
_UNION = pattern(r"\s*(?:\u222a|\u222A|(?<![A-Za-z])(?:union|or|oder|ou|o|или|U)(?![A-Za-z]))\s*")
_AND = pattern(r"\s*(?:(?<![A-Za-z])(?:and|und|et|(?<=\S )y(?= [a-z\d-])|и|but)(?![A-Za-z])|,)\s*")
_BETWEEN = pattern(
    r"^(?:[a-z] (?:is |lies )?)?between (.{1,40}?) and (.{1,40}?)(,? (?:inclusive"
    r"|exclusive|\(inclusive\)|\(exclusive\)))?$"
)
_FROM_TO = pattern(r"^(?:from )?(.{1,40}?) to (.{1,40}?),? (inclusive|exclusive)$")


_ENDS = pattern(
    r"^(?:all (?:real )?(?:numbers |values )?(?:of )?)?(?:[a-z] )?(?:is |lies )?(?:from"
    r"|between) (?P<low>\S{1,20})"
    r"(?:,? \(?(?P<a>included?|inclusive|excluded?|exclusive)\)?)?,? (?:(?:up )?to"
    r"|and) (?P<high>\S{1,20}?)"
    r",? \(?(?P<b>included?|inclusive|excluded?|exclusive)\)?$",
    re.I,
)
"""`from 1 (included) to 5 (excluded)`"""


def union_of(text: str, comma: bool = False) -> Union | None:
    """The set of numbers that a text describes, or None.

    >>> union_of("2 < x <= 5") == union_of("(2, 5]"), union_of("x > 4") == union_of("[4, inf)")
    (True, False)
    """
    text = text.strip(" .;")
    if not text or len(text) > 300:
        return None
    text = _SIGNED().sub(r"x is \1", _MUST_BE().sub(" is", text))
    text = _ANY_NUMBER().sub("", text)
    for words, sign in _WORDS:
        text = words().sub(sign, text)
    text = _EXCEPT().sub("x \u2260 ", _NUMBERS_THAT().sub("x ", text))
    return _union(text.strip(), comma)


def _union(text: str, comma: bool) -> Union | None:
    if _REALS().match(text):
        return EVERYTHING
    spoken = _ENDS().match(text)
    if spoken and spoken["a"]:
        low, high = _end(spoken["low"]), _end(spoken["high"])
        if low is None or high is None:
            return None
        shut = [word.lower().startswith("in") for word in (spoken["a"], spoken["b"])]
        return _canonical([(low, shut[0], high, shut[1])])
    between = _BETWEEN().match(text) or _FROM_TO().match(text)
    if between:
        ends = _end(between[1]), _end(between[2])
        closed = "inclusive" in (between[3] or "")
        return (
            None
            if ends[0] is None or ends[1] is None
            else _canonical([(ends[0], closed, ends[1], closed)])
        )
    inner = bracketed(text)
    if inner and inner[0] in (SET_OPEN, "{") and _BUILDER().match(inner[1]):
        return _union(_BUILDER().sub("", inner[1]), comma)
    text = _MEMBER().sub("", text)
    if "\u2216" in text:
        return _without(text, comma)
    pieces: list[Piece] = []
    for part in _UNION().split(text):
        found = _part(part.strip(" ,"), comma)
        if found is None:
            return None
        pieces += found
    return _canonical(pieces)


def _without(text: str, comma: bool) -> Union | None:
    """`\\mathbb{R} \\setminus \\{0, 1\\}`."""
    whole, _, holes = text.partition("\u2216")
    start, inner = _union(whole.strip(), comma), bracketed(holes.strip())
    if start != EVERYTHING or inner is None or inner[0] not in (SET_OPEN, "{"):
        return None
    points = [_end(p) for p in inner[1].split(",")]
    if any(p is None for p in points):
        return None
    return _holes([p for p in points if p is not None])


def _holes(points: list[End]) -> Union | None:
    ends: list[End] = [-INFINITY, *sorted(points), INFINITY]
    return _canonical([(a, False, b, False) for a, b in pairwise(ends)])


def _part(text: str, comma: bool) -> list[Piece] | None:
    found = _interval(text, comma)
    if found is not None:
        return [found]
    inner = bracketed(text)
    if inner and inner[0] in (SET_OPEN, "{"):
        points = [_end(p) for p in inner[1].split(",")]
        return (
            None
            if not points or None in points
            else [(p, True, p, True) for p in points if p is not None]
        )
    if inner and inner[0] == "(":
        nested = _union(inner[1], comma)
        return None if nested is None else list(nested)
    if not _COMPARE().search(text):
        return None
    pieces: Union | None = EVERYTHING
    for clause in _AND().split(text):
        if not clause.strip():
            continue
        one = _comparison(clause.strip(), comma)
        if one is None or pieces is None:
            return None
        pieces = _intersection(pieces, one)
    return None if pieces is None else list(pieces)


def _interval(text: str, comma: bool) -> Piece | None:
    if len(text) < 5 or text[0] not in "([]" or text[-1] not in ")][":
        return None
    inside = text[1:-1]
    parts = inside.split(";") if ";" in inside else inside.split(",")
    if len(parts) != 2:
        return None
    low, high = _end(parts[0], comma), _end(parts[1], comma)
    if low is None or high is None or not low < high:
        return None
    return (low, text[0] == "[", high, text[-1] == "]")


_INFINITE = pattern(
    r"^([+-]?)\s*(?:\u221e|oo|inf|infinity|Infinity|math\.inf|float\('inf'\)|\\infty)$"
)


def _end(text: str, comma: bool = False) -> End | None:
    text = text.strip()
    match = _INFINITE().match(text)
    if match:
        return -INFINITY if match[1] == "-" else INFINITY
    node = formula_of(text, comma)
    if node is None or symbols(node):
        return None
    number = values.exact(node)
    if number is not None:
        return number
    try:
        value = values.at(node, {})
    except values.Undefined:
        return None
    return None if abs(value.imag) > 1e-12 else value.real


def _comparison(text: str, comma: bool) -> Union | None:
    """`2 < x <= 5`, `x > 4`, `|x| < 3`, `2x + 1 > 7`."""
    signs = [_SIGNS[s] for s in _COMPARE().findall(text)]
    sides = [s.strip() for s in _COMPARE().split(text)]
    if not 1 <= len(signs) <= 2:
        return None
    ends = [_end(side, comma) for side in sides]
    open_ = [k for k, end in enumerate(ends) if end is None]
    if len(open_) != 1:
        return None
    at = open_[0]
    line = _line(sides[at], comma)
    if line is None:
        return None
    pieces: Union = EVERYTHING
    for k, sign in enumerate(signs):
        if at not in (k, k + 1):
            return None
        end = ends[k + 1] if at == k else ends[k]
        one = _ray(line, sign if at == k else _FLIPPED[sign], end)
        if one is None:
            return None
        pieces = _intersection(pieces, one)
    return pieces


def _line(text: str, comma: bool) -> tuple[Fraction, Fraction, bool] | None:
    """`a*x + b` as (a, b, False), `|x|` and the like as (a, b, True); None for anything else."""
    inner = text.replace(" ", "")
    absolute = len(inner) > 2 and inner[0] == inner[-1] == "|"
    node = formula_of(inner[1:-1] if absolute else text, comma)
    if node is None or len(symbols(node)) != 1:
        return None
    (name,) = symbols(node)
    try:
        at0, at1, at3 = (values.at(node, {name: complex(v)}) for v in (0.0, 1.0, 3.0))
    except values.Undefined:
        return None
    slope = at1 - at0
    if abs(slope) < 1e-12 or abs(at3 - at0 - 3 * slope) > 1e-9 * (1 + abs(slope)):
        return None
    a, b = (
        Fraction(slope.real).limit_denominator(10**6),
        Fraction(at0.real).limit_denominator(10**6),
    )
    return a, b, absolute


def _ray(line: tuple[Fraction, Fraction, bool], sign: str, end: End | None) -> Union | None:
    a, b, absolute = line
    if end is None:
        return None
    if absolute:
        if sign in ("<", "\u2264"):
            low, high = _solved(a, b, -end), _solved(a, b, end)
            closed = sign == "\u2264"
            return _canonical([(min(low, high), closed, max(low, high), closed)])
        if sign in (">", "\u2265"):
            low, high = sorted((_solved(a, b, -end), _solved(a, b, end)))
            closed = sign == "\u2265"
            return _canonical([(-INFINITY, False, low, closed), (high, closed, INFINITY, False)])
        return None
    if a < 0:
        sign = _FLIPPED[sign]
    point = _solved(a, b, end)
    if sign == "\u2260":
        return _holes([point])
    closed = sign in ("\u2264", "\u2265")
    if sign in ("<", "\u2264"):
        return ((-INFINITY, False, point, closed and point != INFINITY),)
    return ((point, closed and point != -INFINITY, INFINITY, False),)


def _solved(a: Fraction, b: Fraction, end: End) -> End:
    if isinstance(end, float):
        return (
            end
            if math.isinf(end) and a > 0
            else -end
            if math.isinf(end)
            else (end - float(b)) / float(a)
        )
    return (end - b) / a


def _intersection(left: Union, right: Union) -> Union:
    pieces = []
    for a in left:
        for b in right:
            low, low_in = max((a[0], not a[1]), (b[0], not b[1]))
            high, high_in = min((a[2], a[3]), (b[2], b[3]))
            pieces.append((low, not low_in, high, high_in))
    return _canonical(pieces) or ()


def _canonical(pieces: list[Piece]) -> Union:
    """Sorted, empty pieces dropped, pieces that touch joined."""
    kept = sorted(
        (p for p in pieces if p[0] < p[2] or (p[0] == p[2] and p[1] and p[3])),
        key=lambda p: (p[0], not p[1]),
    )
    joined: list[Piece] = []
    for piece in kept:
        if joined:
            low, low_in, high, high_in = joined[-1]
            if piece[0] < high or (piece[0] == high and (piece[1] or high_in)):
                end, end_in = max((high, high_in), (piece[2], piece[3]))
                joined[-1] = (low, low_in, end, end_in)
                continue
        joined.append(piece)
    return tuple(
        (lo, li and abs(lo) != INFINITY, hi, ri and abs(hi) != INFINITY)
        for lo, li, hi, ri in joined
    )


def _same(given: Union, gold: Union) -> bool:
    if len(given) != len(gold):
        return False
    return all(
        a[1] == b[1] and a[3] == b[3] and _near(a[0], b[0]) and _near(a[2], b[2])
        for a, b in zip(given, gold, strict=True)
    )


def _near(a: End, b: End) -> bool:
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return a == b
    if math.isinf(a) or math.isinf(b):
        return a == b
    return abs(float(a) - float(b)) <= 1e-10 * max(1.0, abs(float(a)))


def _gold(text: str) -> Union | None:
    stripped = text.strip(" .")
    inner = bracketed(stripped)
    if (
        inner
        and inner[0] == "("
        and inner[2] == ")"
        and "\u221e" not in text
        and "inf" not in text
        and not _COMPARE().search(text)
    ):
        return None  # a point, or an open interval: `collection` knows both
    if (
        inner
        and inner[0] == "["
        and inner[2] == "]"
        and "," in inner[1]
        and inner[1].startswith("[")
    ):
        return None
    if inner and inner[0] in (SET_OPEN, "{") and not _COMPARE().search(text):
        return None
    found = union_of(text)
    return found if found else None


def _spoken(text: str, gold: Union, comma: bool) -> Union | None:
    for view in views(text):
        found = union_of(view, comma)
        if found is not None:
            return found
    pieces = list(_PIECES().finditer(text))
    return union_of(pieces[-1].group(), comma) if pieces else None


_PIECES = pattern(
    r"[(\[][^()\[\]]{1,60}[)\]](?:\s*\u222a\s*[(\[][^()\[\]]{1,60}[)\]])*"
    r"|(?:[^\s,]{1,30}\s*(?:<=|>=|[<>\u2264\u2265])\s*){1,2}[^\s,]{1,30}(?: or "
    r"[a-z]\s*(?:<=|>=|[<>\u2264\u2265])\s*[^\s,]{1,20})?"
)


KIND = Kind("interval", _gold, lambda text, gold, comma: union_of(text, comma), _same, _spoken)
