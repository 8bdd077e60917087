"""count_matches counts what Python's `re` finds, whatever the pattern looks at."""

import random
import re

import pytest

from derl_primitives.text import count_matches

PIECES = ["a", "b", " ", "\n", "1.", "Step 1:", "First,", "\n-", "é"]
PATTERNS = [
    r"Step \d+:",
    r"(Step \d+:|^\d+\.|\n-|First,)",
    r"\ba",
    r"\Ba",
    r"(?m)^a",
    r"[^a]",
    r"a$",
    r"\Aa|b",
    r"^",
    r"$",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_it_counts_as_python_does(pattern):
    rng = random.Random(0)
    texts = ["".join(rng.choices(PIECES, k=rng.randint(0, 9))) for _ in range(300)]
    if pattern.endswith("$"):  # a closing line break is no end of the text in RE2
        texts = [text.rstrip("\n") for text in texts]
    expected = [len(re.findall(pattern, text, re.ASCII)) for text in texts]
    assert count_matches(texts, pattern).tolist() == expected


def test_empty_matches_are_counted_by_character():
    assert count_matches(["é", "日本"], "a*").tolist() == [2.0, 3.0]
