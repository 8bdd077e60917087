"""Each hostile source ends in its class of failure: both engines, as this user and a plain one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from derl_runtime.sandbox import Sandbox
from tests.hostile.cases import Case
from tests.hostile.conftest import outcomes_as_plain_user
from tests.hostile.raw_cases import VALUES
from tests.hostile.running import PRELOADS, outcome, raw_zygote, suite

SUITES = ("restricted", "monty", "raw", "starting")
CASES = [
    pytest.param(name, key, case, engine, id=f"{name}-{key}")
    for name in SUITES
    for key, case, engine in suite(name)
]


def check(case: Case, engine: str, got: tuple[str, str]) -> None:
    cls, message = got
    assert cls in case.expected(engine), f"{cls}: {message}"
    assert message.isprintable()
    assert len(message) <= 400
    if cls != "value":
        assert message.startswith(case.says)
    if case.name in VALUES:
        assert float(message) == VALUES[case.name]


@pytest.fixture
def workers(request: pytest.FixtureRequest) -> Iterator[None]:
    """The zygote that a suite's cases go to."""
    name = request.node.callspec.params["name"]
    if name not in PRELOADS:
        yield
        return
    with raw_zygote(PRELOADS[name]):
        yield


@pytest.mark.usefixtures("workers")
@pytest.mark.parametrize(("name", "key", "case", "engine"), CASES)
def test_ends_as_it_has_to(name: str, key: str, case: Case, engine: str) -> None:
    check(case, engine, outcome(case, engine))


@pytest.mark.parametrize("name", SUITES)
def test_all_end_so_for_a_plain_user(name: str) -> None:
    # One process of that user runs a whole suite, so its cases are told by name in one go.
    outcomes = outcomes_as_plain_user(name)
    wrong = {}
    for key, case, engine in suite(name):
        try:
            check(case, engine, outcomes[key])
        except AssertionError as error:
            wrong[key] = str(error).splitlines()[0]
    assert wrong == {}
    assert len(outcomes) == len(list(suite(name)))


def test_the_suite_is_large() -> None:
    assert len({(c.values[0], c.values[1]) for c in CASES}) >= 250


@pytest.mark.parametrize("engine", ["restricted", "monty"])
def test_no_state_from_batch_to_batch(engine: str) -> None:
    source = (
        "seen = []\ndef f(c: text) -> number:\n    seen.append(c)\n    return len(seen)\n"
    )  # fmt: skip
    with Sandbox("standard", engine) as sandbox:
        first = sandbox.call(source, "f", [["a"]], 1)
        second = sandbox.call(source, "f", [["a"]], 1)
    assert list(first) == list(second) == [1.0]


def test_no_state_from_row_to_row() -> None:
    source = "seen = []\ndef f(c: text) -> number:\n    seen.append(c)\n    return len(seen)\n"
    with Sandbox() as sandbox:
        assert list(sandbox.call(source, "f", [["a", "b", "c"]], 3)) == [1.0, 1.0, 1.0]
