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
    assert suite.outcome == "exact(completion, answer)"
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
    monkeypatch.setattr(importlib.util, "find_spec", hide)
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
