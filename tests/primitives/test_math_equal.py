"""math_equal says what math-verify says: on real answers, on LaTeX pairs, on every fast path."""

from __future__ import annotations

import itertools
import json
import random
import string
from fractions import Fraction
from functools import cache

import pytest

from derl_primitives.equality import LONGEST_FORMULA, math_equal
from derl_primitives.verification import quick_verdict
from tests.primitives import latex_pairs


@cache
def parsed(text: str):
    from math_verify import parse

    return parse(text, parsing_timeout=None)


def verdict(gold: str, given: str) -> bool:
    """math-verify itself, one pair at a time, without anything of ours."""
    from math_verify import verify

    return verify(parsed(gold), parsed(given), timeout_seconds=None)


def in_boxes(gold: str, given: str) -> bool:
    return verdict(f"\\boxed{{{gold}}}", f"\\boxed{{{given}}}")


def test_all_real_answers_get_the_verdict_of_math_verify(shared_data):
    lines = (shared_data / "gsm8k" / "model_solutions.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    ours = math_equal([r["completion"] for r in rows], [r["answer"] for r in rows])
    golds = [r["answer"].rpartition("####")[2].strip() for r in rows]
    theirs = [verdict(gold, r["completion"]) for gold, r in zip(golds, rows, strict=True)]
    unlike = [
        (r["problem_id"], r["model"], gold, our)
        for r, gold, our, their in zip(rows, golds, ours.tolist(), theirs, strict=True)
        if our != their
    ]
    assert len(rows) == 2640
    assert unlike == []
    assert ours.tolist() == [r["is_correct"] for r in rows]


PAIRS = [json.loads(line) for line in latex_pairs.FILE.read_text("ascii").splitlines()]


def different(pairs: list[dict]) -> list[dict]:
    """The pairs of which math_equal says something else than the file."""
    texts = [f"So it is \\boxed{{{row['given']}}}." for row in pairs]
    found = math_equal(texts, [row["gold"] for row in pairs]).tolist()
    return [row for row, equal in zip(pairs, found, strict=True) if equal != row["equal"]]


def test_latex_pairs_get_the_verdict_of_math_verify():
    assert len({row["family"] for row in PAIRS}) >= 20
    assert 0.3 < sum(row["equal"] for row in PAIRS) / len(PAIRS) < 0.8
    assert different(PAIRS[::6]) == []


@pytest.mark.slow
def test_all_latex_pairs_get_the_verdict_of_math_verify():
    assert len(PAIRS) >= 500
    assert different(PAIRS) == []


def test_the_pairs_are_those_of_the_rules():
    made = [(row["family"], row["gold"], row["given"]) for row in PAIRS]
    assert made == latex_pairs.pairs()


@pytest.mark.slow
def test_the_verdicts_of_the_pairs_are_those_of_this_math_verify():
    unlike = [row for row in PAIRS if in_boxes(row["gold"], row["given"]) != row["equal"]]
    assert unlike == []


def test_marks_and_dress():
    texts = ["#### **18.**", "so\n#### $18.", "The answer is $18$.", "no answer", "", "\\boxed{}"]
    assert math_equal(texts, ["18"] * 6).tolist() == [True, True, True, False, False, False]
    assert math_equal(["\\boxed{1/2}", "#### \\frac12"], "0.5").tolist() == [True, True]
    assert math_equal(["18", "\\boxed{18}"], ["", " "]).tolist() == [False, False]


def test_very_long_answers_are_equal_only_as_texts():
    long = "1+" * LONGEST_FORMULA + "1"
    texts = [f"\\boxed{{{long}}}", f"\\boxed{{{long}+0}}"]
    assert math_equal(texts, [long, long]).tolist() == [True, False]


# The fast path, against math-verify.

EDGES = [
    "0", "-0", "0.0", "-0.0", "0.000001", "0.000002", "-0.000001", "0.0000005", "0.00000049",
    "99999999.999999", "99999999.999998", "100000000", "99999999", "100000000.0", "0.5", ".5",
    "999999999999999", r"\frac{1}{2}", "1/2", "0.333333", "1/3", "0.333334", "1.000001", "1.000002",
    r"\frac{333333}{999999}", "1", "0.999999", r"\$5", "$5", "$5.00", "007", "0/5", "-0/5", "1,000",
    "1,000.50", "1000.5", "12,345,678", "0.1", "0.100000", "33.333333333333336", "33.333333",
    "100/3", "1.0000000000000000001", "2.6750005", "2.6750015", "0.0000015", "0.0000025", "-$5",
    r"\dfrac{0}{7}", "9999999.4999995", "1,00", "10,00", "+5", "5.", "1e3", "", "a", "A", "E", "i",
]  # fmt: skip


def number(rng: random.Random) -> str:
    sign = rng.choice(["", "-"])
    kind = rng.randrange(8)
    if kind < 2:
        value = rng.randrange(10 ** rng.randrange(1, 16))
        return sign + (f"{value:,}" if rng.random() < 0.3 else str(value))
    if kind < 6:
        places = "".join(rng.choices("0000123599", k=rng.choice([1, 2, 3, 4, 5, 6, 7, 12, 17])))
        return f"{sign}{rng.randrange(10 ** rng.randrange(1, 9))}.{places}"
    top, bottom = rng.randrange(10 ** rng.randrange(1, 7)), rng.randrange(1, 10**5)
    return f"{sign}{top}/{bottom}" if kind == 6 else f"{sign}\\frac{{{top}}}{{{bottom}}}"


def near(rng: random.Random, text: str) -> str:
    """A number that is equal to another or nearly so."""
    if "." in text and rng.random() < 0.7:
        at = len(text) - 1 - rng.randrange(min(3, len(text) - text.index(".") - 1))
        return text[:at] + rng.choice(string.digits) + text[at + 1 :]
    plain = text.replace("\\frac{", "").replace("}{", "/").replace("}", "").replace(",", "")
    value = Fraction(plain)
    return rng.choice([
        f"{float(value):.6f}", f"{float(value):.7f}", f"{float(value)!r}", f"{float(value):,.2f}",
        f"{value.numerator * 3}/{value.denominator * 3}",
    ])  # fmt: skip


def check_quick_path(pairs) -> int:
    decided = [(pair, quick) for pair in pairs if (quick := quick_verdict(*pair)) is not None]
    assert [(pair, quick) for pair, quick in decided if in_boxes(*pair) is not quick] == []
    return len(decided)


def random_pairs(count: int, seed: int):
    rng = random.Random(seed)
    for _ in range(count):
        gold = number(rng)
        given = near(rng, gold) if rng.random() < 0.7 else number(rng)
        yield (gold, given) if rng.random() < 0.5 else (given, gold)


def test_the_quick_path_says_what_math_verify_says():
    rng = random.Random(0)
    edges = rng.sample(list(itertools.product(EDGES, EDGES)), 400)
    assert check_quick_path(edges) > 200
    assert check_quick_path(random_pairs(600, 1)) > 300


@pytest.mark.slow
def test_the_quick_path_says_what_math_verify_says_at_length():
    assert check_quick_path(itertools.product(EDGES, EDGES)) > 1500
    assert check_quick_path(itertools.product(string.ascii_letters, repeat=2)) == 48 * 48
    mixed = itertools.product(string.ascii_letters, ["0", "1", "-3", "2.718282", "3.141593", "5/6"])
    assert check_quick_path([p for a, b in mixed for p in ((a, b), (b, a))]) > 500
    assert check_quick_path(random_pairs(10_000, 2)) > 5_000
