"""What each primitive says about one text, and that no text breaks any of them."""

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from derl_grammar.types import Bool, Number, Text
from derl_primitives import correctness, derl_agent, derl_math, shape
from derl_primitives.primitive import Primitive
from derl_primitives.suites import find_suite

EXACT = [
    ("#### 18", "... #### 18", True),
    ("#### 18", "18", True),
    ("#### 18\nno wait, 19", "18", False),  # taken back, and what came instead has no mark
    ("#### 18\nno wait, 19", "19", False),
    ("so 18", "18", True),
    ("so 18, then 2", "18", False),
    ("18", "18", True),
    ("#### 18 and more 19", "18", False),
    ("#### ", "18", False),
    ("", "", False),
    ("#### ", "#### ", False),
    (r"\boxed{x+1}", "x + 1", True),
    ("x+1", "x+1", True),
    ("the answer is x+1", "x+1", False),
    ("18 or 19", "18 or 19", True),
]


@pytest.mark.parametrize(("completion", "gold", "right"), EXACT)
def test_exact(completion, gold, right):
    assert correctness.exact([completion], [gold]).tolist() == [right]


NUMERIC_EQUAL = [
    ("#### about 18 eggs", "18", True),
    (r"\boxed{x = 18\text{ eggs}}", "18", True),
    ("#### Conclusion\nso it is 18", "18", True),
    ("18, then 19", "18", False),
    ("#### 0", "0", True),
    ("none", "0", False),
    ("18", "eggs", False),
    ("5 million", "5000000", False),
]


@pytest.mark.parametrize(("completion", "gold", "equal"), NUMERIC_EQUAL)
def test_numeric_equal(completion, gold, equal):
    assert correctness.numeric_equal([completion], [gold]).tolist() == [equal]


CONTAINS = [
    ("profit: 70,000!", "70000", True),
    ("profit: 70000.00", "70,000", True),
    ("x=5", "5", True),
    ("$5", "5", True),
    ("10-5", "5", True),
    ("4,5", "5", True),
    ("5,000", "5", False),
    ("1,500", "500", False),
    ("15", "5", False),
    ("51", "5", False),
    ("1.5", "5", False),
    ("5.25", "5", False),
    ("5.", "5", True),
    ("so .5 of it", "0.5", True),
    ("0.50 of it", "0.5", True),
    ("$1.50", "1.5", True),
    ("1.5", "1.50", True),
    ("1.51", "1.5", False),
    ("1,234,567", "567", False),
    ("1,234,567", "1234567", True),
    ("1,5678", "5678", True),
    ("it lost 5", "-5", False),
    ("it lost -5", "-5", True),
    ("1/2 cup", r"\frac{1}{2}", False),
    ("on Monday.", "Monday", True),
    ("Mondays", "Monday", False),
    ("f(x)", "(x)", True),
    ("anything", "", False),
]


@pytest.mark.parametrize(("completion", "gold", "found"), CONTAINS)
def test_contains_answer(completion, gold, found):
    assert correctness.contains_answer([completion], [gold]).tolist() == [found]


STEPS = [
    ("", 0),
    ("Step 1: a\nStep 2: b", 2),
    ("Step 1: a Step 2. b", 2),
    ("STEP 1: a", 1),
    ("**Step 1:** a\n### Step 2: b", 2),
    ("1. a\n2. b\n  3) c", 3),
    ("- 1. a\n**2. b**", 2),
    ("1. Step 1: a\n2. **Step 2:** b", 2),
    ("It costs 5. Then 6. ", 0),
    ("1.5 apples\n2.", 0),
    ("footstep 1: a", 0),
    ("steps 1: a", 0),
]


@pytest.mark.parametrize(("text", "count"), STEPS)
def test_step_markers(text, count):
    assert shape.step_markers([text]).tolist() == [count]


def test_derl_math_has_exactly_two_values():
    right = "1. add\n2. halve\nso \\boxed{18}"
    for g, args in (
        (derl_math.g1, ([right, "17"], ["18", "18"])),
        (derl_math.g2, ([right, "17"],)),
        (derl_math.g3, ([right, "17"],)),
        (derl_math.g4, ([right, "17"], ["18", "18"])),
    ):
        assert g(*args).tolist() == [1 + 1e-6, 1e-6]
        assert g.returns == Number(1e-6, 1 + 1e-6, (1e-6, 1 + 1e-6))


THIRDS = [
    ([], (0, 0, 0)),
    ([0.5], (0, 0, 0.5)),
    ([0.5, 1], (0, 0.5, 1)),
    ([1, 0, 0.5], (1, 0, 0.5)),
    ([1, 0, 0.5, 1], (1, 0, 0.75)),
    ([1, 0, 1, 0.5, 0.5], (1, 0.5, 0.5)),
    ([1, 0, 1, 1, 0, 0], (0.5, 1, 0)),
]


def test_derl_agent_thirds():
    rows = [steps for steps, _ in THIRDS]
    got = np.stack([g(rows) for g in (derl_agent.g2, derl_agent.g3, derl_agent.g4)], axis=1)
    assert got.tolist() == [list(map(float, expected)) for _, expected in THIRDS]
    assert derl_agent.g2([]).tolist() == []
    assert derl_agent.g2([np.array([1.0, 0, 0]), np.array([])]).tolist() == [1, 0]


