"""Rows in parts: the commands say the same however small the parts are; rows that are bad."""

import ast
import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import typer
from typer.testing import CliRunner

from derl_dsl.cli.attack import attack_command
from derl_dsl.cli.audit import audit_command
from derl_dsl.cli.diff import diff_command
from derl_dsl.cli.eval import eval_command
from derl_dsl.cli.forecast import forecast_command
from derl_dsl.cli.rows import whole_rows
from derl_dsl.cli.search import search_command
from derl_dsl.score.reward import compile
from derl_dsl.tools.evaluate.sampling import neighbours, some_groups
from derl_dsl.tools.evaluate.scoring import score_rollouts
from derl_runtime.data import json_rows, read_rows, rollouts_of, table_rows, write_rows
from derl_runtime.data import rollouts as rollouts_module
from derl_runtime.reading import ColumnError

GROUPED = """ok = exact(completion, answer)
place = group_rank(ok + 0.01 * size)
reward = ok + 0.1 * place - 0.1 * group_mean(boxed(completion), where=ok > 0) + 0.2 * mean(steps)
"""
PLAIN = "short = 1 - ramp(size, 0, 40)\nreward = exact(completion, answer) + 0.1 * short"


def rows(count: int = 60) -> list[dict]:
    draw = random.Random(3)
    found = []
    for k in range(count):
        answer = str(draw.randrange(3))
        text = draw.choice([f"#### {answer}", f"so \\boxed{{{answer}}}", "#### 9", "none " * 6])
        row = {"q": f"q{draw.randrange(9)}", "completion": text, "answer": answer}
        row |= {"size": len(text), "right": answer in text, "steps": [0.5] * draw.randrange(1, 4)}
        if k % 17 == 5:
            row["size"] = None
        if k % 23 == 7:
            row["completion"] = {"no": "text"}
        found.append(row)
    return found


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows()))
    return path


def run(command, *args: object, stdin: str | None = None):
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, list(map(str, args)), input=stdin, env={"COLUMNS": "100"})


@pytest.mark.parametrize("text", [PLAIN, GROUPED])
@pytest.mark.parametrize("command", [eval_command, audit_command])
def test_parts_change_nothing(data, tmp_path, monkeypatch, text, command):
    args = ["-e", text, "--suite", "math", "--data", data, "--outcome", "right", "--group", "q"]
    args += ["--format", "json"]
    expected = run(command, *args)
    assert json.loads(expected.stdout)["schema"].startswith("derl-dsl/")
    assert json.loads(expected.stdout)["components"][-1]["std"] > 0
    for size in (1, 300, 2000):
        monkeypatch.setattr(json_rows, "BLOCK_BYTES", size)
        found = run(command, *args)
        assert found.exit_code == expected.exit_code, found.stderr
        assert found.stdout == expected.stdout
    halves = []
    for k in (0, 1):
        half = tmp_path / f"half{k}.jsonl"
        half.write_text("".join(json.dumps(row) + "\n" for row in rows()[30 * k : 30 * k + 30]))
        halves += ["--data", half]
    record = json.loads(run(command, *args[:4], *halves, *args[6:]).stdout)
    expected = json.loads(expected.stdout)
    assert {**record, "data": None} == {**expected, "data": None}


@pytest.mark.parametrize("command", [diff_command, forecast_command])
def test_parts_change_no_comparison_and_no_forecast(data, monkeypatch, command):
    types = ["--column", "size:number[0,99]", "--suite", "math"]
    args = ["-e", PLAIN, *types, "--data", data, "--group", "q", "--format", "json"]
    args += ["-e", PLAIN.replace("0.1", "0.9")] if command is diff_command else []
    expected = run(command, *args)
    assert json.loads(expected.stdout)["schema"].startswith("derl-dsl/"), expected.output
    monkeypatch.setattr(json_rows, "BLOCK_BYTES", 300)
    found = run(command, *args)
    assert (found.exit_code, found.stdout) == (expected.exit_code, expected.stdout)


@pytest.mark.parametrize("text", [PLAIN, GROUPED])
def test_parts_score_as_score_does(data, monkeypatch, text):
    columns = {"size": "number[0, 99]", "steps": "list[number[0, 1]]"}
    reward = compile(text, suite="math", columns=columns)
    whole = read_rows(data)
    expected = reward.score(whole, group="q" if reward.uses_groups else None, uneven=True)
    monkeypatch.setattr(json_rows, "BLOCK_BYTES", 500)
    rollouts = rollouts_of(data)
    codes = rollouts.keys("q").codes()
    (found,) = score_rollouts([reward], rollouts, [codes])
    assert repr(found.values.whole().tolist()) == repr(expected.values.tolist())
    for kept, values in ((found.parts, expected.parts), (found.inputs, expected.inputs)):
        assert list(kept) == list(values)
        for name in kept:
            assert repr(kept[name].whole().tolist()) == repr(values[name].tolist())
    assert found.faults == tuple(expected.faults)


