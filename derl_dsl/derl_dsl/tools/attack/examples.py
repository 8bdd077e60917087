"""A short text that a pattern matches, read off the pattern; RE2 itself says whether it does.

Patterns are RE2's. Of each choice the first way is taken, of each repeat the fewest times; what
this does not read (classes of scripts, and what contradicts itself) has no example.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

_CLASSES = {"d": "0", "w": "x", "s": " ", "D": "x", "W": " ", "S": "x"}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_NO_WIDTH = set("bBAzZ")
_NAMED = {"alpha": "x", "digit": "0", "alnum": "x", "lower": "x", "upper": "X", "space": " ",
          "punct": "!", "word": "x", "xdigit": "0"}  # fmt: skip
# What may stand where a class says what may not.
_PLAIN = "x0 -\n!Q"
_MOST = 64


class _Unread(Exception):
    """A construct that has no example here."""


def example(pattern: str) -> str | None:
    r"""A short text that a pattern matches; None for what this does not build.

    >>> example("#### -?[0-9]+")
    '#### 0'
    >>> example("(?i)step [1-9]:|x")
    'step 1:'
    >>> example(r"\b(?P<a>yes|no)\.{2,}$")
    'yes..'
    """
    try:
        reader = _Reader(pattern)
        made = reader.choice()
        if reader.at < len(pattern):
            return None
        found = pc.match_substring_regex(pa.array([made]), pattern)[0].as_py()
    except (_Unread, IndexError, ValueError, RecursionError, pa.ArrowException):
        return None
    return made if found else None


class _Reader:
    """Reads a pattern from left to right and makes the text as it goes."""

    def __init__(self, pattern: str) -> None:
        self.pattern, self.at = pattern, 0

    def ahead(self, text: str) -> bool:
        """Whether this comes next; it is then read."""
        found = self.pattern.startswith(text, self.at)
        self.at += len(text) if found else 0
        return found

    def choice(self) -> str:
        """Alternatives: the first is made, the others are read over."""
        made = self.sequence()
        while self.ahead("|"):
            self.sequence()
        return made

    def sequence(self) -> str:
        """What follows one another, up to a bar or the end of the group."""
        made = []
        while self.at < len(self.pattern) and self.pattern[self.at] not in "|)":
            one = self.atom()
            made.append(one * self.times())
        return "".join(made)

    def times(self) -> int:
        """The fewest times of a repeat, if one follows."""
        least = 1
        if self.ahead("*") or self.ahead("?"):
            least = 0
        elif self.ahead("+"):
            least = 1
        elif self.pattern[self.at : self.at + 1] == "{":
            inner, closed, _ = self.pattern[self.at + 1 :].partition("}")
            first, _, last = inner.partition(",")
            if not closed or not first.isdigit() or not (last == "" or last.isdigit()):
                return 1  # a brace that repeats nothing is itself
            self.at += len(inner) + 2
            least = int(first)
        else:
            return 1
        self.ahead("?")
        if least > _MOST:
            raise _Unread
        return least

    def atom(self) -> str:
        """One thing that a repeat may follow."""
        if self.ahead("("):
            return self.group()
        if self.ahead("["):
            return self.one_of()
        if self.ahead("\\"):
            return self.escape()
        if self.ahead("^") or self.ahead("$"):
            return ""
        sign = self.pattern[self.at]
        self.at += 1
        return "x" if sign == "." else sign

    def group(self) -> str:
        """What stands in brackets, or the flags they set."""
        if self.ahead("?"):
            if self.ahead("P<") or self.ahead("<"):
                self.at = self.pattern.index(">", self.at) + 1
            else:
                while self.pattern[self.at] in "imsU-":
                    self.at += 1
                if self.ahead(")"):
                    return ""
                if not self.ahead(":"):
                    raise _Unread
        made = self.choice()
        if not self.ahead(")"):
            raise _Unread
        return made

    def escape(self) -> str:
        """What stands after a backslash."""
        sign = self.pattern[self.at]
        self.at += 1
        if sign in _CLASSES:
            return _CLASSES[sign]
        if sign in _NO_WIDTH:
            return ""
        if sign == "Q":
            text, _, _ = self.pattern[self.at :].partition("\\E")
            self.at += len(text) + 2
            return text
        if sign == "x":
            return self.code_point()
        if sign.isalnum() and sign not in _ESCAPES:
            raise _Unread
        return _ESCAPES.get(sign, sign)

    def code_point(self) -> str:
        """A character by its number, in two digits or in braces."""
        if self.ahead("{"):
            digits, _, _ = self.pattern[self.at :].partition("}")
            self.at += len(digits) + 1
        else:
            digits = self.pattern[self.at : self.at + 2]
            self.at += 2
        return chr(int(digits, 16))

    def one_of(self) -> str:
        """A class in brackets: its first character, or a plain one that it does not name."""
        negated = self.ahead("^")
        start, named = self.at, list[str]()
        while self.at == start or not self.ahead("]"):
            if self.ahead("[:"):
                name, _, _ = self.pattern[self.at :].partition(":]")
                self.at += len(name) + 2
                named.append(_NAMED[name] if name in _NAMED else self.refuse())
            elif self.ahead("\\"):
                named.append(self.escape())
            else:
                named.append(self.pattern[self.at])
                self.at += 1
        if not negated:
            return named[0]
        inside = self.pattern[start - 1 : self.at]
        free = pc.match_substring_regex(pa.array(list(_PLAIN)), f"^[{inside}$").to_pylist()
        return next(c for c, fits in zip(_PLAIN, [*free, True], strict=False) if fits)

    def refuse(self) -> str:
        """No example for this."""
        raise _Unread
