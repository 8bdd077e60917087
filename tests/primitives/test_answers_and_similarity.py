"""Choices, similarity, schemas, programs and reasoning words: case by case, and hostile texts."""

import time

import pytest

from derl_primitives.choice import chosen
from derl_primitives.code import LONGEST_CODE, valid_python
from derl_primitives.correctness import hashed
from derl_primitives.reasoning import connectives, reflections
from derl_primitives.schema import fits_schema, schema_problem
from derl_primitives.similarity import (
    edit_similarity,
    number_closeness,
    rouge_l,
    word_f1,
    word_overlap,
)
from tests.primitives.texts import arguments, text_primitives

CHOICES = [
    ("B", "B"),
    ("(b)", "B"),
    ("b) Paris", "B"),
    ("C. 42", "C"),
    ("D: none", "D"),
    (" **A** ", "A"),
    (r"\boxed{\text{(C)}}", "C"),
    (r"$\boxed{E}$", "E"),
    ("#### d", "D"),
    ("The answer is (c).", "C"),
    ("answer: B, not A", "B"),
    ("Answer: A. No, the answer is **B**.", "B"),
    ("The final answer is\n\\boxed{J}", "J"),
    ("the answer is a dog", None),
    ("The answer is A's", None),
    ("A or B", None),
    ("Apple", None),
    ("K", None),
    (r"\boxed{42}", None),
    ("", None),
]


@pytest.mark.parametrize(("text", "letter"), CHOICES)
def test_chosen(text, letter):
    assert chosen(text) == letter


def test_hashed():
    texts = ["####18", "#### \n", "#### 1\n####", "###18", "a #### b"]
    assert hashed(texts).tolist() == [True, False, False, False, True]


SIMILAR = [
    (edit_similarity, "abc", "abd", 2 / 3),
    (edit_similarity, "abc", "", 0),
    (edit_similarity, "\ud800é", "\ud800e", 0.5),
    (word_f1, "A b a", "a A c", 2 / 3),
    (word_overlap, "A b a", "a A c", 1 / 3),
    (rouge_l, "a x b y c", "a b c", 0.75),
    (rouge_l, "", "a", 0),
    (number_closeness, "#### -50", "50", 0),
    (number_closeness, "#### 0", "0", 1),
    (number_closeness, "#### 0", "5", 0),
    (number_closeness, r"\boxed{\frac{1}{2}}", "0.4", 0.8),
    (number_closeness, "9" * 280, "1", 0),
    (number_closeness, "7", "no number", 0),
]


@pytest.mark.parametrize(("primitive", "given", "gold", "value"), SIMILAR)
def test_similarity(primitive, given, gold, value):
    assert primitive([given], [gold]).tolist() == [pytest.approx(value)]


def test_a_column_without_rows():
    for primitive in (edit_similarity, word_f1, word_overlap, rouge_l, number_closeness):
        assert primitive([], []).tolist() == []


OBJECT = '{"type": "object", "properties": {"n": {"type": "integer", "maximum": 9}}}'
FITS = [
    ('{"n": 9}', True),
    ('{"n": 9.0}', True),
    ('{"n": 10}', False),
    ('{"n": "9"}', False),
    ("[]", False),
    ('{"n": 1e999}', False),
    ('{"n": ' + "9" * 5000 + "}", False),
    ("{n: 9}", False),
    ("", False),
]


@pytest.mark.parametrize(("text", "fits"), FITS, ids=range(len(FITS)))
def test_fits_schema(text, fits):
    assert fits_schema([text], OBJECT).tolist() == [fits]


SCHEMAS = [
    ("{}", None),
    ('{"anyOf": [{"const": 1}, {"items": {"minLength": 2}}]}', None),
    ("{", "the schema is no JSON"),
    ("[" * 10_000, "the schema is nested more than 32 deep"),
    ("true", "write a schema as an object"),
    ('{"items": {"pattern": "x"}}', 'a schema may not use "pattern"'),
    ('{"properties": {"a": {"$ref": "#"}}}', 'a schema may not use "$ref"'),
    ('{"not": {"allOf": [{"uniqueItems": true}]}}', 'a schema may not use "uniqueItems"'),
    ('{"type": "objekt"}', "not a schema"),
    ('{"required": "a"}', "not a schema"),
]


@pytest.mark.parametrize(("schema", "problem"), SCHEMAS, ids=range(len(SCHEMAS)))
def test_schema_problem(schema, problem):
    found = schema_problem(schema)
    assert found is None if problem is None else found.startswith(problem)


PROGRAMS = [
    ("x = 1", True),
    ("def f(x):\n    return x\n", True),
    ("x = '\\d'", True),
    ("x =", False),
    ("  x = 1", False),
    ("x = 1\0", False),
    ("", False),
    ("\n", False),
    ("\ud800", False),
    ("(" * 5000, False),
    ("-" * 15_000 + "1", False),
    ("x = " + "9" * 10_000, False),
    ("#" * LONGEST_CODE, True),
    ("#" * (LONGEST_CODE + 1), False),
]


@pytest.mark.parametrize(("text", "parses"), PROGRAMS, ids=range(len(PROGRAMS)))
def test_valid_python(text, parses):
    assert valid_python([text]).tolist() == [parses]


def test_reasoning_words():
    texts = ["Wait. Hmmm, let's verify; I made a mistake.", "await lets check rechecked", ""]
    assert reflections(texts).tolist() == [4, 0, 0]
    assert connectives(["Firstly a, then b. Thus c.", "thence", ""]).tolist() == [3, 0, 0]


HOSTILE = [
    "(", "A", "a ", "**", "$", " ", "\n", "answer ", "Answer: ", "answer is ", "(A", "A.",
    "\\text{", "Wait", "let me ", "re-", "First", "9", "-", "[", "{", '{"a":', '"', "\\", "x=1\n",
    "lambda:", "if x:\n ", "not ", "f(", "a.b", "#### ", "\\boxed{", "\\boxed{A}", "\u0130",
    "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("name", text_primitives())
def test_hostile_texts_take_linear_time(name):
    primitive = text_primitives()[name]
    texts = [piece * (30_000 // len(piece)) for piece in HOSTILE]
    texts += ["#### " + text for text in texts[:16]] + ["5" + text for text in texts[:16]]
    start = time.process_time()
    for text in texts:
        primitive(*arguments(primitive, [text], [text[:200]]))
        primitive(*arguments(primitive, [text[:200]], [text]))
    # 67 texts of 30 kB: one step that takes quadratic time would cost minutes.
    assert time.process_time() - start < 8
