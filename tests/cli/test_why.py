"""`derl-dsl why`: which answer was taken from where, how gold was read, what decided."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from derl_dsl.cli import app as cli

ROWS = [
    {"completion": "<think>\\boxed{6}</think> So \\boxed{5}", "answer": "5"},
    {"completion": "The answer is 2 2/3.", "answer": "2/3", "answers": ["8/3", "3"]},
    {"completion": "I cannot say.", "answer": "12 cm"},
]


@pytest.fixture
def data(tmp_path: Path) -> str:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), "utf-8")
    return str(path)


def run(*args: str) -> tuple[int, str]:
    cli.register_all()
    result = CliRunner().invoke(cli.app, ["why", *args])
    return result.exit_code, result.output


def test_a_right_row(data: str):
    code, shown = run("-e", "correct(completion, answer)", "--data", data, "--row", "0")
    assert code == 0
    lines = [line.split(maxsplit=1) for line in shown.splitlines()]
    assert ["answer", "5"] in lines
    assert ["decided", "same text"] in lines
    assert ["verdict", "right"] in lines


def test_a_wrong_row_in_json(data: str):
    program = "ok = correct(completion, answer)\nreward = 0.1 + ok"
    code, shown = run("-e", program, "--data", data, "--row", "1", "--format", "json")
    record = json.loads(shown)
    assert code == 1
    assert record["reward"] == 0.1
    assert record["parts"] == {"ok": 0.0}
    (reason,) = record["reasons"]
    assert (reason["answer"], reason["gold"]) == ("2 2/3.", "2/3")
    assert reason["read as"] == "number or amount"


def test_no_answer_says_why(data: str):
    code, shown = run("-e", "correct(completion, answer)", "--data", data, "--row", "2")
    assert code == 1
    assert "a refusal" in shown


@pytest.mark.parametrize("row", ["3", "-1"])
def test_a_row_that_is_not_there(data: str, row: str):
    assert run("-e", "correct(completion, answer)", "--data", data, "--row", row)[0] == 2


def test_usage(data: str):
    assert run("--data", data, "--row", "0")[0] == 2
    assert run("-e", "1 +", "--data", data, "--row", "0")[0] == 1
