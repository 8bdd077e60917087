"""Reading and comparing final answers, case by case."""

import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from derl_primitives.answers import has_box, last_number, marked_answer, number_of, same_answer

MARKED = [
    ("#### 18", "18"),
    ("work\n####18\n", "18"),
    ("#### 3\nwrong, so\n#### 4", "4"),
    ("####\n72\nbye", "72"),
    ("#### The answer is: 5", "5"),
    ("#### final answer = 5", "5"),
    (r"\boxed{7}", "7"),
    (r"\boxed{1} then \boxed{2}", "2"),
    (r"\boxed{\frac{1}{\sqrt{2}}}.", r"\frac{1}{\sqrt{2}}"),
    (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
    (r"\boxed{\{1}", r"\{1"),
    (r"\boxed{3} and \boxed{4", "3"),
    (r"\boxed{3} and \boxed{ }", "3"),
    (r"{ \boxed{3}", "3"),
    (r"} \boxed{3}", "3"),
    (r"\boxed{a \boxed{b} c}", "b"),
    (r"\boxed{a \boxed{b} c} \boxed{", "b"),
    ("\\boxed{12}\n#### 30", "30"),
    ("#### 30\n\\boxed{12}", "12"),
    ("\\boxed{12\n#### 30", "30"),
    ("18", None),
    ("", None),
    (r"\boxed{", None),
    (r"\boxed{}", None),
    (r"\boxed 5", None),
]


@pytest.mark.parametrize(("text", "answer"), MARKED)
def test_marked_answer(text, answer):
    assert marked_answer(text) == answer


def test_has_box_needs_content_and_balance():
    assert has_box(r"\boxed{x}")
    assert has_box(r"\boxed{x} \boxed{")
    assert not has_box(r"boxed{x}")
    assert not has_box(r"\boxed{ }")
    assert not has_box(r"\boxed{x\}")


NUMBERS = [
    ("18", 18),
    (" 18. ", 18),
    ("**18**", 18),
    ("$18", 18),
    ("-$18", -18),
    ("$-18", -18),
    ("\u221218", -18),
    (r"\$1,250.50", Fraction("1250.5")),
    ("90,000.0", 90000),
    ("1,000,000", 1_000_000),
    ("50%", 50),
    (r"50\%", 50),
    (".5", Fraction(1, 2)),
    ("5.", 5),
    ("007", 7),
    ("1e3", 1000),
    ("3/4", Fraction(3, 4)),
    ("6 / 8", Fraction(3, 4)),
    ("-1/2", Fraction(-1, 2)),
    (r"\frac{1}{2}", Fraction(1, 2)),
    (r"-\dfrac{1}{2}", Fraction(-1, 2)),
    (r"\frac12", Fraction(1, 2)),
    (r"$\frac{10}{4}$", Fraction(5, 2)),
    ("x = 5", 5),
    ("5 apples", 5),
    ("5 square feet", 5),
    ("60 miles per hour", 60),
    ("12cm", 12),
    ("12 cm^2", 12),
    (r"90^\circ", 90),
    (r"5\text{ cm}", 5),
    (r"1{,}000", 1000),
    ("10 000", 10000),
    ("1,00", None),
    ("5 or 6", None),
    ("5 million", None),
    ("2 and a half", None),
    ("5x", None),
    ("5 x", None),
    ("2 pi", None),
    ("3 1/2", Fraction(7, 2)),
    (r"3\frac{1}{2}", Fraction(7, 2)),
    ("1/0", None),
    ("5 apples 3", None),
    ("five", None),
    ("nan", None),
    ("inf", None),
    ("\u0663", None),
    ("", None),
    ("9" * 301, None),
]


@pytest.mark.parametrize(("text", "value"), NUMBERS)
def test_number_of(text, value):
    found = number_of(text)
    assert found is None if value is None else found == value


LAST = [
    ("first 3 then 4 apples.", 4),
    ("costs $1,250.50.", Fraction("1250.5")),
    ("it is -7", -7),
    ("10-7", 7),
    ("(3)-7", 7),
    ("1,2,3", 3),
    ("a ratio of 2/3", Fraction(2, 3)),
    ("about .5", Fraction(1, 2)),
    ("no number", None),
    ("9" * 400, None),
    ("3/0", None),
]


@pytest.mark.parametrize(("text", "value"), LAST)
def test_last_number(text, value):
    found = last_number(text)
    assert found is None if value is None else found == value


SAME = [
    ("90,000", "90000", True),
    ("0.5", "1/2", True),
    ("0.33", "1/3", False),
    ("0.1", "0.10000000000000000001", False),
    ("5 apples", "5", True),
    ("5", "5 million", False),
    ("x^2 + 1", "x^2+1", True),
    ("2x", "2", False),
    ("A", "a", False),
    (r"\text{Monday}", "Monday", True),
    (r"\left( 1, 2 \right)", "(1,2)", True),
    ("", "", False),
    (" ", " ", False),
    ("5", "", False),
    ("a" * 400, "a" * 400, True),
    ("9" * 400, "9" * 400, True),
    ("9" * 400, "9" * 401, False),
]


@pytest.mark.parametrize(("given", "gold", "same"), SAME)
def test_same_answer(given, gold, same):
    assert same_answer(given, gold) is same
    if gold.strip() and given.strip():
        assert same_answer(gold, given) is same


@given(st.text("12,./$- x\u2212\n)", max_size=30), st.sampled_from(["", "1,", "12", " 3", "1/"]))
def test_last_number_is_the_last_of_all(text, tail):
    text += tail * 200
    found = re.findall(
        r"(?:(?<![\w)\]}])[-\u2212])?\$?(?:(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)"
        r"(?:\.[0-9]+)?|\.[0-9]+)(?:/[0-9]+)?",
        text,
    )
    assert last_number(text) == (last_number(f"({found[-1]}") if found else None)
