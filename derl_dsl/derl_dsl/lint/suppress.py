"""Comments that speak to the checker: `# derl: ignore[DRL506]` and `# derl: target[verl]`.

At the end of a line, ignore silences warnings and infos of that line; on a line of its own above
the first statement, those of the whole file. Errors cannot be ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from derl_grammar.diagnostics import CODES, Diagnostic, define, in_order
from derl_grammar.nodes import Place
from derl_grammar.records import record
from derl_grammar.spans import Source

UNUSED_IGNORE = define(
    "DRL530",
    "ignore without effect",
    stage="degenerate",
    severity="info",
    why="A comment that silences nothing outlives its reason, and would hide the next finding of "
    "that code.",
    bad="g1 + 0.2 * g2  # derl: ignore[DRL506]",
    good="2 * g1 + 0.2 * g2 + 1  # derl: ignore[DRL506]",
)

# Strings come first, so that a # inside one is no comment.
_COMMENT = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|(?P<comment>#[^\n]*)')
_PRAGMA = re.compile(r"#\s*derl:\s*(?P<kind>ignore|target)\[(?P<names>[^\]\n]*)\]")
_NAME = re.compile(r"[^\s,]+")


@record
class Pragma:
    """One name inside the brackets of a comment; `line` is None when it is about the file."""

    kind: str
    name: str
    place: Place
    line: int | None


def pragmas(source: Source) -> list[Pragma]:
    """All names that comments of the source give, in order."""
    text = source.text
    if "derl:" not in text:
        return []
    found = []
    code_seen = False
    at = 0
    for match in _COMMENT.finditer(text):
        code_seen = code_seen or bool(text[at : match.start()].strip())
        at = match.end()
        if match["comment"] is None:
            code_seen = True
            continue
        pragma = _PRAGMA.search(text, match.start("comment"), match.end("comment"))
        if pragma is not None:
            line = source.line_column(match.start())[0] if code_seen else None
            for name in _NAME.finditer(text, pragma.start("names"), pragma.end("names")):
                found.append(Pragma(pragma["kind"], name[0], name.span(), line))
    return found


def named_target(source: Source) -> str | None:
    """The trainer that a comment names, such as `verl` of `# derl: target[verl]`."""
    return next((p.name for p in pragmas(source) if p.kind == "target"), None)


def suppressed(found: Iterable[Diagnostic], source: Source) -> tuple[Diagnostic, ...]:
    """The findings in the order of the text, without the ignored ones; idle ignores are added."""
    kept = list(dict.fromkeys(found))
    ignores = [p for p in pragmas(source) if p.kind == "ignore"]
    if not ignores:
        return tuple(sorted(kept, key=in_order))
    failed = any(d.severity == "error" for d in kept)
    idle = []
    for pragma in ignores:
        silenced = {d for d in kept if _silences(pragma, d)}
        # An error may keep the lints from looking; then an ignore may well have a use.
        if not silenced and not (failed and not _is_error(pragma)):
            idle.append(_idle(pragma, source))
    kept = [d for d in kept if not any(_silences(p, d) for p in ignores)]
    return tuple(sorted([*kept, *idle], key=in_order))


def _silences(pragma: Pragma, found: Diagnostic) -> bool:
    if found.severity == "error" or found.code != pragma.name:
        return False
    return pragma.line is None or found.line <= pragma.line <= found.end_line


def _is_error(pragma: Pragma) -> bool:
    return pragma.name in CODES and CODES[pragma.name].severity == "error"


def _idle(pragma: Pragma, source: Source) -> Diagnostic:
    hint = "take it out"
    if _is_error(pragma):
        message, hint = f"{pragma.name} is an error and cannot be ignored", "fix the program"
    elif pragma.name not in CODES:
        message = f"there is no code {pragma.name!r}"
    elif pragma.line is None:
        message = f"nothing of this file raises {pragma.name}"
    else:
        message = f"nothing on this line raises {pragma.name}"
    span = source.span(*pragma.place)
    return Diagnostic(UNUSED_IGNORE.code, UNUSED_IGNORE.severity, message, span, (hint,))
