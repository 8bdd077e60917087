r"""Characters and dressing: what a text looks like before anybody asks what it means.

`plain` maps characters (invisible ones, digits of other scripts, full-width and mathematical
letters, superscripts); `undressed` takes LaTeX and Markdown off a short answer. Both are linear.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from derl_primitives.patterns import pattern

SET_OPEN, SET_CLOSE = "\u2983", "\u2984"
r"""What `\{` and `\}` become in an answer: braces that mean a set, unlike those of LaTeX."""

ROW = "\u241e"
r"""What `\\\\` becomes: the end of a row of a matrix."""

_INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b"
    "\u202c\u202d\u202e\u2060\u2061\u2062\u2063\u2064\u2066\u2067\u2068\u2069\ufe0e\ufe0f\ufeff"
)
_SPACES = "\u00a0\u1680\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_SAME = {
    "\u2212": "-", "\u2010": "-", "\u2011": "-", "\ufe63": "-", "\u2043": "-", "\u207b": "\u207b",
    "\u2044": "/", "\u2215": "/", "\u2018": "'", "\u2019": "'", "\u201b": "'", "\u2032": "'",
    "\u02bc": "'", "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u00ab": '"', "\u00bb": '"',
    "\u2033": '"', "\u300c": '"', "\u300d": '"', "\u22c5": "\u00b7", "\u2219": "\u00b7",
    "\u2022": "\u00b7", "\u2217": "*", "\u2236": ":", "\u3001": ",", "\u066b": ".", "\u066c": ",",
    "\u060c": ",", "\uff0e": ".", "\u2264": "\u2264", "\u2a7d": "\u2264", "\u2266": "\u2264",
    "\u2a7e": "\u2265", "\u2267": "\u2265", "\u2245": "\u2248", "\u2243": "\u2248", "\u223c": "~",
    "\u066a": "%", "\ufe6a": "%", "\u03d5": "\u03c6", "\u2147": "e", "\u2148": "i",
    "\u2126": "\u03a9",
}  # fmt: skip
_SUPER = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿⁱˣʸ", "0123456789+-()nixy", strict=True))
_SUB = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋₍₎ₙₓ", "0123456789+-()nx", strict=True))
_SUPERS = pattern("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿⁱˣʸ]+")
_SUBS = pattern("[₀₁₂₃₄₅₆₇₈₉₊₋₍₎ₙₓ]+")
_OTHER_DIGIT = pattern(r"[^\W0-9a-zA-Z_]")


@cache
def _table() -> dict[int, str]:
    table: dict[int, str] = {ord(c): "" for c in _INVISIBLE}
    table |= {ord(c): " " for c in _SPACES}
    table |= {code: chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
    table |= {code: unicodedata.normalize("NFKC", chr(code)) for code in range(0x1D400, 0x1D800)}
    table |= {ord(c): other for c, other in _SAME.items()}
    for code in (*range(0xBC, 0xBF), *range(0x2150, 0x215F), 0x2189):
        top, _, bottom = unicodedata.normalize("NFKC", chr(code)).partition("\u2044")
        table[code] = rf"\frac{{{top}}}{{{bottom}}}"
    # Digits of all scripts; the loop is over the planes that have some.
    for code in (*range(0x660, 0x1950), *range(0x19D0, 0x1C60), *range(0xA620, 0xABFA)):
        digit = unicodedata.decimal(chr(code), None)
        if digit is not None:
            table[code] = str(digit)
    return table


def plain(text: str) -> str:
    r"""The text in plain characters: what looks the same becomes the same.

    >>> plain("\uff11\u0663\u200b\u2212x\u00b2\u2075 \u00bd")
    '13-x^{25} \\frac{1}{2}'
    """
    if text.isascii():
        return text
    text = text.translate(_table())
    text = _SUPERS().sub(lambda m: "^{" + "".join(_SUPER[c] for c in m.group()) + "}", text)
    return _SUBS().sub(lambda m: "_{" + "".join(_SUB[c] for c in m.group()) + "}", text)


_WRAPPERS = (
    "text|textbf|textit|textrm|textsf|texttt|textnormal|textsc|textup|mathrm|mathbf"
    "|mathit|mathsf|mathtt"
    "|mathnormal|operatorname|mbox|hbox|boldsymbol|bm|fbox|boxed|emph|underline|bold|rm"
    "|bf|ensuremath|pmb"
)
_WRAPPED = pattern(
    rf"\\(?:{_WRAPPERS})\*?\s*\{{((?:[^{{}}\\]|\\.|\{{[^{{}}]*\}})*)\}}"
    rf"|\\(?:text)?color\{{[^{{}}]*\}}"
    rf"(?:\{{([^{{}}]*)\}})?"
)
_SWITCHES = pattern(
    r"\\(?:displaystyle|textstyle|scriptstyle|limits|nolimits|bf|rm|it|boldmath|quad|qquad"
    r"|hspace\{[^{}]*\}"
    r"|phantom\{[^{}]*\}|label\{[^{}]*\}|tag\*?\{[^{}]*\}|hfill|newline|par)(?![A-Za-z])"
    r"|\\[;: ]|\\>|~"
)
_SIZED = pattern(
    r"\\(?:left|right|middle|big|Big|bigg|Bigg|[bB]ig{1,2}[lrm])(?![A-Za-z])\s*\.?(?<!\.)"
)
_DOT_DELIMITER = pattern(r"\\(?:left|right)\s*\.")
_THIN = pattern(r"\\,|\\thinspace(?![A-Za-z])")
_DELIMITERS = pattern(r"\\[()]|\\\[|\\\]")
_MATH = pattern(r"(?<!\\)\$\$?\s*([^$]*[^$\\\s])\s*(?<!\\)\$\$?(?!\d)")
_BOLD = pattern(r"(?<![\w)\]}*])(\*\*|__|\*|_|`{1,3})(?=[^\s*_`])([^*`\n]*?[^\s*`])\1(?![\w(*])")
_NAMES = pattern(
    r"\\(leq?|leqslant|geq?|geqslant|neq?|lt|gt|times|cdot|div|ast|pi|infty|approx|cup|cap"
    r"|pm|mp|in|colon|mid|vert"
    r"|lbrace|rbrace|lbrack|rbrack|lvert|rvert|ldots|dots|cdots|lor|land|vee|wedge|to"
    r"|rightarrow|circ|degree|deg"
    r"|euro|pounds|prime|and|sim|simeq|cong|equiv|theta|setminus|backslash|emptyset"
    r"|varnothing|lparen|rparen"
    r"|bullet|star|therefore|because|checkmark|forall|exists|dfrac|tfrac|cfrac"
    r"|sfrac)(?![A-Za-z])\s?"
)
_NAMED = {
    "le": "\u2264", "leq": "\u2264", "leqslant": "\u2264", "ge": "\u2265", "geq": "\u2265",
    "geqslant": "\u2265", "ne": "\u2260", "neq": "\u2260", "lt": "<", "gt": ">", "times": "\u00d7",
    "cdot": "\u00b7", "ast": "*", "div": "\u00f7", "pi": "\u03c0", "infty": "\u221e",
    "approx": "\u2248", "sim": "\u2248", "simeq": "\u2248", "cong": "\u2248", "cup": "\u222a",
    "cap": "\u2229", "pm": "\u00b1", "mp": "\u00b1", "in": "\u2208", "colon": ":", "mid": "|",
    "vert": "|", "lvert": "|", "rvert": "|", "lbrace": SET_OPEN, "rbrace": SET_CLOSE,
    "lbrack": "[", "rbrack": "]", "lparen": "(", "rparen": ")", "ldots": "...", "dots": "...",
    "cdots": "...", "lor": " or ", "vee": " or ", "land": " and ", "wedge": " and ", "and": " and ",
    "to": "\u2192", "rightarrow": "\u2192", "circ": "\u00b0", "degree": "\u00b0", "deg": "\u00b0",
    "euro": "\u20ac", "pounds": "\u00a3", "prime": "'", "equiv": "\u2261", "theta": "\u03b8",
    "setminus": "\u2216", "backslash": "\u2216", "emptyset": "\u2205", "varnothing": "\u2205",
    "bullet": "\u00b7", "star": "*", "therefore": "", "because": "", "checkmark": "",
    "forall": "\u2200", "exists": "\u2203", "dfrac": r"\frac", "tfrac": r"\frac",
    "cfrac": r"\frac", "sfrac": r"\frac",
}  # fmt: skip
_DEGREE = pattern(r"\^\s*(?:\{\s*°\s*\}|°)")
_MONEY = pattern(r"\\([$%&#_])")
_SPACE = pattern(r"\s+")
DEEPEST = 8
"""How often dressing inside dressing is taken off."""


_TILDE = pattern(r"(?<=\d)~(?=\d)")
_DASH = pattern(r"(?:(?<=^)|(?<=[=(,$])|(?<=[=(,$] ))[\u2013\u2014](?=\s?[\d.\\])")
_OVER = pattern(r"\{([^{}]*?)\\over(?![A-Za-z])([^{}]*)\}")
_GAPS = pattern(r"(?<!\d)\s+|\s+(?!\d)")


def squeezed(text: str) -> str:
    """The text without white space, save between two digits: `3 3/4` is not `33/4`.

    >>> squeezed("( 1, 2 )"), squeezed("3 3/4")
    ('(1,2)', '3 3/4')
    """
    return _GAPS().sub("", text)


def undressed(answer: str) -> str:
    r"""A short answer without LaTeX and Markdown dressing; formulas stay formulas.

    >>> undressed(r"**$\dfrac{3}{4}\text{ cup}$**"), undressed(r"\left\{ 10\,000 \right\}")
    ('\\frac{3}{4} cup', '⦃ 10 000 ⦄')
    """
    answer = _DASH().sub("-", _TILDE().sub(" ", plain(answer)))
    if "\\" in answer or "$" in answer:
        answer = _without_latex(answer)
    if not answer.isalnum():
        for _ in range(3):
            bare = _BOLD().sub(r"\2", answer)
            if bare == answer:
                break
            answer = bare
        answer = answer.strip().strip("`").strip()
        answer = _unmarked_ends(answer)
    return _DASH().sub("-", _SPACE().sub(" ", answer).strip().removesuffix("\\").rstrip())


_STRAY = pattern(r"(?:\*{2,3}|__)(?=[\s.,;:!?)\u3002]|$)|(?:(?<=\s)|^)(?:\*{2,3}|__)(?=\S)")


def _unmarked_ends(answer: str) -> str:
    """Without Markdown marks that stand at one end only: `54**` of `**Answer: 54**`."""
    if "**" in answer or "__" in answer:
        answer = _STRAY().sub("", answer)
    return (
        answer.lstrip("*#> ").rstrip("*`_ ")
        if answer[:1] in "*#>" or answer[-1:] in "*`_"
        else answer
    )


def _without_latex(answer: str) -> str:
    answer = _MATH().sub(r" \1 ", answer)
    if "\\" not in answer:
        return answer
    answer = answer.replace("\\\\", ROW)
    if "\\over" in answer:
        answer = _OVER().sub(r"\\frac{\1}{\2}", answer)
    answer = _DELIMITERS().sub(" ", answer)
    answer = _DOT_DELIMITER().sub(" ", answer)
    answer = _SIZED().sub("", answer)
    answer = answer.replace("\\{", SET_OPEN).replace("\\}", SET_CLOSE).replace("\\|", "|")
    answer = answer.replace("\\!", "").replace("\\negthinspace", "")
    answer = _THIN().sub(" ", answer)
    answer = _SWITCHES().sub(" ", answer)
    for _ in range(DEEPEST):
        bare = _WRAPPED().sub(_content, answer)
        if bare == answer:
            break
        answer = bare
    answer = _NAMES().sub(lambda m: _NAMED[m[1]], answer)
    answer = _MONEY().sub(r"\1", answer)
    return _DEGREE().sub("°", answer)


def _content(match: re.Match[str]) -> str:
    inside = match[1] if match[1] is not None else match[2] or ""
    if inside in (",", ".", "-", "/"):
        return inside
    return (
        f" {inside} "
        if match.group().startswith((r"\text", r"\mbox", r"\hbox", r"\mathrm"))
        else inside
    )
