"""The lexer and the LALR(1) parser of the language, driven by the tables of `tables.json`.

Lark makes the tables from `reward.lark` (see `tables.py`). Reading them takes a millisecond, where
building them anew would take 70 and half of the imports of `derl-dsl check`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from derl_grammar.records import record

TABLES = os.path.join(os.path.dirname(__file__), "tables.json")
END = "$END"


class Token(str):
    """A piece of the text: its type (a terminal's name) and its character offsets."""

    __slots__ = ("end_pos", "start_pos", "type")

    type: str
    start_pos: int
    end_pos: int

    @classmethod
    def at(cls, kind: str, text: str, start: int, end: int) -> Token:
        """The token of the type `kind` that stands from `start` to `end`."""
        token = cls(text)
        token.type, token.start_pos, token.end_pos = kind, start, end
        return token


class Unexpected(Exception):
    """A token that no program has at this place, and the terminals that one could have there."""

    def __init__(self, token: Token, accepted: frozenset[str]) -> None:
        super().__init__(f"unexpected {token!r}")
        self.token = token
        self.accepted = accepted


@record
class Rule:
    """A production: what it makes, of how many symbols, and what to keep of their values.

    `kept` lists the symbols whose values are arguments, and whether such a value is a list of
    arguments itself; `callback` names the function of them, None hands the only one on.
    """

    makes: str
    size: int
    callback: str | None
    kept: tuple[tuple[int, bool], ...]


class Machine:
    """A lexer and a parser; `callbacks` make the values of the productions, by their names."""

    def __init__(
        self, tables: Mapping[str, Any], callbacks: Mapping[str, Callable[[list[Any]], Any]]
    ) -> None:
        terminals = "|".join(f"(?P<{name}>{pattern})" for name, pattern in tables["terminals"])
        self.ignored = frozenset(tables["ignored"])
        between = "|".join(p for name, p in tables["terminals"] if name in self.ignored)
        # A terminal takes what is ignored behind it along: half as many matches.
        self.scan = re.compile(f"(?:{terminals})(?:{between})*+").finditer
        self.keywords: dict[str, str] = tables["keywords"]
        self.states: list[dict[str, int]] = tables["states"]
        self.start: int = tables["start"]
        self.end: int = tables["end"]
        self.rules = [
            Rule(makes, size, name, tuple((i, bool(splice)) for i, splice in kept))
            for makes, size, name, kept in tables["rules"]
        ]
        # Filled while parsing: see `_way`.
        self.ways: dict[tuple[int, str, str], int] = {}
        self.reductions = [
            (rule.makes, rule.size, self._value_of(rule, callbacks)) for rule in self.rules
        ]

    @staticmethod
    def _value_of(
        rule: Rule, callbacks: Mapping[str, Callable[[list[Any]], Any]]
    ) -> Callable[[list[Any]], Any] | None:
        """The value of a reduction from those of its symbols; None when it is that of the one."""
        if rule.callback is None and not rule.makes.startswith("_"):
            assert rule.size == 1
            return None
        # A helper rule, which Lark makes for repetitions, stands for a list of arguments.
        make = list if rule.callback is None else callbacks[rule.callback]
        spliced = any(splice for _, splice in rule.kept)
        if not spliced and [i for i, _ in rule.kept] == list(range(rule.size)):
            return make

        def value(symbols: list[Any]) -> Any:
            arguments: list[Any] = []
            for i, splice in rule.kept:
                if splice:
                    arguments += symbols[i]
                else:
                    arguments.append(symbols[i])
            return make(arguments)

        return value

    def lex(self, text: str) -> list[Token]:
        """All tokens of any text; a character that starts none is a token of type UNKNOWN."""
        found = []
        ignored, keywords = self.ignored, self.keywords
        for match in self.scan(text):
            kind = match.lastgroup
            assert kind is not None
            if kind in ignored:
                continue
            word, start = match[kind], match.start()
            # As `Token.at`, without a call for every token.
            token = Token(word)
            token.type = keywords.get(word, kind) if kind == "NAME" else kind
            token.start_pos, token.end_pos = start, start + len(word)
            found.append(token)
        return found

    def parse(self, tokens: list[Token]) -> Any:
        """The value of one statement. Raises Unexpected at the first token that does not fit."""
        states, reductions, ways = self.states, self.reductions, self.ways
        stack, values = [self.start], []
        last = tokens[-1].end_pos
        for token in (*tokens, Token.at(END, "", last, last)):
            kind = token.type
            while True:
                action = states[stack[-1]].get(kind)
                if action is None:
                    raise Unexpected(token, self._accepted(stack))
                if action >= 0:
                    stack.append(action)
                    values.append(token)
                    break
                makes, size, value = reductions[-1 - action]
                if value is not None:
                    values[-size:] = [value(values[-size:])]
                del stack[-size:]
                way = (stack[-1], makes, kind)
                state = ways.get(way)
                if state is None:
                    state = ways[way] = self._way(*way)
                if state == self.end:
                    return values[-1]
                stack.append(state)
        raise AssertionError("the end of the text ends the parse")

    def _way(self, below: int, makes: str, kind: str) -> int:
        """The state after a reduction, and after those of one symbol to itself that follow it.

        Each level of precedence is such a reduction: a lone name goes through ten of them.
        """
        while True:
            state = self.states[below][makes]
            action = self.states[state].get(kind, 0)
            if action >= 0 or self.reductions[-1 - action][2] is not None:
                return state
            makes = self.reductions[-1 - action][0]

    def _accepted(self, stack: list[int]) -> frozenset[str]:
        """The terminals that could come next."""
        return frozenset(k for k in self.states[stack[-1]] if self._shifts(k, list(stack)))

    def _shifts(self, kind: str, stack: list[int]) -> bool:
        """Whether a symbol is a terminal that can be read, after the reductions it asks for."""
        if not (kind.isupper() or kind == END):
            return False
        while True:
            action = self.states[stack[-1]].get(kind)
            if action is None or action >= 0:
                return action is not None
            makes, size, _ = self.reductions[-1 - action]
            del stack[-size:]
            stack.append(self.states[stack[-1]][makes])
            if stack[-1] == self.end:
                return kind == END


def load(callbacks: Mapping[str, Callable[[list[Any]], Any]], every_token: bool = False) -> Machine:
    """The machine of the shipped tables; callbacks get the words between operands if asked for."""
    with open(TABLES, "rb") as file:
        tables = json.load(file)
    for rule in tables["rules"] if every_token else ():
        spliced = dict(rule[3])
        rule[3] = [(i, spliced.get(i, False)) for i in range(rule[1])]
    return Machine(tables, callbacks)
