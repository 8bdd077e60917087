"""Makes `tables.json` from `reward.lark` with Lark: `python -m derl_grammar.tables`."""

from __future__ import annotations

import json
from typing import Any

from lark import Lark
from lark.grammar import Rule as LarkRule
from lark.lexer import PatternStr
from lark.parsers.lalr_analysis import Shift

from derl_grammar.machine import TABLES
from derl_grammar.parser import grammar_text

_START = "statement"


class _KeepAll:
    """Tells Lark to keep the terminals that no rule of a statement uses."""

    always_accept = ("UNKNOWN", "_NL")

    def process(self, stream: Any) -> Any:
        """The tokens as they are."""
        return stream


def build_lark(**options: Any) -> Lark:
    """The parser that Lark itself would run."""
    return Lark(
        grammar_text(),
        parser="lalr",
        lexer="basic",
        start=_START,
        postlex=_KeepAll(),
        **options,
    )


def build() -> dict[str, Any]:
    """The tables: terminals in the order they are tried, keywords, rules, states."""
    lark = build_lark()
    lexer: Any = lark._build_lexer()
    names = [t for t in lexer.terminals if not _is_word(t)]
    table: Any = lark.parser.parser._parse_table
    order = _reached(table.states, table.start_states[_START])
    number = {state: k for k, state in enumerate(order)}
    rules = list(dict.fromkeys(lark.rules))
    return {
        "terminals": [[t.name, t.pattern.to_regexp()] for t in names],
        "ignored": sorted(lexer.ignore_types),
        "keywords": {t.pattern.value: t.name for t in lexer.terminals if _is_word(t)},
        "rules": [_rule(rule) for rule in rules],
        "states": [_actions(table.states[state], number, rules) for state in order],
        "start": 0,
        "end": number[table.end_states[_START]],
    }


def _reached(states: dict[int, dict[str, Any]], start: int) -> list[int]:
    """The states as a walk over sorted symbols finds them; Lark's numbers differ by run."""
    order = [start]
    for state in order:
        ahead = [what for _, (action, what) in sorted(states[state].items()) if action is Shift]
        order += [s for s in dict.fromkeys(ahead) if s not in order]
    return order


def _is_word(terminal: Any) -> bool:
    """Whether a terminal is a keyword, which the pattern of names matches as well."""
    pattern = terminal.pattern
    return isinstance(pattern, PatternStr) and pattern.value.isidentifier()


def _rule(rule: LarkRule) -> list[Any]:
    """A production as `machine.Rule` has it."""
    kept = [
        [i, int(not symbol.is_term and symbol.name.startswith("_"))]
        for i, symbol in enumerate(rule.expansion)
        if not (symbol.is_term and symbol.filter_out)  # type: ignore[attr-defined]
    ]
    return [rule.origin.name, len(rule.expansion), rule.alias, kept]


def _actions(
    actions: dict[str, Any], number: dict[int, int], rules: list[LarkRule]
) -> dict[str, int]:
    """What a state does at each symbol: go to a state, or (-1 - k) reduce by the rule k."""
    return {
        symbol: number[what] if action is Shift else -1 - rules.index(what)
        for symbol, (action, what) in sorted(actions.items())
    }


def text() -> str:
    """The content of the file: one rule or state a line."""
    rows = []
    for key, value in build().items():
        if isinstance(value, list):
            lines = ",\n".join(" " + json.dumps(v, separators=(",", ":")) for v in value)
            rows.append(f'"{key}": [\n{lines}\n]')
        else:
            rows.append(f'"{key}": {json.dumps(value)}')
    return "{\n" + ",\n".join(rows) + "\n}\n"


if __name__ == "__main__":
    with open(TABLES, "w", encoding="utf-8") as file:
        file.write(text())
