"""Grammars as plain tables: rules of weighted productions, printed in the syntax of Lark.

What is printed is read by llguidance and by Lark alike. All grammars made here are without
recursion, so that their languages are finite and the largest size of a text is known.
"""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from derl_grammar.parser import tokens
from derl_grammar.records import record
from derl_primitives.regex import structure


@record
class Terminal:
    """A token of many texts: its name in the grammar and the regular expression of its texts."""

    name: str
    pattern: str

    @property
    def longest(self) -> int:
        """The characters of its longest text."""
        return int(structure(self.pattern).getwidth()[1])


@record
class Ref:
    """A rule, by its name."""

    name: str


Symbol = str | Terminal | Ref


@record
class Production:
    """One way to write a rule; `nodes` is how many nodes of the syntax tree it adds."""

    symbols: tuple[Symbol, ...]
    nodes: int
    weight: float = 1.0


@record
class Size:
    """What the limits count: bytes of the text, tokens, and nodes of the tree."""

    bytes: int = 0
    tokens: int = 0
    nodes: int = 0

    def __add__(self, other: Size) -> Size:
        return Size(self.bytes + other.bytes, self.tokens + other.tokens, self.nodes + other.nodes)

    def largest(self, other: Size) -> Size:
        """The larger of the two in each respect."""
        return Size(
            max(self.bytes, other.bytes),
            max(self.tokens, other.tokens),
            max(self.nodes, other.nodes),
        )


@dataclass(slots=True)
class Grammar:
    """Rules by name; `start` is where a text begins."""

    rules: dict[str, list[Production]] = field(default_factory=dict)
    start: str = "start"

    def add(self, rule: str, *symbols: Symbol, nodes: int = 0, weight: float = 1.0) -> None:
        """One more way to write `rule`."""
        self.rules.setdefault(rule, []).append(Production(symbols, nodes, weight))

    def pruned(self) -> Grammar:
        """The grammar without rules that have no text, and without what the start never sees."""
        alive: dict[str, list[Production]] = {}
        while True:
            found = {
                name: kept
                for name, productions in self.rules.items()
                if (kept := [p for p in productions if _lives(p, alive)])
            }
            if found == alive:
                break
            alive = found
        seen: dict[str, list[Production]] = {}
        stack = [self.start]
        while stack:
            name = stack.pop()
            if name not in seen:
                seen[name] = alive[name]
                stack += [s.name for p in alive[name] for s in p.symbols if isinstance(s, Ref)]
        return Grammar({name: p for name, p in alive.items() if name in seen}, self.start)

    def text(self) -> str:
        """The grammar in the syntax that llguidance and Lark read."""
        lines = []
        terminals: dict[str, str] = {}
        for name, productions in self.rules.items():
            ways = dict.fromkeys(" ".join(map(_symbol_text, p.symbols)) for p in productions)
            lines.append(f"{name}: " + "\n  | ".join(ways))
            used = (s for p in productions for s in p.symbols if isinstance(s, Terminal))
            terminals |= {t.name: t.pattern for t in used}
        lines += [f"{name}: /{pattern.replace('/', chr(92) + '/')}/"
                  for name, pattern in terminals.items()]  # fmt: skip
        return "\n".join(lines) + "\n"

    def bound(self) -> Size:
        """The largest size of a text, in each respect on its own."""
        done: dict[str, Size] = {}

        def size(name: str) -> Size:
            if name not in done:
                found = Size()
                for production in self.rules[name]:
                    found = found.largest(_own_size(production.symbols, production.nodes, size))
                done[name] = found
            return done[name]

        return size(self.start)

    def sample(self, rng: random.Random) -> str:
        """A random text: productions by their weights, terminals by their patterns."""
        out: list[str] = []
        stack: list[Symbol] = [Ref(self.start)]
        while stack:
            symbol = stack.pop()
            if isinstance(symbol, Ref):
                productions = self.rules[symbol.name]
                chosen = rng.choices(productions, [p.weight for p in productions])[0]
                stack += reversed(chosen.symbols)
            elif isinstance(symbol, Terminal):
                out.append(_sampled(structure(symbol.pattern), rng))
            else:
                out.append(symbol)
        return "".join(out)


def _lives(production: Production, alive: dict[str, list[Production]]) -> bool:
    return all(not isinstance(s, Ref) or s.name in alive for s in production.symbols)


def _symbol_text(symbol: Symbol) -> str:
    # The quoting of JSON is also that of Lark's strings.
    return json.dumps(symbol) if isinstance(symbol, str) else symbol.name


def _own_size(symbols: tuple[Symbol, ...], nodes: int, size: Callable[[str], Size]) -> Size:
    found = Size(nodes=nodes)
    for symbol in symbols:
        if isinstance(symbol, Ref):
            found += size(symbol.name)
        elif isinstance(symbol, Terminal):
            found += Size(symbol.longest, 1)
        else:
            found += Size(len(symbol.encode()), _count(symbol))
    return found


@cache
def _count(text: str) -> int:
    return len(tokens(text))


def own_size(symbols: tuple[Symbol, ...], nodes: int) -> Size:
    """The size of a production without that of the rules it names."""
    return _own_size(symbols, nodes, lambda _: Size())


def _sampled(tree: Any, rng: random.Random) -> str:
    """A random text of a regular expression of literals, classes, choices and counted repeats."""
    out = []
    for op, argument in tree:
        match str(op):
            case "LITERAL":
                out.append(chr(argument))
            case "IN":
                out.append(_one_of(argument, rng))
            case "MAX_REPEAT":
                least, most, inner = argument
                count = rng.randint(least, most)
                out += [_sampled(inner, rng) for _ in range(count)]
            case "SUBPATTERN":
                out.append(_sampled(argument[-1], rng))
            case "BRANCH":
                out.append(_sampled(rng.choice(argument[1]), rng))
            case other:
                raise re.error(f"{other} is not for terminals")
    return "".join(out)


def _one_of(members: Any, rng: random.Random) -> str:
    characters = []
    for op, argument in members:
        low, high = argument if str(op) == "RANGE" else (argument, argument)
        characters += [chr(c) for c in range(low, high + 1)]
    return rng.choice(characters)


def units(size: Size) -> int:
    """A size in units of a node, 16 bytes and 4 tokens: 256 of them are the default limits."""
    return max(size.nodes, math.ceil(size.bytes / 16), math.ceil(size.tokens / 4))
