"""The table of suites, their unions, and what a mistaken name is told."""

import importlib.util
import subprocess
import sys

import pytest

from derl_grammar.types import Bool, List, Number, Text
from derl_primitives import suites
from derl_primitives.suites import SUITES, SuiteConflict, SuiteError, UnknownSuite, find_suite


def test_math():
    suite = find_suite("math")
    assert list(suite.primitives) == [
        "correct",
        "exact",
        "boxed",
        "hashed",
        "numeric_equal",
        "same_choice",
        "step_markers",
        "contains_answer",
        "chars",
        "words",
    ]
    assert suite.columns == {"completion": Text(), "answer": Text()}
    assert suite.primitives["exact"].signature == "exact(completion: text, answer: text) -> bool"


def test_derl_suites_bind_the_names_of_the_paper():
    math, agent = find_suite("derl-math"), find_suite("derl-agent")
    assert list(math.bindings) == list(agent.bindings) == ["g1", "g2", "g3", "g4"]
    assert math.outcome == agent.outcome == "g1"
    assert agent.columns == {"solved": Bool(), "step_scores": List(Number(0, 1))}
    assert agent.bindings["g1"].primitive.returns == Number(0, 1, (0, 1))


def test_union():
    suite = find_suite("math + derl-agent")
    assert suite.name == "math+derl-agent"
    assert set(suite.columns) == {"completion", "answer", "solved", "step_scores"}
    assert set(suite.bindings) == {"g1", "g2", "g3", "g4"}
    assert "exact" in suite.primitives
    assert suite.outcome == "correct(completion, answer)"
    assert find_suite("derl-agent+math").outcome == "g1"


def test_a_suite_may_be_named_twice():
    assert find_suite("math+math").primitives == find_suite("math").primitives


def test_conflicting_names_do_not_combine():
    with pytest.raises(SuiteConflict, match="'derl-math' and 'derl-agent' do not combine: 'g1'"):
        find_suite("derl-math+derl-agent")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mth", "unknown suite 'mth'; did you mean 'math'?"),
        ("math+derl-agnt", "unknown suite 'derl-agnt'; did you mean 'derl-agent'?"),
        ("zzzz", f"unknown suite 'zzzz'; one of {', '.join(sorted(SUITES))}"),
        ("", f"unknown suite ''; one of {', '.join(sorted(SUITES))}"),
        ("math+", f"unknown suite ''; one of {', '.join(sorted(SUITES))}"),
    ],
)
def test_unknown_suite_says_what_was_meant(name, message):
    with pytest.raises(UnknownSuite) as caught:
        find_suite(name)
    assert str(caught.value) == message
    assert isinstance(caught.value, SuiteError)


@pytest.mark.parametrize(
    ("suite", "module", "words"),
    [
        (
            "math+verify",
            "math_verify",
            r"'verify' needs math-verify.*pip install 'derl-dsl\[math\]'",
        ),
        ("json", "jsonschema", r"'json' needs jsonschema.*pip install 'derl-dsl\[json\]'"),
    ],
)
def test_a_suite_without_its_package_says_what_to_install(monkeypatch, suite, module, words):
    found = importlib.util.find_spec
    hide = lambda name, *rest: None if name == module else found(name, *rest)  # noqa: E731
    monkeypatch.setattr("derl_primitives.extras.find_spec", hide)
    with pytest.raises(SuiteError, match=words):
        find_suite(suite)
    assert find_suite("math").outcome is not None


def test_names_are_valid_in_programs():
    for suite in SUITES.values():
        names = [*suite.columns, *suite.primitives, *suite.bindings]
        assert len(set(names)) == len(names)
        assert all(name.isidentifier() for name in names)


def test_signatures_load_without_the_heavy_libraries():
    heavy = "numpy", "pyarrow", "numba", "torch", "sympy", "rapidfuzz", "jsonschema"
    code = f"import {suites.__name__}, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_name_may_be_left_out_or_turned_round():
    import derl_dsl

    columns = {"completion": ["Step 1: a\nStep 2: b", r"\boxed{3}", "4"], "answer": ["3"] * 3}
    names = ("g1", "g2", "g3", "g4")
    plain, turned = (
        {n: derl_dsl.compile(n, suite=s).score(columns).values.tolist() for n in names}
        for s in ("derl-math", "derl-math[~g3]")
    )
    no, yes = 1e-6, 1 + 1e-6
    assert plain["g3"] == [yes, no, no]
    assert turned["g3"] == [no, yes, yes]
    assert {n: v for n, v in turned.items() if n != "g3"} == {
        n: v for n, v in plain.items() if n != "g3"
    }
    # One batch, both suites: nothing is taken from the other's cache.
    both = [derl_dsl.compile("g3", suite=s) for s in ("derl-math", "derl-math[~g3]")]
    assert derl_dsl.score_many(both, columns).tolist() == [plain["g3"], turned["g3"]]
    kept = find_suite("derl-math[-g3, ~g4]")
    assert list(kept.bindings) == ["g1", "g2", "g4"]
    assert kept.bindings["g4"].primitive.doc.startswith("Whether the gold answer occurs anywhere")
    (found,) = derl_dsl.check("g1 + g3", suite="derl-math[-g3]")
    assert (found.code, found.hints) == ("DRL101", ("names: completion, answer, g1, g2, g4",))
    assert find_suite("derl-math[~g3]") is find_suite("derl-math[~g3]")


def test_bools_and_ranges_turn_round_as_well():
    import derl_dsl

    columns = {"completion": ["a", r"\boxed{3}"], "answer": ["3", "3"]}
    right = derl_dsl.compile("1 * boxed(completion)", suite="math[~boxed]")
    assert right.score(columns).values.tolist() == [1.0, 0.0]
    plain, turned = (
        derl_dsl.compile("number_closeness(completion, answer)", suite=s).score(
            {"completion": ["3", "4", "x"], "answer": ["3"] * 3}
        )
        for s in ("similarity", "similarity[~number_closeness]")
    )
    assert turned.values.tolist() == [1 - v for v in plain.values]
    assert plain.values[0] == 1
    assert 0 < plain.values[1] < 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("derl-math[-g1]", "'g1' is the outcome, which has to stay"),
        ("math[~correct]", "'correct' is the outcome"),
        ("derl-math[-g9]", "no name 'g9'; there are g1, g2, g3, g4"),
        ("derl-math[g3]", r"write derl-math[-x] to leave x out, derl-math[~x] to turn it"),
        ("derl-math[-g3", "write derl-math[-x]"),
        ("derl-math[]", "write derl-math[-x]"),
        ("code[~last_code]", "only numbers within bounds and bool turn"),
        ("derl-maths[-g3]", "unknown suite 'derl-maths'; did you mean 'derl-math'?"),
    ],
)
def test_a_change_that_a_suite_does_not_allow(name, said):
    with pytest.raises(SuiteError) as error:
        find_suite(name)
    assert said in str(error.value)
