r"""Formulas as trees: a small reader of LaTeX, ASCII and code notation.

A node is a tuple: `("num", Fraction)`, `("sym", name)`, `("const", name)`, `("add", a, b)`,
`("mul", a, b)`, `("div", a, b)`, `("pow", a, b)`, `("neg", a)`, `("call", name, a)`, `("fact", a)`.
The text has gone through `clean.undressed`. What the reader does not know is None, never a guess:
`values` compares what was read, math-verify may be asked about the rest. Length and depth are
bounded; the policy writes the text.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

from derl_primitives.patterns import pattern
from derl_primitives.verdict.formula_words import (
    ALIASES,
    FUNCTIONS,
    GREEK,
    TWO,
    Unreadable,
    tokens_of,
)

Node = tuple[Any, ...]

LONGEST = 400
DEEPEST = 40


def read_formula(text: str) -> Node | None:
    r"""The tree of a formula, or None.

    >>> read_formula(r"2\frac{2}{3}")
    ('num', Fraction(8, 3))
    >>> read_formula("even number") is None
    True
    """
    if not text or len(text) > LONGEST:
        return None
    if "t" in text and _IN_WORDS().search(text):
        text = _in_signs(text)
    try:
        reader = _Reader(tokens_of(text))
        node = reader.sum()
        reader.end()
    except (Unreadable, RecursionError):
        return None
    return node


_IN_WORDS = pattern(
    r"(?<!\w)(?:(?:square|cube) root of|times|plus|minus|divided by|multiplied by|to the power"
    r"(?: of)?)(?!\w)",
    re.I,
)
_SIGNS = (
    (
        pattern(r"(?:the )?square root of (\d+(?:\.\d+)?|[a-z](?![a-z])|\([^()]*\))", re.I),
        r" sqrt(\1) ",
    ),
    (
        pattern(r"(?:the )?cube root of (\d+(?:\.\d+)?|[a-z](?![a-z])|\([^()]*\))", re.I),
        r" (\1)^(1/3) ",
    ),
    (pattern(r"(?<=[\w)}\s])\s*(?<!\w)(?:times|multiplied by)(?!\w)", re.I), " * "),
    (pattern(r"(?<!\w)plus(?!\w)", re.I), " + "),
    (pattern(r"(?<!\w)minus(?!\w)", re.I), " - "),
    (pattern(r"(?<!\w)divided by(?!\w)", re.I), " / "),
    (pattern(r"(?<!\w)to the power(?: of)?(?!\w)", re.I), " ^ "),
)


def _in_signs(text: str) -> str:
    """A formula read aloud with its signs: `2 times the square root of 3`."""
    for words, sign in _SIGNS:
        text = words().sub(sign, text)
    return text


class _Reader:
    """Recursive descent over the tokens; each method reads one level of precedence."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.tokens = tokens
        self.at = 0
        self.depth = 0
        self.bars = 0

    def peek(self, ahead: int = 0) -> tuple[str, str]:
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else ("", "")

    def take(self) -> tuple[str, str]:
        token = self.peek()
        self.at += 1
        return token

    def is_op(self, *signs: str) -> bool:
        kind, word = self.peek()
        return kind == "op" and word in signs

    def expect(self, sign: str) -> None:
        if not self.is_op(sign):
            raise Unreadable(sign)
        self.at += 1

    def end(self) -> None:
        if self.at < len(self.tokens):
            raise Unreadable(self.peek()[1])

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > DEEPEST:
            raise Unreadable("depth")

    def sum(self) -> Node:
        self.deeper()
        node = self.product()
        while self.is_op("+", "-"):
            _, sign = self.take()
            right = self.product()
            node = ("add", node, right if sign == "+" else ("neg", right))
        self.depth -= 1
        return node

    def product(self) -> Node:
        if self.is_op("-", "+"):
            self.deeper()
            _, sign = self.take()
            node = self.product()
            self.depth -= 1
            return ("neg", node) if sign == "-" else node
        node = self.power()
        while True:
            if self.is_op("*", "\u00d7", "\u00b7"):
                self.take()
                node = ("mul", node, self.signed())
            elif self.is_op("/", "\u00f7"):
                self.take()
                node = ("div", node, self.signed())
            elif self.starts_factor():
                node = self.beside(node)
            else:
                return node

    def signed(self) -> Node:
        if self.is_op("-", "+"):
            _, sign = self.take()
            node = self.power()
            return ("neg", node) if sign == "-" else node
        return self.power()

    def beside(self, node: Node) -> Node:
        """Two factors side by side: a product, or a mixed number."""
        start = self.at
        right = self.power()
        first = self.tokens[start]
        fraction = first == ("cmd", "frac")
        if self.tokens[start - 1][0] == "num" and node[0] == "num" and node[1].denominator == 1:
            if fraction and right[0] == "num" and 0 < right[1] < 1:
                return ("num", node[1] + right[1])
            if first[0] == "num":
                if self.is_op("/") and self.peek(1)[0] == "num" and right[0] == "num":
                    self.take()
                    bottom = Fraction(self.take()[1])
                    if bottom and right[1] < bottom:
                        return ("num", node[1] + right[1] / bottom)
                raise Unreadable("two numbers side by side")
        elif first[0] == "num":
            raise Unreadable("a number after a factor")
        return ("mul", node, right)

    def starts_factor(self) -> bool:
        kind, word = self.peek()
        if kind in ("num", "word", "greek"):
            return True
        if kind == "cmd":
            return word in FUNCTIONS or word in ALIASES or word in GREEK or word in (
                "frac", "sqrt", "pi", "binom", "infinity", "lfloor", "lceil", "exp", "over", "log"
            )  # fmt: skip
        return kind == "op" and (
            word in ("(", "{", "[", "\u03c0", "\u221a", "\u221b", "\u221e", "\u230a", "\u2308")
            or (word == "|" and not self.bars)
        )

    def power(self) -> Node:
        node = self.postfix(self.atom())
        if self.peek()[0] == "pow":
            self.take()
            self.deeper()
            node = ("pow", node, self.exponent())
            self.depth -= 1
            node = self.postfix(node)
        return node

    def exponent(self) -> Node:
        if self.is_op("-", "+"):
            _, sign = self.take()
            node = self.exponent()
            return ("neg", node) if sign == "-" else node
        if self.is_op("{"):
            return self.group()
        node = self.postfix(self.atom())
        if self.peek()[0] == "pow":
            self.take()
            return ("pow", node, self.exponent())
        return node

    def postfix(self, node: Node) -> Node:
        while self.is_op("!", "\u00b0", "%"):
            _, sign = self.take()
            if sign == "!":
                node = ("fact", node)
            elif sign == "%":
                node = ("div", node, ("num", Fraction(100)))
            else:
                node = ("mul", node, ("div", ("const", "pi"), ("num", Fraction(180))))
        return node

    def group(self) -> Node:
        self.expect("{")
        node = self.sum()
        self.expect("}")
        return node

    def atom(self) -> Node:
        kind, word = self.take()
        if kind == "num":
            return ("num", Fraction(word))
        if kind in ("word", "greek"):
            return self.symbol(word)
        if kind == "cmd":
            return self.command(word)
        if kind == "op":
            return self.bracket(word)
        raise Unreadable(word)

    def bracket(self, word: str) -> Node:
        if word in ("(", "[", "{"):
            node = self.sum()
            self.expect({"(": ")", "[": "]", "{": "}"}[word])
            return node
        if word == "|":
            self.bars += 1
            node = self.sum()
            self.bars -= 1
            self.expect("|")
            return ("call", "abs", node)
        if word in ("\u230a", "\u2308"):
            node = self.sum()
            self.expect("\u230b" if word == "\u230a" else "\u2309")
            return ("call", "floor" if word == "\u230a" else "ceil", node)
        if word == "\u03c0":
            return ("const", "pi")
        if word == "\u221e":
            return ("const", "inf")
        if word in ("\u221a", "\u221b"):
            arg = self.power() if not self.is_op("{") else self.group()
            return ("call", "sqrt" if word == "\u221a" else "cbrt", arg)
        raise Unreadable(word)

    def symbol(self, word: str) -> Node:
        name = word
        if self.is_op("_"):
            self.take()
            name += "_" + self.subscript()
        while self.is_op("'"):
            self.take()
            name += "'"
        if name == "e" or name == "i":
            return ("const", name)
        return ("sym", name)

    def subscript(self) -> str:
        kind, word = self.take()
        if kind in ("num", "word", "greek"):
            return word
        if (kind, word) != ("op", "{"):
            raise Unreadable(word)
        parts = []
        while not self.is_op("}"):
            kind, word = self.take()
            if not kind:
                raise Unreadable("subscript")
            parts.append(word)
        self.take()
        return "".join(parts)

    def command(self, word: str) -> Node:
        if word in ("frac", "binom"):
            top, bottom = self.argument(), self.argument()
            if word == "binom":
                return ("call", "binom", top, bottom)
            if top[0] == bottom[0] == "num" and bottom[1]:
                return ("num", top[1] / bottom[1])
            return ("div", top, bottom)
        if word == "pi":
            return ("const", "pi")
        if word == "infinity":
            return ("const", "inf")
        if word == "lfloor" or word == "lceil":
            node = self.sum()
            if self.take() != ("cmd", "rfloor" if word == "lfloor" else "rceil"):
                raise Unreadable(word)
            return ("call", "floor" if word == "lfloor" else "ceil", node)
        if word in GREEK:
            return self.symbol(
                {"varepsilon": "epsilon", "varphi": "phi", "vartheta": "theta"}.get(word, word)
            )
        word = ALIASES.get(word, word)
        if word in FUNCTIONS:
            return self.function(word)
        raise Unreadable(word)

    def argument(self) -> Node:
        """An argument in braces, or one token: `\\frac12`, `\\sqrt2`."""
        if self.is_op("{"):
            return self.group()
        kind, word = self.peek()
        if kind == "num" and len(word) > 1 and word.isdigit():
            self.tokens[self.at] = ("num", word[1:])
            return ("num", Fraction(word[0]))
        return self.atom()

    def function(self, name: str) -> Node:
        self.deeper()
        node = self._function(name)
        self.depth -= 1
        return node

    def _function(self, name: str) -> Node:
        base = power = None
        if name == "sqrt" and self.is_op("["):
            self.take()
            base = self.sum()
            self.expect("]")
        if name == "log" and self.is_op("_"):
            self.take()
            base = self.argument()
        if self.peek()[0] == "pow":
            self.take()
            power = self.exponent()
        if name in TWO:
            return self.of_two(name)
        arg = self.argument() if name == "sqrt" and not self.is_op("(") else self.operand()
        if name == "sqrt" and base is not None:
            node: Node = ("call", "root", arg, base)
        elif base is not None:
            node = ("call", "logb", arg, base)
        else:
            node = ("call", name, arg)
        if power == ("neg", ("num", Fraction(1))) and name in ("sin", "cos", "tan"):
            return ("call", "arc" + name, arg)
        return ("pow", node, power) if power is not None else node

    def of_two(self, name: str) -> Node:
        self.expect("(")
        first = self.sum()
        self.expect(",")
        second = self.sum()
        self.expect(")")
        return ("call", name, first, second)

    def operand(self) -> Node:
        """What a function without brackets applies to: `\\sin 2x \\cos x` stops before `\\cos`."""
        if self.is_op("(", "{", "["):
            return self.postfix(self.atom())
        if self.is_op("-"):
            self.take()
            return ("neg", self.operand())
        node = self.power()
        while self.is_op("/") or (
            self.starts_factor()
            and not self.is_op("(", "[", "{")
            and self.peek()[1] not in FUNCTIONS
        ):
            if self.is_op("/"):
                self.take()
                node = ("div", node, self.power())
            else:
                node = ("mul", node, self.power())
        return node


