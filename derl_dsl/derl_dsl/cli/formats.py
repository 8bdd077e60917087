"""Findings for other programs: GitHub workflow commands and SARIF."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from derl_dsl.version import __version__
from derl_grammar.diagnostics import CODES, Diagnostic
from derl_grammar.spans import Source
from derl_grammar.visible import seen

Findings = tuple[Source, Sequence[Diagnostic]]


class Format(StrEnum):
    """How findings are listed."""

    text = "text"
    json = "json"
    github = "github"
    sarif = "sarif"


_GITHUB = {"error": "error", "warning": "warning", "info": "notice"}
_SARIF = {"error": "error", "warning": "warning", "info": "note"}
_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def _escaped(text: str, more: str = "") -> str:
    text = seen(text)
    for character in "%\r\n" + more:
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def _message(found: Diagnostic) -> str:
    """The message with its hints as sentences of one paragraph."""
    return "; ".join([found.message, *found.hints])


def github(findings: Iterable[Findings]) -> str:
    """A workflow command for each finding, which GitHub shows at its line of a pull request."""
    lines = []
    for source, diagnostics in findings:
        for d in diagnostics:
            place = {
                "file": source.path,
                "line": d.line,
                "endLine": d.end_line,
                # Columns are for findings in one line; elsewhere GitHub rejects them.
                **({"col": d.column, "endColumn": d.end_column} if d.line == d.end_line else {}),
                "title": f"{d.code} {CODES[d.code].title}" if d.code in CODES else d.code,
            }
            properties = ",".join(f"{k}={_escaped(str(v), ':,')}" for k, v in place.items())
            lines.append(f"::{_GITHUB[d.severity]} {properties}::{_escaped(_message(d))}")
    return "\n".join(lines)


def github_problem(path: str, problem: str) -> str:
    """A workflow command for a file that could not be checked."""
    return f"::error file={_escaped(path, ':,')},title=not checked::{_escaped(problem)}"


def _uri(path: str) -> str:
    """A path as a URI reference: relative ones stay so, against the root of the checkout."""
    pure = PurePath(path)
    return pure.as_uri() if pure.is_absolute() else quote(os.fsencode(pure.as_posix()))


def _rule(code: str) -> dict[str, Any]:
    known = CODES.get(code)
    if known is None:
        return {"id": code}
    return {
        "id": code,
        "name": known.title,
        "shortDescription": {"text": known.title},
        "fullDescription": {"text": known.why},
        "help": {"text": f"Bad:\n{known.bad}\n\nGood:\n{known.good}"},
        "defaultConfiguration": {"level": _SARIF[known.severity]},
        "properties": {"stage": known.stage},
    }


def _fixes(found: Diagnostic, source: Source) -> list[dict[str, Any]]:
    fix = getattr(found, "fix", None)
    if fix is None:
        return []
    replacements = [
        {
            "deletedRegion": {"charOffset": start, "charLength": end - start},
            "insertedContent": {"text": text},
        }
        for start, end, text in fix.edits
    ]
    change = {"artifactLocation": {"uri": _uri(source.path)}, "replacements": replacements}
    return [{"description": {"text": fix.message}, "artifactChanges": [change]}]


def _result(found: Diagnostic, source: Source, rules: dict[str, int]) -> dict[str, Any]:
    region = {
        "startLine": found.line,
        "startColumn": found.column,
        "endLine": found.end_line,
        "endColumn": found.end_column,
    }
    location = {"artifactLocation": {"uri": _uri(source.path)}, "region": region}
    fixes = _fixes(found, source)
    return {
        "ruleId": found.code,
        "ruleIndex": rules[found.code],
        "level": _SARIF[found.severity],
        "message": {"text": _message(found)},
        "locations": [{"physicalLocation": location}],
        **({"fixes": fixes} if fixes else {}),
    }


def _failed(unread: Sequence[str]) -> dict[str, Any]:
    told = [{"level": "error", "message": {"text": why}} for why in unread]
    return {"executionSuccessful": False, "toolExecutionNotifications": told}


def sarif(findings: Iterable[Findings], unread: Sequence[str] = ()) -> dict[str, Any]:
    """A SARIF 2.1.0 log with one run: the rules that were broken, and each finding.

    `unread` says of each file that could not be checked why.
    """
    found = [(source, d) for source, diagnostics in findings for d in diagnostics]
    codes = sorted({d.code for _, d in found})
    rules = {code: i for i, code in enumerate(codes)}
    driver = {
        "name": "derl-dsl",
        "version": __version__,
        "rules": [_rule(code) for code in codes],
    }
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "columnKind": "unicodeCodePoints",
                "results": [_result(d, source, rules) for source, d in found],
                **({"invocations": [_failed(unread)]} if unread else {}),
            }
        ],
    }
