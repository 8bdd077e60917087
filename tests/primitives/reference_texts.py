"""The definitions of the text functions, one text at a time: see `reference`."""

from __future__ import annotations

import ast
import json
import math
import re
import string
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from derl_primitives.answers import number_of

_LARGEST = 10**15


def blocks(text: str, tag: str) -> list[str]:
    """What stands behind each opening tag, up to a closing one, the next or the end."""
    found, at = [], text.find(f"<{tag}>")
    while at >= 0:
        start = at + len(tag) + 2
        at = text.find(f"<{tag}>", start)
        inner = text[start:] if at < 0 else text[start:at]
        end = inner.find(f"</{tag}>")
        found.append(inner if end < 0 else inner[:end])
    return found[-4096:]


def last_block(text: str, tag: str) -> str:
    """The last of the blocks, or nothing."""
    return (blocks(text, tag) or [""])[-1]


def extract(text: str, pattern: str) -> str:
    """Python's own engine, with RE2's ASCII classes; a lone surrogate is a question mark."""
    clean = text.encode("utf-8", "replace").decode("utf-8")
    match = re.search(pattern, clean, re.ASCII)
    return match[1] or "" if match else ""


def _thinking(text: str) -> tuple[str, str]:
    opened, closed = text.rfind("<think>"), text.rfind("</think>")
    if opened > closed:
        return text[text.find("<think>") + 7 :], ""
    if closed < 0:
        return "", text
    inner = text[:closed]
    return re.sub(r"\A\s*<think>", "", inner), text[closed + 8 :]


def lines(text: str) -> list[str]:
    """The lines by Python's reader of files."""
    found = re.split("\r\n|\r|\n", text)
    return found[:4096] if found[-1] or len(found) > 4096 else found[:-1]


def normalise(text: str) -> str:
    """SQuAD's normalize_answer, as published."""
    text = "".join(c for c in text[:65_536].lower() if c not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def number(text: str) -> float | None:
    """The number that the text is."""
    value = number_of(text)
    return float(value) if value is not None and abs(Fraction(value)) <= _LARGEST else None


def numbers(text: str) -> list[float]:
    """Digits with a point and an exponent, read from left to right."""
    found: list[float] = []
    at = 0
    number = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3}(?![0-9]))?")
    while match := number.search(text, at):
        sign, before = text[match.start() - 1 : match.start()], text[: match.start() - 1][-1:]
        taken = match.start() > at or at == 0
        minus = taken and sign in ("-", "\u2212") and not re.match(r"[\w)\]}]", before)
        value = float(match[0]) if len(match[0]) + bool(minus) <= 300 else math.inf
        if value <= _LARGEST:
            found.append(-value if minus else value)
        at = match.end()
    return found[:4096]


def arithmetic(text: str) -> float | None:
    """The value by Python's own parser, computed with fractions."""
    found = _evaluated(text)
    return None if found is None else float(found[0])


def arithmetic_numbers(text: str) -> list[float]:
    """The numbers of Python's own parse, in the order in which they are written."""
    found = _evaluated(text)
    return [] if found is None else [float(n) for n in found[1]]


_SIGNS = {"\u2212": "-", "\u00d7": "*", "\u00f7": "/"}
_OPS: dict[type, Callable[..., Fraction]] = {
    ast.Add: lambda a, b: a + b, ast.Sub: lambda a, b: a - b, ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b, ast.USub: lambda a: -a, ast.UAdd: lambda a: a,
}  # fmt: skip


