"""Which patterns a reward may use, and that those run in linear time."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import derl_dsl
from derl_grammar.types import Text
from derl_primitives.regex import dialect_notes, regex_problem
from derl_primitives.text import TEXT_FUNCTIONS
from tests.primitives.texts import arguments


@pytest.mark.parametrize(
    "pattern",
    [
        r"^<think>.*</think>\s*\S",
        r"Step [0-9]{1,4}[.:]",
        r"(?i)answer",
        r"a|b|(c+d?)*",
        r"\bno\b",
        r"\p{Han}+",
        r"[\p{L}\pN_]",
        r"\P{Greek}",
        r"\x{4e00}\x41",
        r"[[:alpha:]]",
        r"a\z",
        r"\Q(a.b)\E+",
        r"[]a]b",
        r"[^]a]",
        r"[(?#]",
        r"\\Z",
        "a" * 256,
        "(?:ab){8}" + "c" * 200,
    ],
)
def test_accepted(pattern: str) -> None:
    assert regex_problem(pattern) is None
    assert TEXT_FUNCTIONS["matches"](["Step 1: a"], pattern).tolist() in ([True], [False])


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        (r"(a)\1", "back-reference"),
        (r"(?=a)b", "look-around"),
        (r"(?<!a)b", "look-around"),
        (r"(?>a+)b", "atomic"),
        (r"a++", "possessive"),
        (r"(?:(?:a?b?){30}){30}c", "multiply to 900"),
        (r"a{2,1000000000}", "counts to 1000000000"),
        (r"a{33}", "counts to 33"),
        (r"a{,3}", "write {0,n}"),
        (r"a\Z", "write \\z for the end"),
        (r"\u0041", "write \\x{4e00}"),
        (r"\N{DASH}", "the character itself"),
        (r"(?x)a", "the flag x of (?x)"),
        (r"(?i-x:a)", "the flag x"),
        (r"(?u)a", "the flag u"),
        (r"(?#why)a", "leave it out"),
        (r"(?<n>a)", "(?P<name>…)"),
        (r"(?P<n>a)(?P=n)", "not linear"),
        (r"[\b]a", "\\x08"),
        (r"[a\b]", "\\x08"),
        (r"\x{110000}", "not a regular expression"),
        (r"(a", "not a regular expression"),
        (r"[[:alpha:]", "not a regular expression"),
        ("a" * 257, "257 characters"),
        ("(?:abcdefgh){32}" + "c" * 120, "as long as 376 characters"),
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


PIECES = [
    "a",
    "é",
    "字",
    "_",
    "1",
    "\u0663",
    " ",
    "\u3000",
    "\v",
    "\n",
    "\r",
    "ab",
    "A",
    "ß",
    "\x1f",
]
SIGNS = [
    "a", "b", "é", ".", "^", "$", r"\w", r"\W", r"\d", r"\D", r"\s", r"\S", r"\b", r"\B", "[a-z]",
    "[^a]", "a*", "a+?", "(?:a|é)", "[$]", r"[\w]", r"[^\s]", "|", r"\n", "1?",
]  # fmt: skip


def test_a_pattern_without_a_note_means_the_same_in_python() -> None:
    """And most with one differ on some text: the notes are no noise."""
    rng = random.Random(0)
    texts = ["".join(rng.choices(PIECES, k=rng.randint(0, 6))) for _ in range(300)]
    noted: dict[str, int] = {}
    for _ in range(400):
        pattern = "".join(rng.choices(SIGNS, k=rng.randint(1, 4)))
        if regex_problem(pattern) is not None:
            continue
        expected = [re.search(pattern, text) is not None for text in texts]
        same = TEXT_FUNCTIONS["matches"](texts, pattern).tolist() == expected
        notes = dialect_notes(pattern)
        assert same or notes, pattern
        for note in notes if not same else ():
            noted[note] = noted.get(note, 0) + 1
    assert len(noted) == 9


@pytest.mark.parametrize(
    ("pattern", "signs"),
    [
        (r"^[0-9]+$", ["$"]),
        (r"(?m)^a$", []),
        (r"\w+ \d", [r"\w", r"\d"]),
        (r"\\w[$]", []),
        (r"[\w]", [r"\w"]),
        (r"\p{L}\x{4e00}\z", []),
    ],
)
def test_what_a_pattern_means_elsewhere_is_told(pattern: str, signs: list[str]) -> None:
    assert [note.split()[0] for note in dialect_notes(pattern)] == signs
    text = f"exact(completion, answer) + 0.1 * matches(completion, r'{pattern}')"
    found = [d for d in derl_dsl.check(text, suite="math") if d.code == "DRL531"]
    assert [d.severity for d in found] == ["info"] * len(signs)


@pytest.mark.parametrize(
    "pattern", [r"\p{Han}", r"[\p{Greek}\p{Cyrillic}]", r"\x{4e00}", r"\Q一\E"]
)
def test_classes_of_unicode(pattern: str) -> None:
    expected = [bool(re.search("[一-龥]" if "reek" not in pattern else "[αж]", t)) for t in "一αжa"]
    for name in ("matches", "count_matches"):
        assert TEXT_FUNCTIONS[name](list("一αжa"), pattern).tolist() == expected
