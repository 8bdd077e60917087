"""What the parser would have accepted, in words, and the fix of frequent slips."""

from __future__ import annotations

import keyword
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
    "~": "write `not`",
    "[": "the language has no lists of its own and no indexing: min(a, b, c), first(xs), last(xs)",
    "]": "the language has no lists of its own and no indexing: min(a, b, c), first(xs), last(xs)",
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
    "in": 'write contains(text, "…"), any(xs == x) of a list, or x == 1 or x == 2',
    "is": "numbers are compared with ==; of an optional: default(x, …)",
    "None": "what does not apply is skip: … if condition else skip",
    "assert": "the language has no statements but name = expression",
    "class": "the language has no classes",
    "from": "the language has no imports",
    "try": "guard(x, default) stands for a value that is not finite",
    "with": "the language has no statements but name = expression",
}
_OWN = frozenset({"if", "else", "and", "or", "not", "True", "False"})
# Python's words that are no names: the syntax is a subset of Python's.
RESERVED = frozenset(keyword.kwlist) - _OWN
_CONDITIONAL = "conditionals are expressions: name = a if c else b"
_OPERAND_ENDS = frozenset({"NAME", "NUMBER", "RPAR", "STRING", "TRUE", "FALSE"})
# Modules whose functions the language has without a prefix.
_MODULES = frozenset({"math", "np", "numpy", "torch", "statistics", "re", "random"})


def keyword_hint(word: str) -> tuple[str, ...]:
    """What to write instead of a word of Python that is no name here."""
    hint = _KEYWORDS.get(word)
    return () if hint is None else (hint,)


def _slip(tokens: list[Token], index: int) -> str | None:
    """What is written otherwise in Python, or in mathematics."""
    before, token = tokens[index - 1] if index else None, tokens[index]
    if before is None:
        return _CONDITIONAL if token.type in ("IF", "ELSE") else None
    pair, near = f"{before}{token}", before.end_pos == token.start_pos
    if pair == "//":
        return "quotients without a rest are floor(a / b)"
    if pair == "<>":
        return "inequality is written !="
    if near and token.type == "EQUAL" and pair in ("+=", "-=", "*=", "/="):
        return "each name is given once: total = part + more"
    if near and before.type == "NUMBER" and token.startswith("_"):
        digits = "".join([before, token]).replace("_", "")
        return f"write the number without _: {digits}"
    if near and token.type == "STRING" and before.lower() in ("f", "b", "u", "rf", "fr", "br"):
        return 'texts are plain: "…", or r"…" for patterns'
    if before.type == "NUMBER" and token.type == "COMMA":
        return "numbers have a point: 0.5"
    if token == "." and before in _MODULES:
        return "functions have no prefix: exp(x), log(x), clip(x, lo, hi), mean(xs)"
    if token == ".":
        return _method(before, tokens[index + 1 : index + 4])
    if token.type == "NAME" and token.lower() in ("and", "or", "not"):
        return f"write `{token.lower()}`"
    if token.type == "IF" or token == "then":
        return _CONDITIONAL
    return None


def _method(of: Token, after: list[Token]) -> str | None:
    """x.f(y) as a call of a function."""
    if of.type != "NAME" or [t.type for t in after[:2]] != ["NAME", "LPAR"]:
        return None
    arguments = str(of) if after[2:] and after[2].type == "RPAR" else f"{of}, …"
    return f"the language has no attributes; functions stand before: {after[0]}({arguments})"


def _unended(tokens: list[Token]) -> str | None:
    """What a statement lacks that ends too early."""
    types = [t.type for t in tokens]
    if types.count("IF") > types.count("ELSE") and types[-1] in _OPERAND_ENDS:
        return "a conditional has two branches: … if condition else 0, or else skip"
    return None


def fix_of(tokens: list[Token], index: int) -> tuple[Code, str | None]:
    """The code and the hint for an unexpected token at `index` (len(tokens): the end)."""
    before = tokens[index - 1] if index else None
    if index >= len(tokens):
        return codes.SYNTAX, _unended(tokens)
    token = tokens[index]
    slip = _slip(tokens, index)
    if slip is not None:
        return codes.CHARACTER if token.type == "UNKNOWN" else codes.SYNTAX, slip
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
