"""Programs against their tests, in the real sandbox."""

import numpy as np
import pytest

import derl_dsl
from derl_primitives.code_tests import MOST_TESTS, passes_tests
from derl_primitives.code_tests import tests_passed as passed
from derl_runtime.sandbox import Refused, Sandbox, SandboxLimits
from tests.primitives.programs import PASSING

ADD = "def add(a, b):\n    return a + b\n"
TESTS = ["assert add(1, 2) == 3", "assert add('a', 'b') == 'ab'\nassert add(0, 0) == 0"]


@pytest.fixture(scope="module")
def sandbox():
    try:
        with Sandbox(limits=SandboxLimits(deadline=1.0)) as found:
            yield found
    except Refused as error:
        pytest.skip(str(error))


PASSES = {
    "right": (ADD, 1.0),
    "half": ("def add(a, b):\n    return 3 if a == 1 else a\n", 0.5),
    "imports": ("import math\n\ndef add(a, b):\n    return a + b if math.pi else 0\n", 1.0),
    "type_hints": (
        "from typing import Any\ndef add(a: Any, b: Any) -> Any:\n    return a + b",
        1.0,
    ),
    "class": ("class A:\n    def add(self, a, b):\n        return a + b\nadd = A().add\n", 1.0),
    "prints": (ADD + "print(add(1, 2))\n", 1.0),
    "imports_os": ("import os\n" + ADD, 1.0),
    "long": (ADD + "# " + "x" * 19_000, 1.0),
    "hangs": ("def add(a, b):\n    while True:\n        pass\n", 0.0),
    "hangs_at_once": ("while True:\n    pass\n", 0.0),
    "recurs": ("def add(a, b):\n    return add(a, b)\n", 0.0),
    "no_python": ("def add(a, b)\n    return a + b\n", 0.0),
    "other_name": ("def sum2(a, b):\n    return a + b\n", 0.0),
    "raises": ("raise ValueError('no')\n", 0.0),
    "empty": ("", 0.0),
    "decorator_without_function": ("def cheat(f):\n    return lambda k: 1\n\n@cheat\n", 0.0),
    "unknown_module": ("import numpy\n" + ADD, 0.0),
    "opens_a_file": ("open('/etc/passwd')\n" + ADD, 0.0),
    "too_long": (ADD + "# " + "x" * 70_000, 0.0),
}


@pytest.mark.parametrize(("program", "share"), PASSES.values(), ids=PASSES)
def test_the_share_of_tests_that_pass(sandbox, program, share):
    assert passes_tests([program], [TESTS], sandbox=sandbox).tolist() == [share]


def test_what_models_hand_in_passes():
    programs, tests = zip(*PASSING.values(), strict=True)
    try:
        with Sandbox(limits=SandboxLimits(deadline=30.0)) as patient:
            shares = passed(list(programs), list(tests), sandbox=patient)
    except Refused as error:
        pytest.skip(str(error))
    assert dict(zip(PASSING, shares.tolist(), strict=True)) == dict.fromkeys(PASSING, 1.0)


# Tests that nobody can run, whatever the program.
UNFIT = {
    "no_python": ["assert ("],
    "return": ["return 1"],
    "too_many": ["pass"] * (MOST_TESTS + 1),
    "asks_nothing": ["assert 1 + 1 == 2"],
    "never_called": ["def check(f):\n    assert f(1, 2) == 3"],
    "imports_what_is_not_there": ["import numpy\nassert add(1, 2) == numpy.int64(3)"],
    "evaluates_text": ["assert eval(add('1', '2')) == 12"],
}


@pytest.mark.parametrize("tests", UNFIT.values(), ids=UNFIT)
def test_tests_that_nobody_can_run_are_a_fault_of_their_row(sandbox, tests):
    found = passes_tests([ADD, ADD], [TESTS, tests], sandbox=sandbox)
    assert found.tolist()[0] == 1.0
    ((failure),) = found.failures
    assert (failure.kind, failure.rows) == ("compile_error", (1,))


def test_rows_with_different_numbers_of_tests(sandbox):
    tests = [TESTS, TESTS[:1], [], ["assert add(1, 1) == 3"]]
    assert passes_tests([ADD] * 4, tests, sandbox=sandbox).tolist() == [1.0, 1.0, 0.0, 0.0]


def test_a_reward_runs_the_tests_of_each_completion(sandbox):
    text = "passes_tests(last_code(completion), tests)"
    reward = derl_dsl.compile(text, suite="code")
    completions = [
        f"So:\n```python\n{ADD}```\n",
        "no code",
        f"```\nimport socket\nsocket.socket()\n{ADD}```",
    ]
    found = reward.score({"completion": completions, "tests": [TESTS] * 3})
    np.testing.assert_array_equal(found.values, [1.0, 0.0, 0.0])
    assert found.faults == []
