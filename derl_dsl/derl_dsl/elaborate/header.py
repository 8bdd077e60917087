"""The header of a reward: the comments above its first statement that say what it may name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field

from derl_dsl.elaborate.scope import Scope, build_scope
from derl_grammar.records import record
from derl_grammar.types import Type

_TOP = re.compile(r"\A(?:[ \t]*(?:#[^\n]*)?\r?(?:\n|\Z))*")
_LINE = re.compile(
    r"^[ \t]*#[ \t]*(?:suite:[ \t]*(?P<suite>\S+)|outcome:[ \t]*(?P<outcome>\S.*?)"
    r"|column:[ \t]*(?P<column>[A-Za-z_]\w*)[ \t]*:[ \t]*(?P<type>\S.*?))[ \t\r]*$",
    re.M,
)


@record
class Header:
    """What a header sets; of several lines that set one thing, the first wins."""

    suite: str | None = None
    outcome: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)


def header_of(text: str) -> Header:
    """The header of a program.

    >>> header_of("# suite: math\\n# column: n: number[0, 9]\\nreward = n")
    Header(suite='math', outcome=None, columns={'n': 'number[0, 9]'})
    """
    given: dict[str, str] = {}
    columns: dict[str, str] = {}
    top = _TOP.match(text)
    for line in _LINE.finditer(text, 0, top.end() if top else 0):
        if line["column"]:
            columns[line["column"]] = line["type"]
        else:
            kind = str(line.lastgroup)
            given.setdefault(kind, line[kind])
    return Header(given.get("suite"), given.get("outcome"), columns)


def scope_of(
    text: str,
    suite: str | None = None,
    columns: Mapping[str, str | Type] | None = None,
    outcome: str | None = None,
) -> Scope:
    """The scope of a program: what its header says, and what is given over that.

    Whoever gives the suite gives the columns and the outcome too. Raises ValueError as
    `build_scope` does.
    """
    header = header_of(text) if suite is None and "#" in text else Header()
    typed: dict[str, str | Type] = {**header.columns, **(columns or {})}
    return build_scope(suite or header.suite, typed, outcome or header.outcome)
