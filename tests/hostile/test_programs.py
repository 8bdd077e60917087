"""A policy does not choose the verdict over its program; an honest program gets its own."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from derl_runtime.deadline import BUSY
from derl_runtime.sandbox import Failure, Sandbox
from derl_runtime.sandbox.programs import ProgramLimits
from tests.hostile.conftest import outcomes_as_plain_user
from tests.hostile.programs import FORGED, HONEST, SCRIPTS
from tests.hostile.running import SHORT, submissions

CASES = dict(submissions())
ADD = "def add(a, b):\n    return a + b\n"


@pytest.fixture(scope="module")
def sandbox(machine_level: str) -> Iterator[Sandbox]:
    if machine_level not in ("standard", "strict"):
        pytest.skip(f"this machine reaches level {machine_level}")
    with Sandbox() as found:
        yield found


@pytest.mark.parametrize("name", CASES)
def test_the_verdict_is_not_the_programs(name: str, sandbox: Sandbox) -> None:
    case = CASES[name]
    ((passes,),) = sandbox.run_programs([(case.program, [case.test])], SHORT)
    assert passes is case.passes


def test_the_verdicts_for_a_plain_user() -> None:
    outcomes = outcomes_as_plain_user("programs")
    assert {n for n, case in CASES.items() if outcomes[n] != [case.passes]} == set()


def test_a_forged_row_costs_no_honest_one(sandbox: Sandbox) -> None:
    # Each hostile program among honest ones, and behind each of its own tests a good one.
    rows = [s for case in FORGED for s in (case, None)]
    submitted = [(ADD, ["assert add(1, 2) == 3"] * 2) if s is None else (s.program, [s.test])
                 for s in rows]  # fmt: skip
    found = sandbox.run_programs(submitted, SHORT)
    assert found == [[True, True] if s is None else [False] for s in rows]


def test_a_test_that_ends_the_program_costs_no_other_test(sandbox: Sandbox) -> None:
    program = (
        "import os\ndef f(x):\n    while x == 1: pass\n    x == 2 and os._exit(0)\n    return x\n"
    )
    tests = ["assert f(0) == 0", "assert f(1) == 1", "assert f(2) == 2", "assert f(3) == 3"]
    assert sandbox.run_programs([(program, tests)], SHORT) == [[True, False, False, True]]


def test_one_deadline_for_a_batch_that_hangs(sandbox: Sandbox) -> None:
    limits = ProgramLimits(rounds=(0.1, 60.0), batch=8.0, row=0.0)
    hangs = ("def add(a, b):\n    while True: pass\n", ["assert add(1, 2) == 3"])
    submitted = [(ADD, ["assert add(1, 2) == 3"]) if k % 10 else hangs for k in range(60)]
    sandbox.run_programs(submitted[1:2])
    start = time.monotonic()
    found = sandbox.run_programs(submitted, limits)
    assert time.monotonic() - start < 8 * (1 + BUSY)
    # The quick ones all had their turn before a hanging one had its second.
    assert found == [[bool(k % 10)] for k in range(60)]


def test_rows_that_never_had_their_turn_are_nobodys_fault(sandbox: Sandbox) -> None:
    limits = ProgramLimits(batch=0.001, row=0.0)
    found = sandbox.run_programs([(ADD, ["assert add(1, 2) == 3"])] * 50, limits)
    assert isinstance(found[-1], Failure)
    assert found[-1].cls == "timeout"


def test_a_row_whose_tests_all_hang_has_a_budget(sandbox: Sandbox) -> None:
    limits = ProgramLimits(rounds=(0.05, 0.2), batch=60.0)
    program = "def f(x):\n    while True: pass\n"
    tests = [f"assert f({k}) == {k}" for k in range(64)]
    start = time.monotonic()
    assert sandbox.run_programs([(program, tests)], limits) == [[False] * 64]
    assert time.monotonic() - start < 30


@pytest.mark.parametrize("text", ["{", '{"input": 1, "output": "2"}', '{"a": 1}', "[" * 100_000])
def test_what_is_no_script_is_code(text: str, sandbox: Sandbox) -> None:
    (found,) = sandbox.run_programs([(ADD, [text])])
    assert isinstance(found, Failure)
    assert found.cls == "compile_error"
    assert len(found.message) <= 400


def test_scripts_and_code_in_one_row(sandbox: Sandbox) -> None:
    program = ADD + "if __name__ == '__main__':\n    print(add(*input().split()))\n"
    tests = ["assert add(1, 2) == 3", json.dumps({"input": "a b", "output": "ab"})]
    assert sandbox.run_programs([(program, tests)]) == [[True, True]]


def test_the_suite_has_all_kinds() -> None:
    assert len({c.name for c in FORGED}) == len(FORGED) >= 90
    assert len({c.name for c in HONEST}) == len(HONEST) >= 35
    assert len({c.name for c in SCRIPTS}) == len(SCRIPTS) >= 20
