"""Foreign text that is shown: characters that a terminal, a log or an eye would not see as written.

Control characters (ESC, C1, line breaks), format characters (bidi, zero-width), unassigned ones
and those that show nothing are written as escapes.
"""

from __future__ import annotations

import re
import unicodedata

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Of other categories, and invisible all the same: fillers, joiners, variation selectors.
_BLANK = frozenset(
    map(chr, (0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0,
              *range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)))
)  # fmt: skip
_NAMED = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
# What makes a line of output a command to the machines of GitHub and Azure.
_COMMAND = re.compile(r"(?m)^([ \t]*):(?=:)|#(?=#\[|#vso\[)")


def unseen(char: str) -> bool:
    """Whether a character does not show as itself."""
    return unicodedata.category(char) in _UNSEEN or char in _BLANK


def visible(text: str, breaks: bool = False) -> str:
    """The text with every character that does not show as an escape.

    With `breaks`, line breaks stay what they are.

    >>> print(visible("a\\n\\x1b[2J"))
    a\\n\\x1b[2J
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if breaks and c == "\n" else _escaped(c) for c in text)


def _escaped(char: str) -> str:
    if not unseen(char):
        return char
    code = ord(char)
    short = f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    return _NAMED.get(char) or (short if code < 65536 else f"\\U{code:08x}")


def harmless(text: str, first: bool = True) -> str:
    """What a stream may pass on of a text: tabs and line breaks; the rest as JSON escapes it.

    No line begins with a command of a CI service; `first` says that the text begins a line. JSON
    stays the same JSON: what is escaped stands in its strings only.

    >>> print(harmless("::error ::x\\n\\x9b2J"))
    \\u003a:error ::x
    \\u009b2J
    """
    return without_commands(seen(text), first)


def seen(text: str) -> str:
    """The text with its line breaks and tabs, all else that does not show as JSON escapes it."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c in "\n\t" or not unseen(c) else _json(c) for c in text)


def without_commands(text: str, first: bool = True) -> str:
    """The text with nothing that a CI service takes for a command; `first` as in `harmless`."""
    if "::" not in text and "##" not in text:
        return text
    held = text if first else f"\0{text}"
    shown = _COMMAND.sub(lambda m: f"{m[1] or ''}\\u{ord(m[0][-1]):04x}", held)
    return shown if first else shown[1:]


def _json(char: str) -> str:
    code = ord(char)
    if code < 65536:
        return f"\\u{code:04x}"
    high, low = divmod(code - 65536, 1024)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
