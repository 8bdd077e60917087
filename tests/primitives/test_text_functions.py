"""The functions of texts: what each says of texts that models write, and of edge cases."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import derl_dsl
from derl_primitives import occurrence
from derl_primitives.occurrence import finder
from derl_primitives.shape import count_words
from derl_primitives.text import TEXT_FUNCTIONS as F
from tests.primitives.reference import REFERENCES

CUT = [
    ("last_block", "<answer>5</answer>, or <answer>6", "answer", "6"),
    ("last_block", "<answer>5</answer> <answer></answer>", "answer", ""),
    ("last_block", "answer: 5", "answer", ""),
    ("last_block", "<think>a</think><Answer>5</Answer>", "answer", ""),
    ("blocks", "<c>1</c><c>2<c>3</c>", "c", ["1", "2", "3"]),
    ("blocks", "</c>1<c>", "c", [""]),
    ("before", "a=b=c", "=", "a"),
    ("extract", "so (B) and (C)", r"\(([A-D])\)", "B"),
    ("extract", "x = 3", r"(?:x|y) = ([0-9]+)", "3"),
    ("extract", "price [10]", r"[\[(]([0-9]+)[\])]", "10"),
    ("extract", "n: 4", r"(?P<key>[a-z]): [0-9]", "n"),
    ("extract", "ab", r"a(x)?b", ""),
    ("extract", "第三名", r"第(\p{Han})", "三"),
    ("json_text", '{"a": {"b": [1, "x"]}}', "a.b.1", "x"),
    ("json_text", '{"a.b": 1}', "/a.b", "1"),
    ("json_text", '{"a": null}', "a", "null"),
    ("json_text", '{"a": 1}', "b", None),
    ("json_text", "[1, 2]", "-1", None),
    ("json_text", '{"b": 1, "a": [true]}', "", '{"a":[true],"b":1}'),
    ("json_list", '["a", {"b": 1}]', "", ["a", '{"b":1}']),
    ("json_list", '{"a": "b"}', "a", None),
    ("json_keys", '{"b": 1, "a": 2}', "", ["b", "a"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "literal", "value"), CUT)
def test_what_is_cut_out(name, text, literal, value):
    assert F[name]([text], literal) == [value]


@pytest.mark.parametrize(
    ("text", "thought", "reply"),
    [
        ("<think>a</think>b", "a", "b"),
        ("\n<think>a</think>b", "a", "b"),
        ("a</think>b", "a", "b"),
        ("a", "", "a"),
        ("<think>a", "a", ""),
        ("<think>a</think>b<think>c", "a</think>b<think>c", ""),
        ("a</think>b</think>c", "a</think>b", "c"),
    ],
)
def test_thinking_whose_opening_tag_may_stand_in_the_prompt(text, thought, reply):
    assert (F["thought"]([text]), F["reply"]([text])) == ([thought], [reply])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("42", 42), ("$1,250.50", 1250.5), ("3/4", 0.75), ("-7", -7), ("50%", 50), ("1e400", None),
        ("10" * 20, None), ("", None), ("4 or 5", None), ("twelve", None),
    ],
)  # fmt: skip
def test_number(text, value):
    (found,) = F["number"]([text]).tolist()
    assert math.isnan(found) if value is None else found == value


@pytest.mark.parametrize(
    ("text", "value", "used"),
    [
        ("1 + 2 * 3", 7, [1, 2, 3]),
        ("(1 + 2) * 3", 9, [1, 2, 3]),
        ("8 / 4 / 2", 1, [8, 4, 2]),
        ("2 - -3", 5, [2, 3]),
        ("-(4)", -4, [4]),
        ("1/3 + 1/3 + 1/3", 1, [1, 3, 1, 3, 1, 3]),
        ("3 × 4 ÷ 6 − 1", 1, [3, 4, 6, 1]),
        ("2.5*2", 5, [2.5, 2]),
        ("(" * 500 + "1" + ")" * 500, 1, [1]),
        *((text, None, []) for text in (
            "", "1 +", "2 3", "2(3)", "()", "(1", "1)", "2**3", "7//2", "1/0", "a+1", "1=1",
            "1e3", "9" * 2000, "1+" * 600 + "1", "__import__('os')",
        )),
    ],
)  # fmt: skip
def test_arithmetic(text, value, used):
    (found,) = F["arithmetic"]([text]).tolist()
    assert math.isnan(found) if value is None else found == value
    assert F["arithmetic_numbers"]([text]) == [used]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[10,200, 3.5]", [10, 200, 3.5]),
        ("7-4, -4 and (2)-1", [7, 4, -4, 2, 1]),
        ("x2 = -.5e1; 1e999", [2, -5]),
        ("v1.2.3", [1.2, 0.3]),
        ("", []),
    ],
)
def test_numbers(text, found):
    assert F["numbers"]([text]) == [found]


@given(st.lists(st.tuples(st.lists(st.integers(0, 3)), st.lists(st.integers(0, 3)))))
def test_same_numbers_is_equality_of_multisets(pairs):
    left, right = [a for a, _ in pairs], [b for _, b in pairs]
    expected = [REFERENCES["same_numbers"](a, b) for a, b in pairs]
    assert F["same_numbers"](left, right).tolist() == expected


def test_lists_read_out_of_a_text_are_bounded():
    many = "<a>x</a>" * 5000
    assert [len(F["blocks"]([many], "a")[0]), len(F["lines"](["\n" * 9999])[0])] == [4096, 4096]
    assert len(F["numbers"](["1 " * 9999])[0]) == 4096


COLUMNS = {"completion": "text", "answer": "text", "ok": "bool", "golds": "list[text]"}
ROWS = {
    "completion": ["<answer>4</answer>", "it is\n5", '{"n": "6"}', ""],
    "answer": ["4", "5", "6", "7"],
    "ok": [True, False, True, False],
    "golds": [["3", "4"], [], ["6"], ["", "7"]],
}


@pytest.mark.parametrize(
    ("program", "values"),
    [
        ('1 * contains(completion, answer)', [1, 1, 1, 0]),
        ('1 * ((last_block(completion, "answer") if ok else completion) == answer)', [1, 0, 0, 0]),
        ('t = last_block(completion, "answer") if contains(completion, "<answer>") else '
         'last(lines(completion))\nreward = 1 * (t == answer)', [1, 1, 0, 0]),
        ('1 * words("a b c" if ok else "a b") / 3', [1, 2 / 3, 1, 2 / 3]),
        ('1 * (default(json_text(completion, "n"), answer) == answer) + 0.0 * ok', [1, 1, 1, 1]),
        ('default(json_text(completion, "n") == answer, False) + 0.5', [0.5, 0.5, 1.5, 0.5]),
        ('1 * any(golds == last_block(completion, "answer"))', [1, 0, 0, 1]),
        ('count(golds) + 0.5 * (first(golds) == "3") + (last(golds) == answer)', [3.5, 0, 2, 3]),
        ('clip(default(number(lower(answer)), 0), 0, 9)', [4, 5, 6, 7]),
        ('1 * (("x" if count(lines(completion)) > 1 else answer) == "4")', [1, 0, 0, 0]),
        ('words(("a" if ok else skip)) if ok else 0.5', [1, 0.5, 1, 0.5]),
        (r'1 * contains(completion, "\x7b\u0022n")', [0, 0, 1, 0]),
    ],
)  # fmt: skip
def test_programs(program, values):
    reward = derl_dsl.compile(program, columns=COLUMNS)
    scores = reward.score(ROWS)
    assert not scores.faults
    assert scores.values.tolist() == pytest.approx(values)
    reference = derl_dsl.compile(program, columns=COLUMNS, backend="reference").score(ROWS)
    assert reference.values.tolist() == scores.values.tolist()


@pytest.mark.parametrize(
    ("program", "code", "message"),
    [
        ("sum(numbers(completion if ok else answer))", "DRL208", "different lengths"),
        ("sum(numbers(completion) * numbers(answer))", "DRL208", "different lengths"),
        ("any(number(golds) > 1)", "DRL211", "cannot hold"),
        ('1 * (extract(completion, "[0-9]+") == "1")', "DRL210", "0 groups"),
        ('1 * (extract(completion, "(a)(b)") == "1")', "DRL210", "2 groups"),
        ('1 * (json_text(completion, "a..b") == "1")', "DRL210", "names and positions"),
        ('1 * contains(completion, "")', "DRL210", "empty"),
        (r'1 * contains(completion, "\ud83d")', "DRL004", "surrogate"),
        (r'1 * contains(completion, "\u12")', "DRL004", "unknown escape"),
        ("1 * contains(completion if ok else 3, answer)", "DRL203", "branches differ"),
    ],
)
def test_mistakes(program, code, message):
    found = [d for d in derl_dsl.check(program, columns=COLUMNS) if d.severity == "error"]
    assert [d.code for d in found] == [code]
    assert message in found[0].message


def test_characters_by_their_number():
    text = r'1 * contains(completion, "\u4e00\x41\U0001F600\r")'
    reward = derl_dsl.compile(text, columns=COLUMNS)
    assert reward.score({"completion": ["一A😀\r", "一A"]}).values.tolist() == [1, 0]


SPACES = " \n\t\x1c\x85\u00a0\u180e\u2003\u200b\u3000"


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet=st.one_of(st.sampled_from(SPACES), st.characters()), max_size=60))
def test_words_of_long_texts_are_those_of_split(piece):
    for text in (piece * 90 + "." * 4096, "." * 65_530 + piece):
        assert count_words(text) == len(text.split())


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["5", "12", "123", "-5", "0.5", "-0.25", "123.5", "0", "a", "(a)", "é", "a b"]),
    st.lists(
        st.sampled_from([*"5123,.- ab_()0é", "12", "1,234", ".50", "00", "\u2212"]), max_size=12
    ),
)
def test_many_false_places_change_no_answer(gold, pieces):
    sought, text = finder(gold), "".join(pieces)
    found = sought.occurs_in(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(occurrence, "MANY_PLACES", 0)
        assert sought.occurs_in(text) == found