def test_rows_that_cannot_be_read_are_told_and_the_others_scored(data, tmp_path):
    good = data.read_text().splitlines()
    data.write_text("\n".join([*good[:3], '{"size": ', *good[3:], "[1]", ""]))
    args = ["-e", PLAIN, "--suite", "math", "--data", data, "--format", "json"]
    result = run(eval_command, *args)
    assert result.exit_code == 2
    assert json.loads(result.stdout)["rows"] == 60
    assert f"{data}:4: not valid JSON: Expecting value at column 9" in result.stderr
    assert f"{data}:62: expected a JSON object, found a list" in result.stderr
    assert "2 rows could not be read and are left out" in result.stderr
    audit = run(audit_command, *args, "--outcome", "right")
    assert (audit.exit_code, json.loads(audit.stdout)["rows"]) == (2, 60)
    out = tmp_path / "out.jsonl"
    run(eval_command, *args[:6], "--output", out)
    assert read_rows(out)["row"] == list(range(60))


def test_a_column_without_any_text_is_refused_wherever_parts_end(data, monkeypatch):
    data.write_text('{"completion": 1.5, "answer": {"a": 1}}\n' * 9)
    monkeypatch.setattr(json_rows, "BLOCK_BYTES", 100)
    result = run(eval_command, "-e", "exact(completion, answer)", "--suite", "math", "--data", data)
    assert result.exit_code == 2
    assert "the column 'answer' must be text, but row 0 holds dict: {'a': 1}" in result.stderr


def test_conversations_are_read_as_a_trainer_gives_them(tmp_path):
    def said(text, **more):
        return [{"role": "assistant", "content": text, **more}]

    calls = [{"function": {"name": "add", "arguments": "{}"}}]
    completions = [
        said("#### 4"),
        said([{"type": "text", "text": "4"}]),
        said("no", tool_calls=calls),
    ]
    reward = compile("exact(completion, answer) + 0.1 * count(tool_calls)", suite="math+chat")
    path = tmp_path / "rows.jsonl"
    prompt = [{"role": "user", "content": "2+2?"}]
    lines = [{"prompt": prompt, "completion": c, "answer": "4"} for c in completions]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    called = reward(prompts=[prompt] * 3, completions=completions, answer=["4"] * 3)
    (found,) = score_rollouts([reward], rollouts_of(path, logs=True), [None])
    assert found.values.whole().tolist() == called == [1.0, 1.0, 0.1]


def test_standard_input_and_patterns(data, tmp_path):
    command = [
        sys.executable,
        "-m",
        "derl_dsl",
        "eval",
        "-e",
        "size",
        "--format",
        "json",
        "--data",
    ]
    for given, raw in (("-", data.read_bytes()), (str(tmp_path / "*.jsonl"), b"")):
        done = subprocess.run([*command, given], input=raw, capture_output=True, check=True)
        assert json.loads(done.stdout)["rows"] == 60


def test_ctrl_c_leaves_nothing_half_written(tmp_path):
    data, out = tmp_path / "rows.jsonl", tmp_path / "scores.jsonl"
    with data.open("w") as file:
        file.write("".join(json.dumps(row) + "\n" for row in rows(2000)) * 40)
    out.write_text("before\n")
    command = [sys.executable, "-m", "derl_dsl", "eval", "-e", PLAIN, "--suite", "math"]
    process = subprocess.Popen(
        [*command, "--data", str(data), "--output", str(out)], stderr=subprocess.PIPE
    )
    while process.poll() is None and not list(tmp_path.glob(".*.part")):
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert (process.returncode, b"Traceback" in said) == (130, False), said
    assert sorted(os.listdir(tmp_path)) == ["rows.jsonl", "scores.jsonl"]
    assert out.read_text() == "before\n"