def symbols(node: Node) -> frozenset[str]:
    """The names of the variables in a tree."""
    if node[0] == "sym":
        return frozenset((node[1],))
    return frozenset().union(*(symbols(part) for part in node[1:] if isinstance(part, tuple)))


_REPEATING = pattern(
    r"(?<!\d)(?P<whole>\d*)\.(?P<fixed>\d*)(?:\\(?:overline|bar|overbar"
    r"|dot)\s*\{?(?P<a>\d+)\}?(?:\\dot\s*\{?(?P<b>\d)\}?)?"
    r"|\((?P<c>\d+)\)|(?P<d>(?:\d[\u0304\u0305])+))"
)


def repeating(text: str) -> str:
    r"""The text with repeating decimals as fractions in brackets.

    >>> repeating(r"0.1\overline{6}"), repeating("0.(27)")
    ('(15/90)', '(27/99)')
    """
    return _REPEATING().sub(_fraction, text) if "." in text else text


def _fraction(match: re.Match[str]) -> str:
    whole, fixed = match["whole"] or "0", match["fixed"]
    cycle = (
        (match["a"] or "") + (match["b"] or "") or match["c"] or re.sub(r"\D", "", match["d"] or "")
    )
    bottom = int("9" * len(cycle) + "0" * len(fixed))
    top = int(whole + fixed + cycle) - int(whole + fixed)
    return f"({top}/{bottom})"