def _evaluated(text: str) -> tuple[Fraction, list[Fraction]] | None:
    if len(text) > 1024:
        return None
    plain = "".join(" " if c.isspace() else _SIGNS.get(c, c) for c in text).strip()
    if not re.fullmatch(r"[0-9.+\-*/() ]*", plain) or re.search(r"\*\s*\*|/\s*/|\(\s*\)", plain):
        return None
    # Python refuses leading zeros, and reads digits as floats.
    quoted = re.sub(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+", lambda m: f"N({m[0]!r})", plain)
    if re.search(r"\)\s*(?:\(|N)", quoted):
        return None
    used: list[Fraction] = []
    try:
        value = _value(ast.parse(quoted, mode="eval").body, used)
    except (SyntaxError, ZeroDivisionError):
        return None
    return (value, used) if all(abs(v) <= _LARGEST for v in (value, *used)) else None


def _value(node: ast.expr, used: list[Fraction]) -> Fraction:
    match node:
        case ast.BinOp(left=left, op=op, right=right):
            first = _value(left, used)
            return _OPS[type(op)](first, _value(right, used))
        case ast.UnaryOp(op=op, operand=operand):
            return _OPS[type(op)](_value(operand, used))
        case ast.Call(func=ast.Name(id="N"), args=[ast.Constant(value=str(digits))]):
            used.append(Fraction(digits))
            return used[-1]
    raise SyntaxError


def same_numbers(left: list[float], right: list[float]) -> bool:
    """Each number as often in one list as in the other."""
    return Counter(left) == Counter(right)


_LOST = object()


def _field(text: str, path: str) -> Any:
    def refuse(constant: str) -> Any:
        raise ValueError(constant)

    try:
        value = json.loads(text, parse_constant=refuse) if len(text) <= 65_536 else _LOST
    except (ValueError, RecursionError):
        return _LOST
    for step in path.split(".") if path else ():
        if isinstance(value, list) and re.fullmatch("[0-9]{1,6}", step):
            value = value[int(step)] if int(step) < len(value) else _LOST
        else:
            value = value.get(step, _LOST) if isinstance(value, dict) else _LOST
    return value


def _text(value: Any) -> str | None:
    if value is _LOST:
        return None
    if isinstance(value, str):
        return value
    try:
        # Integers of 19 digits and more are read as floats.
        again = json.dumps(value)
        value = json.loads(again, parse_int=lambda d: int(d) if len(d) < 19 else float(d))
        return json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True,
                          separators=(",", ":"))  # fmt: skip
    except ValueError:
        return None


def json_number(text: str, path: str) -> float | None:
    """A number of the object, no truth value."""
    value = _field(text, path)
    number = type(value) in (int, float) and abs(value) <= _LARGEST
    return float(value) if number else None


def json_list(text: str, path: str) -> list[str] | None:
    """The items of a list."""
    value = _field(text, path)
    found = [_text(v) for v in value[:4096]] if isinstance(value, list) else [None]
    return None if None in found else [v for v in found if v is not None]


def json_keys(text: str, path: str) -> list[str] | None:
    """The names of an object."""
    value = _field(text, path)
    return list(value)[:4096] if isinstance(value, dict) else None


TEXT_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "contains": lambda text, part: len(part) > 0 and part in text,
    "count": lambda text, part: float(text.count(part)) if part else 0.0,
    "starts_with": lambda text, prefix: len(prefix) > 0 and text[: len(prefix)] == prefix,
    "ends_with": lambda text, suffix: len(suffix) > 0 and text[-len(suffix) :] == suffix,
    "between": lambda text, start, end: (
        match[1] if (match := re.search(f"{re.escape(start)}(.*?){re.escape(end)}", text, re.S))
        and text.find(start) == match.start() else ""
    ),
    "after_last": lambda text, mark: text[text.rfind(mark) + len(mark) :] if mark in text else "",
    "before": lambda text, mark: text[: text.find(mark)] if mark in text else "",
    "lower": str.lower,
    "strip": str.strip,
    "thought": lambda text: _thinking(text)[0],
    "reply": lambda text: _thinking(text)[1],
    "json_text": lambda text, path: _text(_field(text, path)),
    **{f.__name__: f for f in (
        blocks, last_block, extract, lines, normalise, number, numbers, arithmetic,
        arithmetic_numbers, same_numbers, json_number, json_list, json_keys,
    )},
}  # fmt: skip
