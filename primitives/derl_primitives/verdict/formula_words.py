"""The words and signs of a formula: which names are known, and where one word ends."""

from __future__ import annotations

from derl_primitives.patterns import pattern

FUNCTIONS = frozenset(
    [
        "sin",
        "cos",
        "tan",
        "cot",
        "sec",
        "csc",
        "sinh",
        "cosh",
        "tanh",
        "arcsin",
        "arccos",
        "arctan",
        "ln",
        "log",
        "lg",
        "exp",
        "sqrt",
        "abs",
        "floor",
        "ceil",
        "re",
        "im",
        "conj",
        "cbrt",
        "gcd",
        "lcm",
        "max",
        "min",
    ]
)
ALIASES = {
    "asin": "arcsin",
    "acos": "arccos",
    "atan": "arctan",
    "ctg": "cot",
    "tg": "tan",
    "cosec": "csc",
}
TWO = frozenset(("gcd", "lcm", "max", "min", "binom", "root", "logb"))
GREEK = frozenset(
    [
        "alpha",
        "beta",
        "gamma",
        "delta",
        "epsilon",
        "varepsilon",
        "zeta",
        "eta",
        "theta",
        "vartheta",
        "iota",
        "kappa",
        "lambda",
        "mu",
        "nu",
        "xi",
        "rho",
        "sigma",
        "tau",
        "upsilon",
        "phi",
        "varphi",
        "chi",
        "psi",
        "omega",
        "Gamma",
        "Delta",
        "Theta",
        "Lambda",
        "Xi",
        "Sigma",
        "Phi",
        "Psi",
        "Omega",
        "ell",
        "hbar",
    ]
)
_TOKEN = pattern(
    r"\s*(?:(?P<num>\d+(?:\.\d+)?|\.\d+)|\\(?P<cmd>[A-Za-z]+|.)|(?P<word>[A-Za-z]+)"
    r"|(?P<pow>\*\*|\^)"
    r"|(?P<op>[-+*/()\[\]{}|!_,\u00d7\u00b7\u00f7\u03c0\u221a\u221b\u221e\u00b0'%:]|\u230a"
    r"|\u230b|\u2308|\u2309)"
    r"|(?P<greek>[\u0391-\u03c9\u2113]))"
)


class Unreadable(Exception):
    """The text is no formula this reader knows."""


def tokens_of(text: str) -> list[tuple[str, str]]:
    """The words and signs of a formula, each with its kind; raises Unreadable."""
    found: list[tuple[str, str]] = []
    at, size = 0, len(text.rstrip())
    token = _TOKEN().match
    while at < size:
        match = token(text, at)
        if match is None:
            raise Unreadable(text[at])
        at = match.end()
        kind = match.lastgroup or ""
        word = match[kind]
        if kind == "word":
            found.extend(_words(word))
        else:
            found.append((kind, word))
        # Digits after a number and a space belong to nothing a formula has, save `2 2/3`.
    return found


def _words(word: str) -> list[tuple[str, str]]:
    """A run of letters as functions, constants and one-letter symbols."""
    found: list[tuple[str, str]] = []
    rest = word
    while rest:
        name = next((n for n in _KNOWN if rest.startswith(n)), None)
        if name and (len(name) > 2 or rest == name or name in ("pi", "ln", "lg")):
            found.append(("cmd", name))
            rest = rest[len(name) :]
        else:
            found.append(("word", rest[0]))
            rest = rest[1:]
    letters = sum(kind == "word" for kind, _ in found)
    if letters > 3 or (letters == 3 and word.isalpha() and word.lower() in _NO_PRODUCT):
        raise Unreadable(word)
    return found


_KNOWN = sorted(
    {*FUNCTIONS, *ALIASES, *GREEK, "pi", "infinity"} - {"re", "im", "max", "min", "nu", "mu", "xi"},
    key=len,
    reverse=True,
)
_NO_PRODUCT = frozenset(
    [
        "the",
        "and",
        "one",
        "two",
        "ten",
        "six",
        "are",
        "was",
        "not",
        "yes",
        "for",
        "add",
        "all",
        "any",
        "but",
        "can",
        "day",
        "has",
        "how",
        "its",
        "may",
        "new",
        "now",
        "odd",
        "old",
        "our",
        "out",
        "see",
        "she",
        "too",
        "top",
        "use",
        "way",
        "who",
        "why",
        "you",
        "off",
        "set",
    ]
)