@given(st.lists(st.lists(st.floats(0, 1), max_size=12), max_size=6))
def test_thirds_stay_in_range_and_cover_all_steps(rows):
    thirds = [g(rows) for g in (derl_agent.g2, derl_agent.g3, derl_agent.g4)]
    for scores in thirds:
        assert ((scores >= 0) & (scores <= 1)).all()
    for i, row in enumerate(rows):
        cuts = [k * len(row) // 3 for k in range(4)]
        counts = np.diff(cuts)
        total = sum(n * scores[i] for n, scores in zip(counts, thirds, strict=True))
        assert math.isclose(total, math.fsum(row), abs_tol=1e-9)


TEXT_PRIMITIVES = [
    *find_suite("math").primitives.values(),
    *(binding.primitive for binding in find_suite("derl-math").bindings.values()),
]
IDS = [f"{p.fn.__module__.rpartition('.')[2]}.{p.name}" for p in TEXT_PRIMITIVES]
PIECES = st.sampled_from(
    [
        "\\boxed{",
        "{",
        "}",
        "\\",
        "####",
        "#",
        "\n",
        "-",
        "1",
        "5",
        ",",
        ".",
        "/",
        "$",
        "%",
        " ",
        "e9",
        "Step 1:",
        "1. ",
        "\\frac",
        "\\text{",
        "answer is",
        "\ud800",
        "\u2212",
        "\u0663",
        "\x00",
        "\u3000",
    ]
)
TEXTS = st.one_of(
    st.text(alphabet=st.characters(), max_size=60), st.lists(PIECES, max_size=40).map("".join)
)


def check_range(primitive: Primitive, values) -> None:
    if isinstance(primitive.returns, Bool):
        assert values.dtype == np.bool_
        return
    assert isinstance(primitive.returns, Number)
    assert values.dtype == np.float64
    assert np.isfinite(values).all()
    assert ((values >= primitive.returns.lo) & (values <= primitive.returns.hi)).all()
    if primitive.returns.values is not None:
        assert np.isin(values, primitive.returns.values).all()


@pytest.mark.parametrize("primitive", TEXT_PRIMITIVES, ids=IDS)
@settings(max_examples=40, deadline=None)
@given(rows=st.lists(st.tuples(TEXTS, TEXTS), max_size=4))
def test_any_text_gives_a_value_in_range(primitive, rows):
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], []]
    assert all(isinstance(p.type, Text) for p in primitive.params)
    values = primitive(*columns[: len(primitive.params)])
    assert len(values) == len(rows)
    check_range(primitive, values)


@settings(max_examples=150, deadline=None)
@given(TEXTS, st.from_regex(r"-?[1-9][0-9]{0,4}(\.[0-9]{1,2})?", fullmatch=True))
def test_an_exactly_right_number_is_numerically_equal(text, gold):
    # Boxes side by side would be one list.
    texts = [text, f"{text}\n#### {gold}", f"{text}\n\nThe answer is \\boxed{{{gold}}}"]
    golds = [gold] * 3
    right = correctness.exact(texts, golds)
    assert right[1:].all()
    assert (correctness.numeric_equal(texts, golds) | ~right).all()


HOSTILE = [
    "\\" * 4,
    "\\boxed{",
    "\\boxed{}",
    "\\boxed{{",
    "{",
    "}",
    "\\{",
    "9",
    "1,",
    "111,",
    "1.",
    "5.0",
    "-",
    "/1",
    " ",
    "\n ",
    "\n*",
    "\n1",
    "1. ",
    "#",
    "####",
    "#### 1\n",
    "tep 1",
    "Step 1",
    "Step 1:",
    "\\frac{",
    "\\text{",
    "the answer is ",
    "x=",
]


@pytest.mark.parametrize("primitive", TEXT_PRIMITIVES, ids=IDS)
def test_hostile_texts_take_linear_time(primitive):
    def seconds(size: int) -> float:
        texts = [piece * (size // len(piece)) for piece in HOSTILE]
        texts += ["#### " + text for text in texts] + [f"\\boxed{{{text}}}" for text in texts]
        golds = ["5"] * len(texts)
        start = time.process_time()
        for text, gold in zip(texts, golds, strict=True):
            primitive(*([text], [gold])[: len(primitive.params)])
            primitive(*(["5 " + text[:2000]], [text])[: len(primitive.params)])
        return time.process_time() - start

    # 87 texts of 30 kB: a quadratic step would cost 1e9 operations a text, minutes not a second.
    assert seconds(30_000) < 5


def test_a_literal_argument_holds_for_every_row():
    assert correctness.exact(["#### 18", "#### 19"], "18").tolist() == [True, False]
    assert correctness.contains_answer("1 or 18", ["18", "8"]).tolist() == [True, False]
    assert shape.words("two words").tolist() == [2]
    for p in TEXT_PRIMITIVES:
        assert len(p(*["18"] * len(p.params))) == 1
