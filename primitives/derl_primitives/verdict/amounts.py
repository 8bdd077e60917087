"""The amounts that an answer states: one value, said in one way or in several."""

from __future__ import annotations

import re

from derl_grammar.records import record
from derl_primitives.patterns import pattern
from derl_primitives.verdict import values
from derl_primitives.verdict.elements import name_of, unnamed
from derl_primitives.verdict.formula import symbols
from derl_primitives.verdict.quantity import Quantity, read_quantity, same_quantity


@record
class Stated:
    """The amounts that an answer states side by side as one (`1/3 = 0.333...`), and its name."""

    amounts: tuple[Quantity, ...]
    name: str | None


_JOINTS = pattern(
    r"(?P<near>\s*(?:,?\s*(?:or|which is|that is|i\.e\.,?|i\.e)?\s*(?:\u2248"
    r"|(?<![a-z])(?:approximately|approx\.?|about|roughly|around|rounded to|rounds "
    r"to)(?![a-z])))\s*)"
    r"|(?P<same>\s*(?:==?|\u2261|,\s*(?:or|which is|that is|i\.e\.|in other words|that is to say"
    r"|namely"
    r"|equivalently|das heißt|d\.h\.|c'est-à-dire|es decir|то есть)[,\s]\s*|\bi\.e\.,?\s*|\bor "
    r"equivalently\b|\bor simply\b|\bor\b|\u21d2|=>|\u2192|\())"
)
_NAME = pattern(r"^(?=[^\d]*[^\W\d_])(?:[^\W\d_]|[\\{}'|, ]|_\{?\w\}?|\(\s*\w{1,3}\s*\)){1,60}$")
_TOPIC = pattern(r"(?<!\w)(?:task|question|problem|story|exercise|text) (?:is|was)$", re.I)
_LAST_NAME = pattern(r"(?<![^\W\d_])(?P<name>[^\W\d_])\s*$")


def _last_name(text: str) -> str | None:
    """The single letter that a text before `=` ends in: `Solving, k`."""
    match = _LAST_NAME().search(text)
    return match["name"] if match else None


def amounts(text: str, comma: bool) -> Stated | None:
    """The amounts of an answer that states one value in several ways; None when they differ."""
    name = name_of(text)
    text = unnamed(text.strip())
    whole = read_quantity(text, comma)
    if whole is not None:
        return Stated((whole,), name) if not symbols(whole.value) else None
    parts, joints, at = [], [], 0
    joints_said: list[str] = []
    for match in _JOINTS().finditer(text):
        parts.append(text[at : match.start()])
        joints.append("equals" if "=" in match.group() else match.lastgroup)
        joints_said.append(match.group().lower())
        at = match.end()
    if not joints or len(joints) > 6:
        return None
    parts.append(text[at:])
    found: list[Quantity] = []
    for k, part in enumerate(parts):
        part = part.strip(" ),.")
        quantity = read_quantity(part, comma) if part else None
        defined = k == 0 and joints[0] in ("equals", "near")
        named = (
            defined
            and "|" not in part
            and _NAME().match(part)
            and (quantity is None or symbols(quantity.value))
        )
        turned = k == len(parts) - 1 and found and joints[-1] == "equals" and len(part) == 1
        if turned and part.isalpha():
            name = name or part
            continue
        if named and _TOPIC().search(part):
            return None
        if named:
            name = name or _last_name(part)
        if not part or named:
            continue
        if quantity is None or symbols(quantity.value):
            return None
        if found and not one_value(found[-1], quantity, "near" in joints[:k], text):
            return None
        rounded = "round" in joints_said[k - 1] if k else False
        if found and rounded and _DECIMAL().fullmatch(parts[k - 1].strip()):
            found.clear()
        found.append(quantity)
    return Stated(tuple(found), name) if found else None


_DECIMAL = pattern(r"[^\d/]*\d+\.\d+,?")
"""A decimal, which what it is rounded to replaces: `2.236 rounds to 2.24`."""


def one_value(a: Quantity, b: Quantity, near: bool, text: str) -> bool:
    """Whether two amounts are one: the same, or one rounded where the text says so."""
    if same_quantity(b, a):
        return True
    if not near and "..." not in text and "\u2026" not in text:
        return False
    try:
        x, y = values.at(a.value, {}), values.at(b.value, {})
    except values.Undefined:
        return False
    if a.percent != b.percent:
        x, y = x / (100 if a.percent else 1), y / (100 if b.percent else 1)
    return abs(x - y) <= 0.02 * max(abs(x), abs(y), 0.05)
