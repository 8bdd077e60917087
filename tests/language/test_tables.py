"""The shipped parser is the one that Lark makes from the grammar, token for token."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from lark import Lark, UnexpectedToken

from derl_dsl.elaborate.scope import build_scope
from derl_dsl.generate.sample import EVERYTHING, sample_program
from derl_grammar import tables
from derl_grammar.diagnostics import Report
from derl_grammar.machine import TABLES, Machine, Token, Unexpected
from derl_grammar.parser import parse, tokens
from derl_grammar.spans import Source

PIECES = [*"()+-*/%,=<>!.?\"'\\ \t\f\n\r#a1e_é≠", "**", "<=", "==", "!=", "if", "else", "and", "or",
          "not", "True", "False", "iff", "reward", "1e-6", ".5", "1.", "r'x'", '"y"', "# c\n",
          "\r\n", "\v", "\u2028", "\ud800"]  # fmt: skip


@pytest.fixture(scope="module")
def lark() -> Lark:
    return tables.build_lark()


@pytest.fixture(scope="module")
def machine() -> Machine:
    """The shipped tables with plain tuples as values."""
    shipped = json.loads(Path(TABLES).read_bytes())
    names = {name for _, _, name, _ in shipped["rules"] if name}
    return Machine(shipped, {name: lambda items, name=name: (name, *items) for name in names})


def test_the_shipped_tables_are_those_of_the_grammar() -> None:
    assert Path(TABLES).read_text("utf-8") == tables.text(), "run python -m derl_grammar.tables"


def noise(rng: random.Random, pieces: int) -> str:
    return "".join(rng.choice(PIECES) for _ in range(rng.randint(0, pieces)))


def test_the_lexer_is_larks(lark: Lark) -> None:
    rng = random.Random(1)
    for _ in range(400):
        text = noise(rng, 25)
        expected = [(t.type, str(t), t.start_pos, t.end_pos) for t in lark.lex(text)]
        assert [(t.type, str(t), t.start_pos, t.end_pos) for t in tokens(text)] == expected, text


def test_every_text_is_lexed_without_loss() -> None:
    rng = random.Random(2)
    for _ in range(400):
        text = noise(rng, 25)
        for token in tokens(text):
            assert text[token.start_pos : token.end_pos] == token


def statement(rng: random.Random, number: int) -> list[Token]:
    """The tokens of a valid statement, of one with a token exchanged, or of noise."""
    text = sample_program(build_scope("math"), rng, EVERYTHING).splitlines()[-1]
    found = tokens(text if number % 3 else noise(rng, 12))
    if number % 3 == 1:
        at = rng.randrange(len(found))
        found[at : at + 1] = tokens(noise(rng, 2))
    return [t for t in found if t.type != "_NL"]


def test_the_parser_is_larks(lark: Lark, machine: Machine) -> None:
    """Same trees; the same token is unexpected, and the same ones would have been accepted."""
    rng = random.Random(3)
    failed = 0
    for number in range(600):
        stream = statement(rng, number)
        if not stream:
            continue
        interactive = lark.parse_interactive()
        found: object = None
        expected: object = None
        try:
            for token in stream:
                interactive.feed_token(token)  # type: ignore[arg-type]
            expected = flat(interactive.feed_eof())  # type: ignore[no-untyped-call]
        except UnexpectedToken as error:
            expected = (error.token.type, interactive.accepts())  # type: ignore[no-untyped-call]
            failed += 1
        try:
            found = machine.parse(stream)
        except Unexpected as error:
            found = (error.token.type, error.accepted)
        assert found == expected, stream
    assert 100 < failed < 400


def flat(tree: object) -> object:
    if isinstance(tree, str):
        return tree
    return (tree.data, *map(flat, tree.children))  # type: ignore[attr-defined]


def test_the_end_is_unexpected_behind_the_last_token() -> None:
    report = Report(Source("g1 +"))
    assert parse("g1 +", report) is None
    (found,) = report.found
    assert (found.span.start, found.span.end) == (4, 4)