def test_of_many_rows_whole_groups_are_kept():
    columns = {
        "g": [k // 3 for k in range(90)],
        "n": list(range(90)),
        "ok": [k % 3 == 0 for k in range(90)],
    }
    rollouts = rollouts_of(columns)
    codes = rollouts.keys("g").codes()
    kept = some_groups(rollouts, codes, 31)
    assert kept == some_groups(rollouts, codes, 31)
    assert len(kept["n"]) == 30
    assert sorted(kept["n"]) == kept["n"]
    assert sorted([*set(kept["g"])] * 3) == kept["g"]
    assert some_groups(rollouts, codes, 90)["n"] == columns["n"]
    assert neighbours(rollouts, 3).tolist() == codes.tolist()
    with pytest.raises(ColumnError, match="90 rows are no whole number of groups of 4"):
        neighbours(rollouts, 4)
    with pytest.raises(ColumnError, match="a group has more than 2 rows"):
        some_groups(rollouts, codes, 2)


def test_search_and_attack_read_what_fits(data, tmp_path, monkeypatch):
    many = [{**row, "completion": str(row["completion"]), "size": 1} for row in rows(400)]
    data.write_text("".join(json.dumps(row) + "\n" for row in many))
    args = ["--data", data, "--outcome", "right", "--group", "q", "--budget", "500", "--size", "4"]
    args += [
        "--workers",
        "1",
        "--out",
        tmp_path / "found",
        "--format",
        "json",
        "--most-rows",
        "150",
    ]
    result = run(search_command, *args)
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout)
    kept = record["rows"]["screened"] + record["rows"]["held_out"]
    assert (record["schema"], record["read"]) == ("derl-dsl/search/1", 400)
    assert 50 < kept <= 150
    assert "of 400 rows, in whole groups, are searched on" in result.stderr
    monkeypatch.setattr(sys.modules["derl_dsl.cli.attack"], "_MOST_ROWS", 150)
    text = "0.5 * exact(completion, answer) + 0.5 * boxed(completion)"
    result = run(attack_command, "-e", text, "--suite", "math", "--data", data, "--format", "json")
    assert json.loads(result.stdout)["schema"] == "derl-dsl/attack/1", result.output


def test_rewards_found_do_not_depend_on_where_parts_end(data, tmp_path, monkeypatch):
    many = [{**row, "completion": str(row["completion"]), "size": 1} for row in rows(400)]
    data.write_text("".join(json.dumps(row) + "\n" for row in many))
    table = tmp_path / "rows.parquet"
    write_rows(table, read_rows(data))

    def found(path) -> list:
        args = ["--data", path, "--outcome", "right", "--group", "q", "--budget", "500"]
        args += ["--size", "4", "--workers", "1", "--most-rows", "150", "--out", tmp_path / "found"]
        result = run(search_command, *args, "--format", "json")
        record = json.loads(result.stdout)
        return [record["rewards"], record["refused"], record["features"]]

    def attacked(path) -> str:
        text = "0.5 * exact(completion, answer) + 0.5 * boxed(completion)"
        args = ["-e", text, "--suite", "math", "--data", path, "--format", "json"]
        return run(attack_command, *args).stdout

    monkeypatch.setattr(sys.modules["derl_dsl.cli.attack"], "_MOST_ROWS", 150)
    rewards, attacks = found(data), attacked(data)
    assert rewards[0]
    for module in (json_rows, table_rows, rollouts_module):
        for name in ("BLOCK_BYTES", "BLOCK_ROWS"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, 700 if name == "BLOCK_BYTES" else 16)
    for path in (data, table):
        assert found(path) == rewards
        assert attacked(path) == attacks


def test_rows_are_drawn_as_they_lie(tmp_path):
    """In Arrow where a column has one type throughout, else as Python's values; without pandas."""
    path = tmp_path / "rows.jsonl"
    table = [{"g": k // 2, "a": f"x{k}", "b": k if k % 3 else None, "c": k} for k in range(40)]
    table[20]["c"] = 0.5
    path.write_text("".join(json.dumps(row) + "\n" for row in table))
    code = (
        "import sys; from derl_runtime.data import json_rows, listed, rollouts_of;"
        "from derl_dsl.tools.evaluate.sampling import some_groups;"
        "json_rows.BLOCK_BYTES = 100; rows = rollouts_of(sys.argv[1]);"
        "kept = some_groups(rows, rows.keys('g').codes(), 30);"
        "print(sorted(n for n in kept if hasattr(kept[n], 'type')), 'pandas' in sys.modules);"
        "print({n: listed(v) for n, v in kept.items()})"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    kinds, values = done.stdout.splitlines()
    assert kinds == "['a', 'b', 'g'] False", done.stderr
    columns = ast.literal_eval(values)
    drawn = [table[int(name[1:])] for name in columns["a"]]
    assert columns == {n: [row[n] for row in drawn] for n in table[0]}
    assert len(drawn) == 30


def test_rows_that_are_held_whole_are_told_where_they_are_many(data, monkeypatch, capfd):
    whole_rows([str(data)])
    assert capfd.readouterr().err == ""
    monkeypatch.setattr(sys.modules["derl_dsl.cli.rows"], "_LARGE", 100)
    found = whole_rows([str(data)])
    assert len(found["q"]) == 60
    assert "MB are held whole" in capfd.readouterr().err
