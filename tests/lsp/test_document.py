"""Any text an editor may send: answers, no exceptions."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lsprotocol import types as lsp
from pygls.workspace import PositionCodec

from derl_dsl.elaborate.scope import build_scope
from derl_dsl.generate.sample import EVERYTHING, sample_program
from derl_dsl.tools.lsp import features
from derl_dsl.tools.lsp.document import Document
from derl_dsl.tools.lsp.positions import Positions
from derl_grammar.spans import Source

SCOPE = build_scope("math")
PIECES = [
    *"()=,'\"#+-*/%<>.\n\r\0\u2028𝔸é\t ",
    "reward",
    "if",
    "else",
    "where=",
    "not",
    "1e",
    "max(",
]


@st.composite
def edited(draw: st.DrawFn) -> str:
    """A program as it looks between two keystrokes."""
    seed = draw(st.integers(0, 2**32))
    text = "# suite: math\n" + sample_program(SCOPE, random.Random(seed), EVERYTHING)
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.one_of(st.just(start), st.integers(start, min(len(text), start + 12))))
        text = text[:start] + draw(st.sampled_from(["", *PIECES])) + text[end:]
    return text


def ask_everything(text: str, offset: int) -> None:
    document = Document("<untitled>", text)
    at = Positions(document.source, PositionCodec())
    features.diagnostics(document, at)
    features.hover(document, at, offset)
    features.completion(document, offset)
    features.definition(document, at, offset)
    features.rename(document, at, offset, "new_name")
    features.formatting(document, at)
    list(features.actions(document, at, "file:///r.derl", at.range((0, len(text)))))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.one_of(edited(), st.text(max_size=60)), st.floats(0, 1))
def test_every_question_has_an_answer(text, where):
    ask_everything(text, round(where * len(text)))


@given(st.text(alphabet="aé𝔸\n\r\t ", max_size=30), st.floats(0, 1))
def test_positions_and_offsets_are_inverse(text, where):
    at = Positions(Source(text), PositionCodec())
    offset = round(where * len(text))
    if text[offset - 1 : offset + 1] != "\r\n":
        assert at.offset(at.position(offset)) == offset


def test_positions_beyond_the_end():
    at = Positions(Source("ab\r\nc"), PositionCodec())
    assert at.offset(lsp.Position(0, 99)) == 2
    assert at.offset(lsp.Position(9, 0)) == 5


@pytest.mark.parametrize(
    ("text", "types"),
    [
        ("a = 0.5 * g1\nb = (a +\nreward = a", {"a": "number[5e-07, 0.5]"}),
        ("a = 0.5 * g1\nreward = a + unknown", {"a": "number[5e-07, 0.5]", "reward": None}),
        ("a = g1 > 0.5\n???\nb = 1 if a else 2", {"a": "bool", "b": "number[1, 2]"}),
        ("a = log(g1 - 2)\nreward = a", {"a": "number (can be NaN)"}),
        ("", {}),
    ],
)
def test_types_in_spite_of_errors(text, types):
    document = Document("<untitled>", f"# suite: derl-math\n{text}")
    found = {name: document.type_at(document.definitions[name]) for name in types}
    assert found == types


def test_a_call_and_a_keyword_of_the_name_are_no_uses_of_the_part():
    document = Document(
        "<untitled>", "where = g1\nreward = where + max(g1, where=where) + where(1)"
    )
    assert [start for start, _ in document.places_of("where")] == [0, 20, 42]


def test_files_of_tests_are_no_rewards():
    text = "[[case]]\nrow = { g1 = 1 }\nreward = 1\n"
    assert Document("/r.derl", text).diagnostics
    assert Document("/r.test.derl", text).diagnostics == ()
