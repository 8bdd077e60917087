"""What the parser would have accepted, in words, and the mend of frequent slips."""

from __future__ import annotations

from collections.abc import Iterable

from derl_grammar import syntax_codes as codes
from derl_grammar.diagnostics import Code
from derl_grammar.machine import Token

_EXPRESSION = {"NUMBER", "NAME", "LPAR", "STRING", "MINUS"}
_WORDS = {
    "$END": "the end",
    "RPAR": "')'",
    "LPAR": "'('",
    "COMMA": "','",
    "EQUAL": "'='",
    "IF": "`if`",
    "ELSE": "`else`",
    "AND": "`and`",
    "OR": "`or`",
    "NOT": "`not`",
    "_NL": "a new line",
}
_OPERATORS = {"PLUS", "MINUS", "STAR", "SLASH", "PERCENT", "POWER", "COMPARE"}
_LOGIC = {"IF", "AND", "OR"}


def expectation(terminals: Iterable[str]) -> str:
    """The accepted terminals as a phrase: `an operator, ')' or the end`."""
    left = set(terminals) - {"UNKNOWN", "_NL"}
    words = []
    if left >= _EXPRESSION:
        words.append("an expression")
        left -= _EXPRESSION | {"PLUS", "NOT", "TRUE", "FALSE"}
    if left & _OPERATORS:
        words.append("an operator")
        left -= _OPERATORS | _LOGIC
    words += sorted(_WORDS.get(t, t.lower()) for t in left - {"$END"})
    if "$END" in left:
        words.append("the end")
    if len(words) <= 1:
        return "".join(words) or "something else"
    return ", ".join(words[:-1]) + " or " + words[-1]


_CHARACTERS = {
    "^": "powers are written **",
    "&": "write `and`",
    "|": "write `or`",
    "!": "write `not` or `!=`",
    "[": "the language has no indexing",
    "]": "the language has no indexing",
    ".": "the language has no attributes",
    ":": "the language has no statements but name = expression",
    ";": "put each statement on its own line",
    "?": "write: a if condition else b",
    "{": "the language has no braces",
    "}": "the language has no braces",
    "×": "products are written *",
    "÷": "quotients are written /",
    "−": "minus is the plain - character",
    "“": 'strings are written with plain quotes: "…"',
    "”": 'strings are written with plain quotes: "…"',
    "\\": "line breaks inside brackets need no backslash",
    "$": "names have letters, digits and _",
    "@": "products are written *",
}
_KEYWORDS = {
    "import": "the language has no imports",
    "def": "the language has no functions of your own; name a part instead",
    "lambda": "the language has no functions of your own; name a part instead",
    "for": "the language has no loops; functions work on whole lists",
    "while": "the language has no loops",
    "return": "the result is named: reward = …",
    "elif": "nest conditionals: a if p else b if q else c",
}


def mend(tokens: list[Token], index: int) -> tuple[Code, str | None]:
    """The code and the hint for an unexpected token at `index` (len(tokens): the end)."""
    before = tokens[index - 1] if index else None
    if index >= len(tokens):
        return codes.SYNTAX, None
    token = tokens[index]
    if token.type == "UNKNOWN":
        if str(token) in "\"'":
            return codes.BRACKET, "close the string with the same quote on its line"
        return codes.CHARACTER, _CHARACTERS.get(str(token))
    if (
        before is not None
        and before.type == "NUMBER"
        and token.lower() == "e"
        and token.start_pos == before.end_pos
    ):
        return codes.LITERAL, "write the number without spaces: 1e-6"
    if before is not None and before.type == "STAR" and token.type == "STAR":
        return codes.SYNTAX, "powers are written ** without a space"
    if before is not None and str(before) in _KEYWORDS:
        return codes.SYNTAX, _KEYWORDS[str(before)]
    if token.type == "EQUAL":
        return codes.SYNTAX, "equality is written =="
    if before is not None and before.type in ("NUMBER", "RPAR") and token.type in ("NAME", "LPAR"):
        return codes.SYNTAX, "products are written with *"
    return codes.SYNTAX, _KEYWORDS.get(str(token))
