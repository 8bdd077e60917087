"""`derl-dsl eval`: its numbers, its table, what it writes, and what it says about bad input."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from derl_dsl.cli.eval import eval_command
from derl_dsl.tools.evaluate.infer import infer_columns
from derl_grammar.types import Bool, List, Number, Text
from derl_runtime.data import read_rows, write_rows
from derl_runtime.seen import infer_type

SHARED = Path(os.environ.get("DERL_DSL_SHARED", Path(__file__).parents[3] / "shared"))
SOLUTIONS = SHARED / "data" / "gsm8k" / "model_solutions.jsonl"

ROWS = [
    {"id": "a", "completion": "#### 18", "answer": "18", "ok": True, "n": 1},
    {"id": "a", "completion": "#### 19", "answer": "18", "ok": False, "n": 3},
    {"id": "b", "completion": r"\boxed{5}", "answer": "5", "ok": True, "n": 5},
    {"id": "b", "completion": "#### 5", "answer": "5", "ok": False, "n": None},
]


@pytest.fixture
def data(tmp_path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def run(*args: object, stdin: str | None = None):
    app = typer.Typer()
    app.command()(eval_command)
    words = [str(a) for a in args]
    return CliRunner().invoke(app, words, input=stdin, env={"COLUMNS": "80"})


def record(*args: object) -> dict:
    result = run(*args, "--format", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def component(found: dict, name: str) -> dict:
    return next(c for c in found["components"] if c["name"] == name)


def test_every_component_is_summarised(data):
    text = "ok2 = exact(completion, answer)\nreward = 0.5 * ok2 + 0.1 * boxed(completion)"
    found = record("-e", text, "--suite", "math", "--data", data, "--group", "id")
    assert [(c["name"], c["kind"]) for c in found["components"]] == [
        ("boxed(completion)", "input"),
        ("ok2", "part"),
        ("reward", "reward"),
    ]
    assert (found["rows"], found["groups"]) == (4, 2)
    ok = component(found, "ok2")
    assert (ok["mean"], ok["min"], ok["max"], ok["not_applicable"]) == (0.75, 0, 1, 0)
    assert ok["std"] == pytest.approx(0.1875**0.5)
    assert ok["zero_variance_groups"] == 0.5  # b: both right
    reward = component(found, "reward")
    assert reward["mean"] == pytest.approx((0.5 + 0 + 0.6 + 0.5) / 4)
    assert reward["zero_variance_groups"] == 0
    assert sum(reward["histogram"]["counts"]) == 4
    assert found["faults"] == []


def test_missing_values_are_not_applicable_and_a_fault(data):
    found = record("-e", "0.5 * n", "--data", data)
    reward = component(found, "reward")
    assert reward["not_applicable"] == 0.25
    assert (reward["mean"], reward["min"], reward["max"]) == (1.5, 0.5, 2.5)
    assert [(f["kind"], f["name"], f["rows"]) for f in found["faults"]] == [("missing", "n", [3])]
    text = run("-e", "0.5 * n", "--data", data).stdout
    assert "fault: missing in n" in text
    assert "25%" in text


def test_outcome_column_and_expression(data):
    args = ("-e", "exact(completion, answer)", "--suite", "math", "--data", data)
    outcome = record(*args, "--outcome", "ok")["outcome"]
    assert outcome["name"] == "ok"
    assert outcome["agreement"] == 0.75
    assert outcome["disagreements"] == [3]
    assert outcome["ranking"] == 0.75
    shown = run(*args, "--outcome", "ok").stdout
    assert "agreement with ok: 75.00% of 4 rows" in shown
    assert "disagreements: 1 (row 3, counted from 0)" in shown
    outcome = record(*args, "--outcome", "boxed(completion)")["outcome"]
    assert outcome["disagreements"] == [0, 3]
    shades = record("-e", "n", "--data", data, "--outcome", "ok")["outcome"]
    assert (shades["agreement"], shades["rows"], shades["ranking"]) == (None, 3, 0.5)


def test_the_table_fits_80_columns(data):
    text = "a_rather_long_name_for_a_part = exact(completion, answer)\n"
    text += "reward = 0.000012345 * a_rather_long_name_for_a_part - 0.00002"
    result = run("-e", text, "--suite", "math", "--data", data, "--group", "id")
    assert result.exit_code == 0, result.output
    assert max(map(len, result.stdout.splitlines()[1:])) <= 80
    lines = [line.split() for line in result.stdout.splitlines()]
    assert ["component", "mean", "std", "min", "max", "n/a", "flat", "histogram"] in lines
    row = ["reward", "-1.07e-05", "5.35e-06", "-2e-05", "-7.66e-06", "0%", "50%"]
    assert row in [line[:7] for line in lines]
    assert re.search(r"^a_rather_long_\w+\.\. +0\.75 ", result.stdout, re.M)
    assert "no faults" in result.stdout


def test_a_histogram_is_as_high_as_its_counts(data, tmp_path):
    path = tmp_path / "many.jsonl"
    write_rows(path, {"x": [0.0] * 100 + [0.5] * 50 + [1.0]})
    shown = run("-e", "x", "--data", path).stdout
    assert "█   ▄  ▁" in shown


@pytest.mark.parametrize("name", ["scores.jsonl", "scores.parquet"])
def test_output(data, tmp_path, name):
    path = tmp_path / name
    text = "right = exact(completion, answer)\nreward = 0.5 * right + 0.1 * n"
    args = ("-e", text, "--suite", "math", "--data", data, "--group", "id", "--output", path)
    assert record(*args)["output"] == str(path)
    rows = read_rows(path)
    assert list(rows) == ["row", "id", "n", "right", "reward"]
    assert rows["row"] == [0, 1, 2, 3]
    assert rows["id"] == ["a", "a", "b", "b"]
    assert rows["right"] == [1, 0, 1, 1]
    assert rows["reward"] == [pytest.approx(0.6), pytest.approx(0.3), pytest.approx(1.0), None]


def test_parquet_and_step_lists(tmp_path):
    path = tmp_path / "rows.parquet"
    write_rows(path, {"solved": [True, False], "step_scores": [[1, 0, 1, 1, 0, 0], [0, 0, 1]]})
    found = record("-e", "g1 + g2 + g3 + g4", "--suite", "derl-agent", "--data", path)
    assert [c["mean"] for c in found["components"]] == [0.5, 0.25, 0.5, 0.5, 1.75]


def test_reward_file_and_standard_input(data, tmp_path):
    file = tmp_path / "good.derl"
    file.write_text("# right?\nreward = exact(completion, answer)\n", "utf-8-sig")
    args = ("--suite", "math", "--data", data)
    assert component(record(file, *args), "reward")["mean"] == 0.75
    result = run("-", *args, "--format", "json", stdin="exact(completion, answer)")
    assert component(json.loads(result.stdout), "reward")["mean"] == 0.75


def test_a_reward_with_errors_exits_1_and_names_the_place(data, tmp_path):
    file = tmp_path / "bad.derl"
    file.write_text("reward = exakt(completion, answer)\n")
    result = run(file, "--suite", "math", "--data", data)
    assert result.exit_code == 1
    assert f"{file}:1:10: error DRL" in result.stderr
    assert "did you mean 'exact'?" in result.stderr
    result = run(file, "--suite", "math", "--data", data, "--format", "json")
    assert result.exit_code == 1
    (listed,) = json.loads(result.stdout)["files"]
    assert (listed["path"], listed["ok"]) == (str(file), False)
    assert listed["diagnostics"][0]["line"] == 1


EXACT = ("-e", "exact(completion, answer)", "--suite", "math")
BAD_INPUT = [
    ((*EXACT, "--data", "none.jsonl"), "none.jsonl: no such file"),
    ((*EXACT, "--data", "other.txt"), "unknown kind of data file '.txt'"),
    ((*EXACT, "--data", "rows.csv"), "rows.csv: no such file"),
    ((*EXACT, "--data", "broken.jsonl"), "broken.jsonl:2: not valid JSON"),
    ((*EXACT, "--data", "empty.jsonl"), "empty.jsonl: holds no rows"),
    ((*EXACT, "--data", "other.jsonl"), "other.jsonl: the column 'completion' (text) is missing"),
    (
        (*EXACT, "--data", "wrong.jsonl"),
        "must be text, but row 1 holds dict: {'a': 5}",
    ),
    (("-e", "g1", "--suite", "derl-mth", "--data", "rows.jsonl"), "did you mean 'derl-math'?"),
    (("-e", "n", "--column", "n", "--data", "rows.jsonl"), "--column n: write name:type"),
    (("-e", "n", "--column", "n:nmber", "--data", "rows.jsonl"), "unknown type 'nmber'"),
    ((*EXACT, "--data", "rows.jsonl", "--backend", "fast"), "unknown backend 'fast'"),
    ((*EXACT, "--data", "rows.jsonl", "--group", "idd"), "column 'idd' is missing"),
    ((*EXACT, "--data", "rows.jsonl", "--group", "n"), "but row 3 holds None"),
    ((*EXACT, "--data", "rows.jsonl", "--outcome", "nope"), "the outcome 'nope' cannot be used"),
    ((*EXACT, "--data", "rows.jsonl", "--output", "no/x.jsonl"), "no/x.jsonl: cannot write"),
    ((*EXACT, "--data", "rows.jsonl", "--output", "x.txt"), "unknown kind of data file '.txt'"),
    (("--data", "rows.jsonl"), "give the reward either as a file or with -e TEXT"),
    (("none.derl", "-e", "1", "--data", "rows.jsonl"), "give the reward either as a file or"),
    (("none.derl", "--data", "rows.jsonl"), "none.derl"),
    (EXACT, "--data"),
]


@pytest.mark.parametrize(("args", "message"), BAD_INPUT)
def test_bad_input_is_one_clear_message(data, tmp_path, monkeypatch, args, message):
    monkeypatch.chdir(tmp_path)
    Path("broken.jsonl").write_text('{"a": 1}\n{"a": \n')
    Path("empty.jsonl").write_text("")
    Path("other.jsonl").write_text('{"a": 1}\n')
    Path("other.txt").write_text("")
    Path("wrong.jsonl").write_text(
        '{"completion": null, "answer": "y"}\n{"completion": {"a": 5}, "answer": "y"}\n'
    )
    before = sorted(os.listdir())
    result = run(*args)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert result.stdout == ""
    assert sorted(os.listdir()) == before


def test_ascii_terminals(tmp_path):
    data = tmp_path / "rows.jsonl"
    write_rows(data, {"n": [0, 8, 8, *[None] * 9], "é": [1] * 12})
    code = "import typer; from derl_dsl.cli.eval import eval_command; typer.run(eval_command)"
    command = [sys.executable, "-c", code, "-e", "0.5 * n", "--data", str(data), "--group", "é"]
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    assert b"=      @" in done.stdout
    assert b"fault: missing in n" in done.stdout


def test_types_are_read_off_the_data():
    assert infer_type([True, None]) == Bool()
    assert infer_type(["a"]) == Text()
    assert infer_type([1, 2.5, True]) == Number(1, 2.5)
    assert infer_type([3, 3]) == Number(0, 3)
    assert infer_type([float("nan"), float("inf")]) == Number()
    assert infer_type([[0.5], [], None, [1]]) == List(Number(0.5, 1))
    assert infer_type([["a"]]) == List(Text())
    assert infer_type([1, "a"]) is None
    assert infer_type([[[1]]]) is None
    assert infer_type([None]) is None
    assert infer_type([10**400]) is None
    data = {"a": [1, 2], "b": [True, None], "reward": [0, 0], "known": [1, 2]}
    assert infer_columns("x = a\nreward = x * b * known", data, {"known"}) == {
        "a": Number(1, 2),
        "b": Bool(),
    }


def test_agreement_with_the_labels_of_real_completions():
    if not SOLUTIONS.is_file():
        pytest.skip(f"the data is not there: {SOLUTIONS} (set DERL_DSL_SHARED)")
    found = record(*EXACT, "--data", SOLUTIONS, "--outcome", "is_correct", "--group", "problem_id")
    assert (found["rows"], found["groups"]) == (2640, 660)
    assert found["outcome"]["agreement"] >= 0.999
    assert found["outcome"]["disagreements"] == []
