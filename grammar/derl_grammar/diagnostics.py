"""Diagnostics: what the checker has to say, each with a stable code and a place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Literal

from derl_grammar.records import record
from derl_grammar.spans import Source, Span
from derl_grammar.visible import visible, without_commands

Severity = Literal["error", "warning", "info"]


@record
class Code:
    """A kind of diagnostic: its stable code, why it exists, and a program with and without it.

    `stage` is how far a program came when it fails so: syntax, names, types, unsafe or
    degenerate; it grades the penalty of meta-training. The examples are programs over `suite`
    and `columns`.
    """

    code: str
    title: str
    severity: Severity
    stage: str
    why: str
    bad: str
    good: str
    suite: str | None = "derl-math"
    columns: tuple[tuple[str, str], ...] = ()


@record
class Fix:
    """A mechanical fix: replace each stretch `(start, end)` of character offsets by a text.

    The edits of one fix do not overlap; it keeps or fixes the meaning as `message` says.
    """

    message: str
    edits: tuple[tuple[int, int, str], ...]

    def apply(self, text: str) -> str:
        """The text with the fix made."""
        for start, end, replacement in sorted(self.edits, reverse=True):
            text = text[:start] + replacement + text[end:]
        return text


@record
class Diagnostic:
    """One finding: code, severity, message, place, hints that say the fix, perhaps a fix."""

    code: str
    severity: Severity
    message: str
    span: Span
    hints: tuple[str, ...] = ()
    fix: Fix | None = None

    @property
    def line(self) -> int:
        """First line, from 1."""
        return self.span.line

    @property
    def column(self) -> int:
        """First column, from 1."""
        return self.span.column

    @property
    def end_line(self) -> int:
        """Last line, from 1."""
        return self.span.end_line

    @property
    def end_column(self) -> int:
        """The column after the last character, from 1."""
        return self.span.end_column

    def to_json(self) -> dict[str, Any]:
        """The record of the JSON output; editors ask for the fix, the record has none."""
        record = asdict(self)
        del record["fix"]
        span = record.pop("span")
        keys = ("line", "column", "end_line", "end_column")
        return {**record, "hints": list(self.hints), **{key: span[key] for key in keys}}


def in_order(found: Diagnostic) -> tuple[int, int, str]:
    """The key that sorts findings in the order of the text."""
    return found.span.start, found.span.end, found.code


CODES: dict[str, Code] = {}


def define(
    code: str,
    title: str,
    *,
    why: str,
    bad: str,
    good: str,
    stage: str,
    severity: Severity = "error",
    suite: str | None = "derl-math",
    columns: tuple[tuple[str, str], ...] = (),
) -> Code:
    """Add a code to the table; each is defined once, next to the stage that reports it."""
    if code in CODES:
        raise ValueError(f"{code} is defined twice")
    CODES[code] = Code(code, title, severity, stage, why, bad, good, suite, columns)
    return CODES[code]


class Report:
    """Collects the diagnostics of one source."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.found: list[Diagnostic] = []

    def add(
        self,
        code: Code,
        place: tuple[int, int],
        message: str,
        *hints: str,
        fix: Fix | None = None,
    ) -> None:
        """Report `code` at the character offsets `place`."""
        span = self.source.span(*place)
        self.found.append(Diagnostic(code.code, code.severity, message, span, hints, fix))

    @property
    def failed(self) -> bool:
        """Whether an error was reported."""
        return any(d.severity == "error" for d in self.found)

    def sorted(self) -> list[Diagnostic]:
        """All findings in the order of the text, repeats dropped."""
        return sorted(dict.fromkeys(self.found), key=in_order)


def render(diagnostics: Iterable[Diagnostic], source: Source) -> str:
    """The findings as text with the offending lines, one block each."""
    return "\n".join(_render_one(d, source) for d in diagnostics)


_SHOWN = 120


def _render_one(found: Diagnostic, source: Source) -> str:
    span = found.span
    where = f"{source.path}:{span.line}:{span.column}"
    head = without_commands(visible(f"{where}: {found.severity} {found.code}: {found.message}"))
    hints = [visible(hint) for hint in found.hints]
    text = source.line(span.line)
    if not text.strip():
        return "\n".join([head, *(f"  = {hint}" for hint in hints)])
    last = span.end_column if span.end_line == span.line else len(text) + 1
    first = max(0, span.column - 1 - _SHOWN // 2) if len(text) > _SHOWN else 0
    end = max(span.column, min(last, first + _SHOWN + 1)) - 1
    before, marked, after = (
        visible(part.replace("\t", " "))
        for part in (
            text[first : span.column - 1],
            text[span.column - 1 : end],
            text[end : first + _SHOWN],
        )
    )
    margin = " " * len(str(span.line))
    return "\n".join(
        [
            head,
            f" {margin} |",
            without_commands(f" {span.line} | {before}{marked}{after}"),
            f" {margin} | {' ' * len(before)}{'^' * max(1, len(marked))}",
            *(f" {margin} = {hint}" for hint in hints),
        ]
    )
