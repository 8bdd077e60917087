"""The bound of a rollout's cost holds for what is measured, and `check --budget` keeps to it."""

from __future__ import annotations

import doctest
import json
import time

import pytest
import typer
from typer.testing import CliRunner

import derl_dsl
from derl_dsl.cli import budget
from derl_dsl.cli.app import COMMANDS, register
from derl_dsl.prove.bounds import bound_of
from derl_dsl.prove.codes import OVER_BUDGET
from derl_primitives.costs import LONGEST, MEASURED
from derl_primitives.suites import SUITES
from derl_primitives.text import TEXT_FUNCTIONS

APP = typer.Typer()
register(APP, {name: COMMANDS[name] for name in ("check", "explain")})


def run(*args):
    return CliRunner().invoke(APP, list(args))


def bound(text, longest=LONGEST, suite="math+format+similarity"):
    return bound_of(derl_dsl.compile(text, suite=suite).graph, longest)


def test_every_primitive_of_this_process_is_measured():
    known = {p.name for suite in SUITES.values() for p in suite.primitives.values()}
    known |= {b.primitive.name for suite in SUITES.values() for b in suite.bindings.values()}
    runs_programs = {"passes_tests", "tests_passed"}
    assert known - runs_programs <= set(MEASURED)
    assert set(TEXT_FUNCTIONS) <= set(MEASURED)
    assert all(row > 0 and slope > 0 for row, slope, *_ in MEASURED.values())


def test_the_bound_grows_with_the_text_and_with_what_is_asked():
    one = bound("words(completion)")
    assert bound("words(completion)", 2 * LONGEST).operations > 1.9 * one.operations
    assert bound("words(completion)", 2 * LONGEST).seconds > 1.9 * one.seconds
    more = bound("words(completion) + word_f1(completion, answer)")
    assert more.seconds > one.seconds
    assert more.memory > one.memory
    assert more.costliest == "word_f1(completion, answer)"
    twice = bound("words(completion) + 0.5 * words(completion)")
    assert twice.operations - one.operations < 10  # evaluated once
    assert one.waits == 0
    assert bound("correct(completion, answer)").waits > 0


def test_parts_that_are_only_logged_and_nested_texts_count():
    alone = bound("1 * boxed(completion)")
    assert bound("_log = words(completion)\nreward = 1 * boxed(completion)").seconds > alone.seconds
    nested = bound('words(last_block(completion, "think"))')
    assert nested.seconds > bound("words(completion)").seconds


@pytest.mark.parametrize("text", ["words(completion)", 'count_matches(completion, "[0-9]+")',
                                  "word_f1(completion, answer)"])  # fmt: skip
def test_what_is_measured_keeps_to_the_bound(text):
    """Processor time, with much room for a machine that is slower than the one measured."""
    reward = derl_dsl.compile(text, suite="math+similarity")
    rows = 16
    columns = {"completion": ["so 4 and 5 " * 1000] * rows, "answer": ["4 and 5 " * 1000] * rows}
    start = time.process_time()
    reward.score({n: v for n, v in columns.items() if n in text}, group_size=1)
    taken = (time.process_time() - start) / rows
    assert taken < 20 * bound_of(reward.graph, 11_000).seconds + 0.1


def test_certificates_and_explain_have_it():
    record = derl_dsl.compile("words(completion)", suite="math").certificate.to_json()
    assert record["bound"]["longest"] == LONGEST
    assert json.dumps(record)
    said = run("explain", "-e", "correct(completion, answer)", "-s", "math")
    assert f"for a rollout of {LONGEST:,} characters" in said.stdout
    assert "s of worker processes" in said.stdout


def check(*args):
    return run("check", *args)


def test_check_holds_programs_to_a_budget(tmp_path):
    bad, good = tmp_path / "bad.derl", tmp_path / "good.derl"
    bad.write_text(f"# suite: similarity\nreward = {OVER_BUDGET.bad}\n")
    good.write_text(f"# suite: similarity\nreward = {OVER_BUDGET.good}\n")
    most = bound(OVER_BUDGET.bad).seconds, bound(OVER_BUDGET.good).seconds
    assert most[0] > most[1]
    between = f"{1e6 * (most[0] + most[1]) / 2:.0f}us"
    result = check(str(bad), str(good), "--budget", between)
    assert result.exit_code == 1
    assert result.stdout.count("error DRL406") == 1
    assert "most of it is word_f1(completion, answer)" in result.stdout
    assert check(str(good), "--budget", between).exit_code == 0
    assert check(str(bad), "--budget", between, "--longest", "10").exit_code == 0
    record = json.loads(check(str(bad), "--budget", "1ns", "--format", "json").stdout)
    assert [d["code"] for d in record["files"][0]["diagnostics"]] == ["DRL406"]


@pytest.mark.parametrize("text", ["5", "fast", "0ms", "-1s", ""])
def test_what_is_no_time_is_said(text):
    result = check("-e", "1 * boxed(completion)", "-s", "math", "--budget", text)
    assert result.exit_code == 2
    assert "write a time for one rollout, such as 5ms" in result.stderr


def test_examples():
    assert doctest.testmod(budget).failed == 0
