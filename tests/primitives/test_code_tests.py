"""Programs against their tests, in the real sandbox."""

import numpy as np
import pytest

import derl_dsl
from derl_primitives.code_tests import MOST_TESTS, passes_tests
from derl_runtime.sandbox import Refused, Sandbox, SandboxLimits

ADD = "def add(a, b):\n    return a + b\n"
TESTS = ["assert add(1, 2) == 3", "assert add('a', 'b') == 'ab'\nassert add(0, 0) == 0"]


@pytest.fixture(scope="module")
def sandbox():
    try:
        with Sandbox(limits=SandboxLimits(deadline=1.0)) as found:
            yield found
    except Refused as error:
        pytest.skip(str(error))


PASSES = [
    (ADD, 1.0),
    ("def add(a, b):\n    return 3 if a == 1 else a\n", 0.5),
    ("import math\n\ndef add(a, b):\n    return a + b if math.pi else 0\n", 1.0),
    ("def add(a, b):\n    while True:\n        pass\n", 0.0),
    ("def add(a, b):\n    return add(a, b)\n", 0.0),
    ("def add(a, b)\n    return a + b\n", 0.0),
    ("def sum2(a, b):\n    return a + b\n", 0.0),
    ("raise ValueError('no')\n", 0.0),
    ("", 0.0),
    ("def cheat(f):\n    return lambda k: 1\n\n@cheat\n", 0.0),
    ("def derl_passes(k):\n    return 1\n", 0.0),
    ("x = '''", 0.0),
    ("x = 1 \\", 0.0),
    ("if True:", 0.0),
]


@pytest.mark.parametrize(("program", "share"), PASSES, ids=range(len(PASSES)))
def test_the_share_of_tests_that_pass(sandbox, program, share):
    assert passes_tests([program], [TESTS], sandbox=sandbox).tolist() == [share]


REFUSED = [
    ("import os\n\ndef add(a, b):\n    return os.getpid()\n", TESTS, "violation"),
    (ADD + "print(add(1, 2))\n", TESTS, "compile_error"),
    ("class A:\n    pass\n" + ADD, TESTS, "compile_error"),
    (ADD, ["assert ("], "compile_error"),
    (ADD, ["return 1"], "compile_error"),
    (ADD, ["pass"] * (MOST_TESTS + 1), "compile_error"),
    (ADD + "# " + "x" * 19_000, TESTS, "compile_error"),
]


@pytest.mark.parametrize(("program", "tests", "kind"), REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_be_run_is_a_fault_of_its_row(sandbox, program, tests, kind):
    found = passes_tests([ADD, program], [TESTS, tests], sandbox=sandbox)
    assert found.tolist()[0] == 1.0
    ((failure),) = found.failures
    assert (failure.kind, failure.rows) == (kind, (1,))


def test_rows_with_different_numbers_of_tests(sandbox):
    tests = [TESTS, TESTS[:1], [], ["assert add(1, 1) == 3"]]
    assert passes_tests([ADD] * 4, tests, sandbox=sandbox).tolist() == [1.0, 1.0, 0.0, 0.0]


def test_a_reward_runs_the_tests_of_each_completion(sandbox):
    text = "passes_tests(last_code(completion), tests)"
    reward = derl_dsl.compile(text, suite="code")
    completions = [f"So:\n```python\n{ADD}```\n", "no code", f"```\nimport os\n{ADD}```"]
    found = reward.score({"completion": completions, "tests": [TESTS] * 3})
    np.testing.assert_array_equal(found.values, [1.0, 0.0, np.nan])
    assert [(f.kind, f.rows) for f in found.faults] == [("violation", (2,))]
