"""Patterns that RE2 does not read are refused before any row; counting is linear or refused."""

from __future__ import annotations

import time

import pytest

from derl_primitives import text
from derl_primitives.regex import regex_problem
from derl_primitives.regex_counts import counting_problem

# What Python's parser reads and RE2 does not.
NOT_RE2 = [
    "(?#x)a", "(?x)a", "(?i-x)a", r"[\b]a", "(?P=n)", "(?P<n>a)(?P=n)", "(?<n>a", "(?>a)", "a++",
    "(?(1)a|b)", r"a\Z", r"\u4e00", r"\U0001F600", r"\N{DASH}", "a{,3}", "(?a)a", "(?L)a", "(?u)a",
    "(?=a)", "(?!a)", "(?<=a)b", "(?<!a)b", r"(a)\1", "[[:nope:]]", r"\p{Nope}", r"\x{110000}",
    "(?i",
    "a{1001}", r"\8", "[z-a]", "(?P<1>a)", "\ud800", "*a", "a**", "(", ")", "[", "\\",
]  # fmt: skip


@pytest.mark.parametrize("pattern", NOT_RE2)
def test_what_re2_does_not_read_is_refused(pattern: str) -> None:
    assert regex_problem(pattern) is not None


@pytest.mark.parametrize(
    "pattern",
    ["[[:alpha:]]+", r"\p{Han}+", r"\x{4e00}", r"a\z", r"\Qa.b\E", "(?i)a", "(?P<n>a)b*?"],
)
def test_what_re2_reads_runs(pattern: str) -> None:
    assert regex_problem(pattern) is None
    assert len(text.matches(["abc"], pattern)) == 1


QUADRATIC = {
    "a(?:.*b)?": "a", "x*y|x": "x", "x|x*y": "x", "(?:x*y|x)z?": "x", "(?:ax*y)*a": "ax",
    "a(?:b*c)*": "ab", "(?:a.*b)?": "a", "(?:a+b)+|a": "a", "a(?:(?:.*b)?)?": "a", "a|a.*b": "a",
    "(?:a|[a-z]*0)": "a", "(?i)A|a*b": "a", "a(?:.*b){0,2}": "a", "a+b|a": "a", ".*b|a": "a",
    "(?s)a(?:.*b)??": "a", "(?:a|aa*b|c)": "a", "a(?:x|.*b)?": "a",
}  # fmt: skip


@pytest.mark.parametrize("pattern", QUADRATIC)
def test_counting_that_is_quadratic_is_refused(pattern: str) -> None:
    assert regex_problem(pattern) is None
    assert "quadratic" in (counting_problem(pattern) or "")


LINEAR = [
    r"Step [0-9]+:", r"(?m)^[0-9]+\.", r"(?m)^[0-9]+\.|^Step [0-9]+:", "a+", "a*", "[a-z]+", "a.*b",
    "a.*?b", r"<think>.*?</think>", "(?:wait|hmm|but)", r"\bno+\b", "a|b", "ab|ac", "(?:a|b)+",
    "x+y?",
    "x*", "(?:ab)*", "a{2,30}", "[^a]+", r"\w+", "a|aa", "", "a?", "(?:a?b?){8}", r"\d+(?:\.\d+)?",
]  # fmt: skip
TEXTS = [
    "a",
    "x",
    "ab",
    "Step 1",
    "1",
    "aaaab",
    "<think>",
    "1.",
    "no ",
    "xy",
    "\n1",
    "a\n",
    " ",
    "é",
]


@pytest.mark.parametrize("pattern", LINEAR)
def test_counting_grows_with_the_text(pattern: str) -> None:
    assert counting_problem(pattern) is None
    for piece in TEXTS:
        seconds = []
        for size in (10_000, 160_000):
            long = piece * (size // len(piece))
            best = float("inf")
            for _ in range(2):
                start = time.process_time()
                text.count_matches([long], pattern)
                best = min(best, time.process_time() - start)
            seconds.append(best)
        # Sixteen times the text: linear is 16, quadratic 256.
        assert seconds[1] < 64 * max(seconds[0], 0.001)
