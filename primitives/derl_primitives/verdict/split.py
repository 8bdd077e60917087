"""Cutting an answer at its top level: commas, words between items, equals signs."""

from __future__ import annotations

from derl_primitives.patterns import pattern
from derl_primitives.verdict.clean import SET_CLOSE, SET_OPEN

_OPEN, _CLOSE = "([{" + SET_OPEN, ")]}" + SET_CLOSE
_LIST_WORDS = pattern(
    r"(?<!\w)(?:and also|as well as|and|or|und|oder|o bien|или|lub)(?!\w)"
    r"|(?<=[\d)}]) (?:y|o|e|ed|et|ou|en|of|i|и) (?=[-\d(]|[a-z] ?=)"
    r"|&|和|与|或|及|と|または|및|와|과|또는|و|أو|और|或者"
)


def at_top(text: str, marks: str) -> list[str]:
    """The parts of a text between `marks` that stand in no brackets; one pass.

    >>> at_top("(1, 2), 3", ",")
    ['(1, 2)', ' 3']
    """
    parts, depth, start = [], 0, 0
    for i, char in enumerate(text):
        if char in _OPEN:
            depth += 1
        elif char in _CLOSE:
            depth -= 1
        elif depth <= 0 and char in marks:
            parts.append(text[start:i])
            start = i + 1
    parts.append(text[start:])
    return parts


def listed(text: str) -> list[str]:
    """The items of a list in words or commas: `2, 3 and 5`; blank ones left out.

    >>> listed("2, 3 and 5"), listed("x = 2 or x = -6")
    (['2', '3', '5'], ['x = 2', 'x = -6'])
    """
    found = []
    for part in at_top(text, ",;\n\u3001"):
        found += [piece.strip() for piece in _LIST_WORDS().split(part)]
    return [piece for piece in found if piece]


def bracketed(text: str) -> tuple[str, str, str] | None:
    """The bracket a text opens and closes with and what is between, when they are a pair.

    >>> bracketed("(2, 5]"), bracketed("(1) + (2)")
    (('(', '2, 5', ']'), None)
    """
    if len(text) < 2 or text[0] not in _OPEN or text[-1] not in _CLOSE:
        return None
    depth = 0
    for i, char in enumerate(text):
        if char in _OPEN:
            depth += 1
        elif char in _CLOSE:
            depth -= 1
            if depth == 0 and i < len(text) - 1:
                return None
    return (text[0], text[1:-1].strip(), text[-1]) if depth == 0 else None
