"""Which patterns a reward may use, and that those run in linear time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from derl_grammar.types import Text
from derl_primitives.regex import regex_problem
from derl_primitives.text import TEXT_FUNCTIONS
from tests.primitives.texts import arguments


@pytest.mark.parametrize(
    "pattern",
    [r"^<think>.*</think>\s*\S", r"Step [0-9]{1,4}[.:]", r"(?i)answer", r"a|b|(c+d?)*", r"\bno\b"],
)
def test_accepted(pattern: str) -> None:
    assert regex_problem(pattern) is None
    assert TEXT_FUNCTIONS["matches"](["Step 1: a"], pattern).tolist() in ([True], [False])


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        (r"(a)\1", "back-references"),
        (r"(?=a)b", "look-around"),
        (r"(?<!a)b", "look-around"),
        (r"(?>a+)b", "atomic"),
        (r"a++", "possessive"),
        (r"(?:(?:a?b?){30}){30}c", "multiply to 900"),
        (r"a{2,1000000000}", "counts to 1000000000"),
        (r"a{33}", "counts to 33"),
        (r"a{,3}", "not known to RE2"),
        (r"a\Z", "not known to RE2"),
        (r"\u0041", "not known to RE2"),
        (r"(a", "not a regular expression"),
        ("a" * 129, "129 characters"),
    ],
)
def test_refused(pattern: str, problem: str) -> None:
    assert problem in (regex_problem(pattern) or "")


@given(st.text(max_size=40))
def test_any_text_gets_an_answer(pattern: str) -> None:
    problem = regex_problem(pattern)
    assert problem is None or problem


@given(st.text(alphabet=st.characters(), max_size=60), st.sampled_from(sorted(TEXT_FUNCTIONS)))
def test_text_functions_take_any_text(text: str, name: str) -> None:
    function = TEXT_FUNCTIONS[name]
    if function.params[0].type == Text():
        assert len(function(*arguments(function, [text, ""], ["a", ""]))) == 2


def test_lone_surrogates_do_not_stop_a_pattern() -> None:
    assert TEXT_FUNCTIONS["matches"](["\ud800 yes"], "yes").tolist() == [True]
